#include "canary/error_rate.h"

#include <algorithm>
#include <cmath>

namespace davy::canary {
namespace {

constexpr double kRateHalfLife = 600;  // seconds
// The prior of V1's rate: 0.1 %, worth 500 requests. It steers power, never validity.
constexpr double kPriorEvents = 0.5;
constexpr double kPriorRequests = 500;

stats::Null linear(const config::Margin& m) {
  return {.kind = stats::Null::Kind::Linear, .ratio = m.ratio, .absolute = m.absolute};
}

}  // namespace

ErrorRate::ErrorRate(const config::Policy& policy, double weight)
    : policy_(policy),
      weight_(weight),
      tests_(policy, linear(policy.error_rate.fail), linear({1, 0}),
             linear(policy.error_rate.pass)) {}

void ErrorRate::begin_stage() {
  tests_.begin_stage();
}

double ErrorRate::baseline_rate() const {
  return (recent_k_ + kPriorEvents) / (recent_n_ + kPriorRequests);
}

void ErrorRate::see(const Block& block) {
  stats::Sample s{block.baseline.requests, block.baseline.errors, block.canary.requests,
                  block.canary.errors};
  double p1 = baseline_rate();
  double widen = widen_for_pods(block);
  stats::Tempering tempering = tests_.discount.of(s, p1, block.dt, split_.factor());
  tests_.fail.see(s, p1, block.dt, tempering, widen);
  tests_.warn.see(s, p1, block.dt, tempering, widen);
  tests_.pass.see(s, p1, p1, tempering);
  tests_.ratio.see(s, tempering.phi);
  tests_.discount.see(s, block.dt);
  tests_.seen += s;
  learn(block.baseline, block.dt);
}

void ErrorRate::learn(const VersionCounts& baseline, double dt) {
  double keep = std::exp2(-dt / kRateHalfLife);
  recent_n_ = recent_n_ * keep + baseline.requests;
  recent_k_ = recent_k_ * keep + baseline.errors;

  stats::Sample halves;
  for (const PodCounts& pod : baseline.pods) {
    baseline_pods_[pod.id].n += pod.requests;
    baseline_pods_[pod.id].k += pod.errors;
    std::size_t half = half_of_.try_emplace(pod.id, half_of_.size() % 2).first->second;
    (half == 0 ? halves.n1 : halves.n2) += pod.requests;
    (half == 0 ? halves.k1 : halves.k2) += pod.errors;
  }
  split_.see(halves);
}

/// How much V1's instances have differed so far.
double ErrorRate::widen_for_pods(const Block& block) const {
  if (!policy_.robustness.on) return 1;
  std::vector<stats::Pod> pods;
  for (const auto& [id, pod] : baseline_pods_) pods.push_back(pod);
  return stats::pod_margin(pods, std::max<std::size_t>(1, block.canary.pods.size()),
                           split_.factor());
}

Growth ErrorRate::growth(double n1, double n2) const {
  double p1 = baseline_rate();
  // V2's rate, drawn towards V1's while little is known.
  double p2 = (tests_.seen.k2 + p1 * kPriorRequests) / (tests_.seen.n2 + kPriorRequests);
  stats::Sample expected{n1, n1 * p1, n2, n2 * p2};
  Growth g;
  for (double bet : tests_.pass.alternatives(p1, p1)) {
    g.pass = std::max(g.pass, stats::log_e(linear(policy_.error_rate.pass), expected, p1, bet));
  }
  g.fail = std::max(0.0, stats::log_e(linear(policy_.error_rate.fail), expected, p1,
                                      std::max(p2, linear(policy_.error_rate.fail).boundary(p1))));
  g.pass /= tests_.discount.last().phi;
  g.fail /= tests_.discount.last().phi;
  return g;
}

MetricVerdict ErrorRate::report() const {
  MetricVerdict m = tests_.report(policy_);
  m.name = "error_rate";
  m.weight = weight_;
  return m;
}

}  // namespace davy::canary
