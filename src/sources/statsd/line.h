// One line of StatsD or DogStatsD, taken apart.
//
//   requests.count:1|c|@0.1|#version:v2,status:500
//   requests.duration:12.5:8:31|ms|#version:v1|c:ci-1f2|T1700000000
//   _sc|app.queue|0|#env:prod|m:all turning          _e{5,4}:title|text|#env:prod
//
// A line is a name, values, a type and then parts in any order: @ is the sample rate, # the tags.
// Parts that later versions of DogStatsD have added, or will (`c:` container, `T` timestamp, `e:`,
// `card:`), are read over.
// Threading: pure; what is returned points into the line.
// Failure: a Malformed that says what is wrong with the line, as a constant.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "sources/formats/number.h"
#include "sources/selector.h"

namespace davy::source {

enum class StatsdType : std::uint8_t { Counter, Gauge, Timer, Histogram, Distribution, Set };
/// "counter (|c)"
std::string_view show(StatsdType type);

/// A sample rate below this is taken for garbage: one line would count for a million.
inline constexpr double kLeastSampleRate = 1e-6;

struct StatsdMetric {
  std::string_view name;
  std::string_view values;  // one or more, with colons between them
  StatsdType type = StatsdType::Counter;
  double rate = 1;             // kLeastSampleRate to 1
  std::vector<Label> tags;     // as they stand; a tag without a colon has the value ""
  bool is_dogstatsd = false;   // has parts that StatsD does not know
  bool has_timestamp = false;  // so the next line of the series will not look the same
};

struct StatsdServiceCheck {
  enum class Status { Ok, Warning, Critical, Unknown };
  std::string_view name;
  Status status = Status::Ok;
  std::string_view message;
};

struct StatsdEvent {};

struct StatsdMalformed {
  std::string_view what;
};

using StatsdLine = std::variant<StatsdMetric, StatsdServiceCheck, StatsdEvent, StatsdMalformed>;

/// `line` has no end of line, and is not empty.
StatsdLine parse_statsd_line(std::string_view line);

/// A finite decimal number, all of the text; a sign may stand before it.
bool parse_statsd_number(std::string_view text, double& out);

/// Numbers as most clients write them: up to 15 digits, perhaps with a point among them. False for
/// all others, right or wrong. The result is the nearest double (see number.h).
/// `end` = where the line ends. REQUIRES: what follows the text is neither a digit nor a point.
inline bool parse_short_number(std::string_view text, const char* end, double& out) {
  constexpr std::ptrdiff_t kMostDigits = 15;
  std::uint64_t digits = 0;
  const char* at = number::take_digits(text.data(), end, digits);
  std::ptrdiff_t count = at - text.data();
  std::ptrdiff_t decimals = 0;
  if (at != end && *at == '.') {
    const char* point = ++at;
    at = number::take_digits(point, end, digits);
    decimals = at - point;
    count += decimals;
  }
  if (at != text.data() + text.size() || count == 0 || count > kMostDigits) return false;
  out = static_cast<double>(digits);
  if (decimals > 0) out /= number::kScales[decimals];
  return true;
}

}  // namespace davy::source
