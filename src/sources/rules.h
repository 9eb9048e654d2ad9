// Rules: which series count requests, errors, latency and a deployment's own metrics, compiled.
//
// Threading: immutable once compiled; use from any thread.
// Failure: an Error that names the part of the settings to blame.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "davy/result.h"
#include "davy/source.h"
#include "sources/selector.h"

namespace davy::source {

enum class Side { Baseline, Canary };
inline constexpr Side kSides[] = {Side::Baseline, Side::Canary};
constexpr std::size_t index(Side side) {
  return static_cast<std::size_t>(side);
}
constexpr std::string_view word(Side side) {
  return side == Side::Baseline ? "baseline" : "canary";
}

/// RequestSeries and ValueSeries, compiled.
struct Rules {
  struct Value {
    std::string name;
    Selector series;
    bool is_counter = false;
    bool per_request = false;
  };

  std::vector<Selector> counter;
  std::vector<Matchers> error_when;
  std::vector<Selector> errors;
  std::vector<Selector> histogram;        // of the _bucket series
  std::vector<std::string> error_labels;  // that error_when looks at
  double latency_unit = 1;
  std::vector<Value> values;
  std::string text;  // all of it as it was written: what was counted by other rules is worthless

  /// The Error's `setting` is the part of RequestSeries to blame, or "metrics".
  static Result<Rules> compile(const RequestSeries& series,
                               const std::vector<ValueSeries>& values = {});
};

/// Which of a target's series belong to a version: normally all of them to one.
struct Share {
  Side side = Side::Baseline;
  Matchers when{};
};

}  // namespace davy::source
