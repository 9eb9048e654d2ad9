// Options: the settings of one probe kind or one metric source, described once by the kind itself.
//
// Why: the config parser reads by the description and `davy config check` prints by it, so there is
// one place that says what a setting is. The parser checks types, units and required settings with
// file:line; `make` sees only values that are right in themselves.
// Threading: immutable once parsed.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "davy/time.h"

namespace davy {

/// How much must be left of something: bytes, or a share of the whole.
struct Amount {
  double value = 0;  // bytes, or a ratio 0..1
  bool is_ratio = false;
};

enum class OptionType {
  Text,      // any string
  Secret,    // a string that is never printed
  Url,       // scheme://...
  Address,   // host:port
  Path,      // an absolute path
  Duration,  // 250ms, 5s, 1h
  Bytes,     // 512KiB, 10MB
  Amount,    // bytes or a percentage
  Ratio,     // 5%, 0.05
  Number,    // a number
  Flag,      // true, false
  Choice,    // one of `choices`
  TextList,  // a list of strings, or one string
};

struct OptionSpec {
  std::string_view name;
  OptionType type = OptionType::Text;
  bool required = false;
  std::string_view fallback;  // as it would be written; "" = none
  std::string_view help;
  std::vector<std::string_view> choices;  // for Choice
};

inline constexpr bool kRequired = true;
inline constexpr bool kOptional = false;

/// The parsed settings by name. A setting without a value and without a fallback is absent.
class Options {
 public:
  using Value = std::variant<std::string, Duration, double, bool, Amount, std::vector<std::string>>;

  void set(std::string name, Value value) { values_[std::move(name)] = std::move(value); }
  bool has(std::string_view name) const { return values_.find(name) != values_.end(); }

  /// A value that came out of a secret file is not shown, whatever its type.
  void hide(std::string name) { hidden_.insert(std::move(name)); }
  bool is_hidden(std::string_view name) const { return hidden_.find(name) != hidden_.end(); }

  const std::map<std::string, Value, std::less<>>& values() const { return values_; }

  /// REQUIRES: has(name), and the name's type in the kind's description is the one asked for.
  const std::string& text(std::string_view name) const { return get<std::string>(name); }
  /// The same, or `fallback` when it is absent.
  std::string text_or(std::string_view name, std::string_view fallback = "") const {
    return has(name) ? text(name) : std::string(fallback);
  }
  Duration duration(std::string_view name) const { return get<Duration>(name); }
  /// Bytes, Ratio and Number.
  double number(std::string_view name) const { return get<double>(name); }
  bool flag(std::string_view name) const { return get<bool>(name); }
  Amount amount(std::string_view name) const { return get<Amount>(name); }
  const std::vector<std::string>& list(std::string_view name) const {
    return get<std::vector<std::string>>(name);
  }

 private:
  template <typename T>
  const T& get(std::string_view name) const {
    return std::get<T>(values_.find(name)->second);
  }

  std::map<std::string, Value, std::less<>> values_;
  std::set<std::string, std::less<>> hidden_;
};

}  // namespace davy
