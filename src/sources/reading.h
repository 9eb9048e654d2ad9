// Reading: one scrape of one target, reduced to the series that count.
//
// Why: the pure half of scraping: text in, values out. It runs on the worker that fetched the text,
// so that a hundred targets are parsed in parallel, and remembers nothing (see counters.h).
// Threading: pure; Rules are immutable.
// Failure: an Error when the body cannot be trusted as a whole; single series that cannot are left
// out and told in `remarks`.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
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

struct Reading {
  struct Counter {
    std::string series;  // name and labels: the same text for the same series
    Side side = Side::Baseline;
    double value = 0;
    bool is_request = false;
    bool is_error = false;
    std::vector<std::size_t> values{};  // that it is a part of, as in Rules
  };
  /// One histogram: `cumulative[i]` requests took at most `bounds[i]` seconds; the last one is all.
  struct Buckets {
    std::string series;
    Side side = Side::Baseline;
    std::vector<double> bounds;
    std::vector<double> cumulative;  // one more than bounds
  };
  struct Seen {
    bool requests = false;  // a series that counts requests
    bool errors = false;    // and one by which errors would show
  };
  /// What the target shows of one of the deployment's own metrics.
  struct Shown {
    bool is_there = false;
    double gauge = 0;  // the sum of its series; 0 for a counter, which stands among the counters
  };

  double at = 0;  // when it was taken, seconds since 1970; 0 = now, by whoever asked
  std::vector<Counter> counters;
  std::vector<Buckets> histograms;
  std::array<Seen, 2> seen;                  // by side
  std::array<std::vector<Shown>, 2> values;  // by side, as in Rules
  std::optional<double> start;  // of the process, seconds since 1970; of a target of one version
  std::vector<std::string> remarks;  // what was left out and why, for a person
  std::string others;  // series that could have been meant, when no request series is there
};

/// `max_series` bounds what one target may make us remember; more is an Error.
Result<Reading> read_metrics(std::string_view body, const Rules& rules,
                             const std::vector<Share>& shares, std::size_t max_series);

/// The same of samples that somebody else has parsed.
struct NamedSample {
  std::string_view name;
  Labels labels;
  double value = 0;
};
Reading read_samples(const std::vector<NamedSample>& samples, const Rules& rules,
                     const std::vector<Share>& shares);

/// The name of the series that tells when a process started.
inline constexpr std::string_view kStartTime = "process_start_time_seconds";

}  // namespace davy::source
