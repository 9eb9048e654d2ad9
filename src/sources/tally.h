// Tally: what was added to one version's counters in a span, and a block made of many tallies.
//
// Why: every source ends here, whether it reads counters (scrape), is sent events (StatsD) or
// counts that others made (Prometheus, Redis): one way from counts to davy::Block. Shapes:
// histograms per bucket, not cumulative, bounds in seconds, ascending. Threading: plain values and
// pure functions. Failure: none; what cannot be compared is told.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "davy/block.h"
#include "sources/reading.h"

namespace davy {
class Archive;
}

namespace davy::source {

/// What was added to one version's counters since the last commit. Histograms by their bounds:
/// several may differ in them.
struct Tally {
  using Histograms = std::map<std::vector<double>, std::vector<double>>;  // bounds -> counts
  /// One of the deployment's own metrics.
  struct Sum {
    double of = 0;        // a gauge's values, a counter's growth
    double readings = 0;  // in which it was there
    void archive(Archive& state);
  };

  double requests = 0;
  double errors = 0;
  Histograms latency;
  std::vector<Sum> values;  // as in Rules; shorter when the rest was never there

  void archive(Archive& state);
};

void add(const Tally::Histograms& more, Tally::Histograms& sum);

/// All of them at the bounds that they have in common; nothing when they have none, or there are
/// none.
std::optional<Histogram> at_common_bounds(const Tally::Histograms& histograms);

/// Both at the bounds that both have, when they differ.
void share_bounds(std::optional<Histogram>& a, std::optional<Histogram>& b);

/// Whether the bounds ascend from 0 on and each bucket, one more than bounds, holds a count.
bool is_histogram(const std::vector<double>& bounds, const std::vector<double>& counts);

/// One instance's part of a version's counts in a span.
struct Portion {
  Side side = Side::Baseline;
  std::string pod;  // for PodCounts; "" when it is not one instance
  Tally tally;
  double restarts = 0;
  std::optional<double> age;  // seconds since its process started, at the end of the span
};

/// `t` and `weight` stay empty. `values` are those of the rules. What cannot be compared is added
/// to `troubles`. REQUIRES: dt > 0, in seconds; all portions cover the same span.
Block make_block(const std::vector<Portion>& portions, const std::vector<Rules::Value>& values,
                 double dt, std::vector<std::string>& troubles);

}  // namespace davy::source
