// The error-rate metric: is V2's share of failed requests worse than tolerated?
//
// Why: the block e-variable for rare events (Null::Linear) needs only that the *average* rates of a
// block satisfy the null, so bursts common to both versions, ramps and changing weights are
// harmless. Threading: not thread-safe; owned by its Judge.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "canary/metric_tests.h"
#include "config/policy.h"
#include "davy/block.h"
#include "davy/verdict.h"
#include "stats/robust.h"

namespace davy::canary {

class ErrorRate {
 public:
  ErrorRate(const config::Policy& policy, double weight);

  void begin_stage();
  /// V1's traffic before the canary: sharpens the tests, proves nothing.
  void learn(const VersionCounts& baseline, double dt);
  /// REQUIRES: a closed block.
  void see(const Block& block);

  MetricVerdict report() const;
  /// With `n1`, `n2` requests per second.
  Growth growth(double n1, double n2) const;

 private:
  double baseline_rate() const;
  double widen_for_pods(const Block& block) const;

  const config::Policy policy_;
  const double weight_;

  MetricTests tests_;
  stats::Overdispersion split_;  // V1's own instances, in two halves

  // V1's rate as tests see it: exponentially forgotten, so that it follows the day.
  double recent_n_ = 0;
  double recent_k_ = 0;
  std::map<std::string, stats::Pod> baseline_pods_;
  std::map<std::string, std::size_t> half_of_;  // 0 or 1, in the order of first sight
};

}  // namespace davy::canary
