// An objective: an absolute limit on V2's share of bad requests, whatever V1 does.
//
// Why: "never more than 0.1 % errors" and "99 % within 500 ms" are promises to users, not
// comparisons. But a promise that V1 breaks, too, is no fault of V2's: the same test runs on V1,
// and while V1 misses the objective V2 is held, not rolled back. The null is "at most the limit"
// (Null::Single); a pass rules out 1.5 times the limit. Threading: not thread-safe; owned by its
// Judge.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "canary/metric.h"
#include "canary/metric_tests.h"

namespace davy::canary {

class Objective final : public Metric {
 public:
  /// At most the share `limit` of requests may fail.
  static Objective on_errors(const config::Policy& policy, double weight);
  /// At most 1 - quantile of them may take longer.
  static Objective on_latency(const config::Policy& policy, const config::LatencyLimit& limit,
                              double weight);

  /// A pass proves the limit with this much room: proving the limit itself would take for ever for
  /// a version that is just good enough.
  static constexpr double kPassRoom = 1.5;
  static stats::Null pass_null(double limit);

  void begin_stage() override;
  void learn(const Block& before) override;
  void learn_noise(const Block& block) override { learn(block); }
  void see(const Block& block, const StageTime& stage) override;
  void weigh(std::vector<MetricEvidence>& out) const override;
  void report(std::vector<MetricReport>& out) const override;
  void grow(double n1, double n2, std::vector<Growth>& out) const override;
  void archive(Archive& a) override;

 private:
  struct Bad {
    double requests = 0, bad = 0;
  };
  Objective(const config::Policy& policy, double limit, double weight,
            std::optional<config::LatencyLimit> latency);

  /// Nothing when the version does not show it.
  std::optional<Bad> count(const VersionCounts& version);
  bool baseline_misses() const;
  const config::Standing& standing() const;

  const config::Policy policy_;
  const double limit_;
  const double weight_;
  const std::optional<config::LatencyLimit> latency_;

  MetricTests tests_;
  stats::WorseTest baseline_;
  stats::Discount baseline_discount_;
  bool unseen_ = false;  // V2's last block did not show it
  double bound_ = 0;     // latency: where its requests were counted, seconds
};

}  // namespace davy::canary
