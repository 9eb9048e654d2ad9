// The restarts metric: do V2's instances crash more often than V1's?
//
// Why: an instance that dies takes its last error counts with it, so a crashing version can look
// clean. Events are restarts, "requests" are seconds of instances; tolerated are 1.2 times V1's
// rate plus `per_day` restarts an instance. It never holds up a pass: to prove that nothing crashes
// once a day takes days. Threading: not thread-safe; owned by its Judge.
#pragma once

#include <vector>

#include "canary/metric.h"
#include "canary/metric_tests.h"

namespace davy::canary {

class Restarts final : public Metric {
 public:
  /// REQUIRES: policy.restarts.
  explicit Restarts(const config::Policy& policy);

  void begin_stage() override { tests_.begin_stage(); }
  void learn(const Block& before) override;
  void see(const Block& block, const StageTime& stage) override;
  void weigh(std::vector<MetricEvidence>& out) const override;
  void report(std::vector<MetricReport>& out) const override;
  void grow(double n1, double n2, std::vector<Growth>& out) const override;
  void archive(Archive& a) override { a(tests_, baseline_n_, baseline_k_); }

 private:
  double baseline_rate() const;

  const config::Policy policy_;
  MetricTests tests_;
  double baseline_n_ = 0, baseline_k_ = 0;  // V1's seconds and restarts so far
};

}  // namespace davy::canary
