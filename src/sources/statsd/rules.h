// StatsdRules: which series of StatsD count for what.
//
// Why: RequestSeries and ValueSeries are written as for the other sources; what StatsD adds (types,
// tags that name the version and the instance, service checks) is decided here, once per series.
// Counters, timers, histograms and distributions may all count requests, errors and rates: timers
// and their like count one for each value. Latencies are timers, histograms and distributions.
// Timers are in milliseconds, the other two in the unit of the settings.
// The versions' matchers see the tags, and the name as `__name__`.
// Threading: immutable once compiled; pure.
// Failure: an Error whose `setting` is the one to blame.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "davy/result.h"
#include "davy/source.h"
#include "sources/rules.h"
#include "sources/statsd/line.h"

namespace davy::source {

/// The tag by which a metric's own name can be matched, as in PromQL.
inline constexpr std::string_view kNameTag = "__name__";

struct StatsdRules {
  struct Settings {
    std::array<std::string, 2> when{};          // matchers, by side
    std::string instance_tag{};                 // "" = a version is one instance
    std::vector<std::string> service_checks{};  // "app.queue=worker", or one name for both
    std::size_t max_series = 20'000;
    bool one_version = false;  // all is the canary's; `when` is not looked at
  };

  Rules series;                                                    // `histogram` as it is written
  std::array<Matchers, 2> when;                                    // by side
  std::array<std::string, 2> when_text;                            // as they are written
  std::vector<std::string> version_tags;                           // that they look at
  std::string instance_tag;                                        // "" = none
  std::map<std::string, std::string, std::less<>> service_checks;  // name -> heartbeat check
  std::set<std::string, std::less<>> names;  // of all that may count for something
  std::size_t max_series = 0;
  bool one_version = false;
  std::string text;  // what its counts depend on, as it was written

  static Result<StatsdRules> compile(const RequestSeries& series,
                                     const std::vector<ValueSeries>& values,
                                     const Settings& settings);
};

/// What one series counts for.
struct StatsdMeaning {
  std::optional<Side> side;  // none: for nothing, whatever else is said here
  std::string instance;      // "" = none is named
  bool is_request = false;
  bool is_error = false;
  bool shows_errors = false;        // by it one would see errors
  double latency_unit = 0;          // seconds in 1; 0 = it is no latency
  std::vector<std::size_t> rates;   // of Rules::values
  std::vector<std::size_t> gauges;  // of Rules::values
  std::string series;               // name and tags: the same text for the same series
  std::string_view refused;         // what its type cannot do, "" when it can

  bool counts() const {
    return side &&
           (is_request || is_error || latency_unit > 0 || !rates.empty() || !gauges.empty());
  }
};

StatsdMeaning meaning_of(const StatsdMetric& metric, const StatsdRules& rules);

}  // namespace davy::source
