// The error-rate metric: is V2's share of failed requests worse than tolerated?
//
// Why: the block e-variable for rare events (Null::Linear) needs only that the *average* rates of a
// block satisfy the null, so bursts common to both versions, ramps and changing weights are
// harmless. At 100 % there is no V1 beside V2: then V1's past rate stands in for it, each of its
// requests counted once by each test, and what that proves only holds (it is not concurrent).
// Threading: not thread-safe; owned by its Judge.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "canary/metric.h"
#include "canary/metric_tests.h"
#include "stats/robust.h"

namespace davy::canary {

class ErrorRate final : public Metric {
 public:
  explicit ErrorRate(const config::Policy& policy);

  void begin_stage() override;
  void learn(const Block& before) override;
  void learn_noise(const Block& block) override;
  void see(const Block& block, const StageTime& stage) override;
  void weigh(std::vector<MetricEvidence>& out) const override;
  void report(std::vector<MetricReport>& out) const override;
  void grow(double n1, double n2, std::vector<Growth>& out) const override;
  void archive(Archive& a) override;

 private:
  double baseline_rate() const;
  double widen_for_pods(const Block& block) const;
  void see_beside_the_past(const Block& block);
  stats::Sample past_beside(const Block& block, double lasts) const;

  const config::Policy policy_;

  MetricTests tests_;
  stats::Overdispersion split_;  // V1's own instances, in two halves
  stats::BurstLimit bursts_;     // of V1's errors, for comparing its instances

  // V1's rate as tests see it: exponentially forgotten, so that it follows the day.
  double recent_n_ = 0;
  double recent_k_ = 0;
  std::map<std::string, stats::Pod> baseline_pods_;
  std::map<std::string, std::size_t> half_of_;  // 0 or 1, in the order of first sight

  /// V1 as it was when V2 took over.
  struct Past {
    double n = 0, k = 0;
    double seconds = 0;  // since then
    void archive(Archive& a) { a(n, k, seconds); }
  };
  std::optional<Past> past_;
  stats::WorseTest since_past_;  // "worse than V1 was", FAIL's margin
};

}  // namespace davy::canary
