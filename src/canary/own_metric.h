// One of the deployment's own metrics (memory, CPU, queue depth): is V2's value above tolerance?
//
// Why: a gauge has no counts; both versions' values are compared interval by interval (at least
// 15 s each) by the paired test of stats/paired.h, so what moves both alike cancels. With `bad:
// down` the roles are turned round: V1's value against what is tolerated of V2's.
// Not judged while V2 warms up, nor at 100 % (there is no V1 beside it).
// Threading: not thread-safe; owned by its Judge.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "canary/metric.h"
#include "stats/paired.h"

namespace davy::canary {

class OwnMetric final : public Metric {
 public:
  static constexpr double kIntervalSeconds = 15;  // shorter ones would say the same thing twice
  /// Nats per second: an interval brings half a nat at most, and a little less on average.
  static constexpr double kFastestGrowth = 0.4 / kIntervalSeconds;

  OwnMetric(const config::Policy& policy, const config::ValuePolicy& metric);

  void begin_stage() override;
  void see(const Block& block, const StageTime& stage) override;
  void weigh(std::vector<MetricEvidence>& out) const override;
  void report(std::vector<MetricReport>& out) const override;
  void grow(double n1, double n2, std::vector<Growth>& out) const override;
  void archive(Archive& a) override;

 private:
  /// By how much V2 is beyond the margin; > 0 is worse.
  double beyond(const config::Margin& margin, double v1, double v2) const;
  void see_interval(double v1, double v2, double dt);

  const config::Policy policy_;
  const config::ValuePolicy metric_;

  stats::PairedTest fail_, warn_, pass_;
  std::optional<stats::PairedTest> hold_;
  stats::Autocorrelation lingering_;  // of the differences
  stats::DifferenceInterval interval_;
  // The interval that is being gathered: sums of value x seconds.
  double open_v1_ = 0, open_v2_ = 0, open_seconds_ = 0;
  // Everything so far, for people.
  double sum_v1_ = 0, sum_v2_ = 0;
  double seconds_ = 0;  // that both showed it
  double intervals_ = 0;
  bool missing_ = false;  // in the last block
};

}  // namespace davy::canary
