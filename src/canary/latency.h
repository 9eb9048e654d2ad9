// The latency metrics: is V2 slower than tolerated at p50, p95, p99?
//
// Why: quantiles themselves cannot be merged or tested exactly; shares can. V1's own quantile sets
// a threshold t1; V2 is held against t2 = (1 + tolerance) t1, rounded to a bucket bound so that the
// claim gets harder, and "V2's share slower than t2 is at most V1's share slower than t1" is tested
// (Null::Equal). It follows from "V2 is at most that much slower" for *every* t1, so t1 may move.
// Failure: buckets too coarse for the tolerance: the metric says so and does not hold up a pass.
// Threading: not thread-safe; owned by its Judge.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "canary/metric.h"
#include "canary/metric_tests.h"
#include "stats/buckets.h"

namespace davy::canary {

// What V1's latencies must show before they are a measure.
inline constexpr double kHistoryHalfLife = 300;  // seconds
/// A quantile needs this many V1 requests above it before its threshold means anything.
inline constexpr double kFewestAbove = 2;
/// Without instances' ages the first part of a stage is taken for warm-up, with some room.
inline constexpr double kBlindWarmUp = 1.5;

/// One quantile's tests.
class LatencyQuantile {
 public:
  LatencyQuantile(const config::Policy& policy, double quantile, double weight);

  void begin_stage() { tests_.begin_stage(); }
  /// Latencies on the same bounds: V1's past, and both versions' in the block.
  struct Latencies {
    const std::vector<double>& bounds;
    stats::Tails history, baseline, canary;
  };
  void see(const Latencies& seen, double dt);
  void learn_noise(const Latencies& seen, double dt);

  MetricEvidence evidence() const;
  MetricReport report() const;
  Growth growth(const Histogram& history, double n1, double n2) const;
  void archive(Archive& a);

 private:
  struct Placed;  // where the thresholds lie
  std::optional<Placed> place(const std::vector<double>& bounds, const stats::Tails& history) const;
  double tail_rate(const stats::Tails& history, std::size_t bound) const;
  std::string say_coarse() const;

  const config::Policy policy_;
  const double quantile_;
  const double u_;  // the share of V1's requests above t1
  const double weight_;

  MetricTests tests_;  // "seen" counts V1 above t1 and V2 above the hold threshold
  std::optional<double> t1_, t2_, tolerance_;
  std::optional<double> next_bound_;  // above t1; none when no bound lies far enough above it
  bool is_coarse_ = false;            // the buckets cannot prove what the policy asks
};

/// All quantiles, and the history of V1 that they share.
class Latency final : public Metric {
 public:
  /// REQUIRES: policy.latency.
  explicit Latency(const config::Policy& policy);

  void begin_stage() override;
  void learn(const Block& before) override;
  void learn_noise(const Block& block) override;
  void see(const Block& block, const StageTime& stage) override;
  void weigh(std::vector<MetricEvidence>& out) const override;
  void report(std::vector<MetricReport>& out) const override;
  void grow(double n1, double n2, std::vector<Growth>& out) const override;
  void archive(Archive& a) override;

  /// Some block had latencies, of either version. Until then there is nothing to gate on.
  bool offered() const { return offered_; }

 private:
  /// V2's latencies without those of instances that warm up; nothing while all of it does.
  std::optional<Histogram> warm(const Block& block, const StageTime& stage) const;
  /// Calls `use` with all three on the same bounds, or says why it cannot.
  template <typename Use>
  void compare(const Histogram& baseline, const Histogram& canary, Use use);

  const config::Policy policy_;
  std::vector<LatencyQuantile> quantiles_;
  std::optional<Histogram> history_;  // V1's, exponentially forgotten
  bool offered_ = false;
  bool alone_ = false;  // nothing beside V2 to compare with
  std::string blind_;   // why V2 cannot be compared, or ""
};

}  // namespace davy::canary
