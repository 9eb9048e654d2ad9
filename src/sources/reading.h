// Reading: one scrape of one target, reduced to the series that count.
//
// Why: the pure half of a source: what was read, in values; what was added since the last reading
// is counted elsewhere (counters.h). Threading: plain values.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "davy/result.h"
#include "sources/rules.h"

namespace davy::source {

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
  std::size_t malformed = 0;         // lines left out, or families of protobuf
  std::size_t left_out = 0;          // series of no use: twice there, or of impossible values
  std::string others;  // series that could have been meant, when no request series is there
};

/// A whole page of text at once, of a target that was never read before (catalogue.h for the
/// others).
Result<Reading> read_metrics(std::string_view body, const Rules& rules,
                             const std::vector<Share>& shares, std::size_t max_series);

/// The name of the series that tells when a process started.
inline constexpr std::string_view kStartTime = "process_start_time_seconds";

}  // namespace davy::source
