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

double share(double k, double n) {
  return n > 0 ? k / n : 0;
}

}  // namespace

ErrorRate::ErrorRate(const config::Policy& policy, double weight)
    : policy_(policy),
      weight_(weight),
      fail_(linear(policy.error_rate.fail)),
      warn_(linear({1, 0})),
      pass_(linear(policy.error_rate.pass)),
      discount_(policy.robustness) {}

void ErrorRate::begin_stage() {
  fail_.begin_stage();
  warn_.begin_stage();
  pass_.restart();
}

double ErrorRate::baseline_rate() const {
  return (recent_k_ + kPriorEvents) / (recent_n_ + kPriorRequests);
}

void ErrorRate::see(const Block& block) {
  stats::Sample s{block.baseline.requests, block.baseline.errors, block.canary.requests,
                  block.canary.errors};
  double p1 = baseline_rate();
  double widen = widen_for_pods(block);
  stats::Tempering tempering = discount_.of(s, p1, block.dt, split_.factor());
  phi_ = tempering.phi;
  fail_.see(s, p1, block.dt, tempering, widen);
  warn_.see(s, p1, block.dt, tempering, widen);
  pass_.see(s, p1, p1, tempering);
  ratio_.see(s, tempering.phi);
  discount_.see(s, block.dt);

  learn(block.baseline, block.dt);
  seen_.n1 += s.n1;
  seen_.k1 += s.k1;
  seen_.n2 += s.n2;
  seen_.k2 += s.k2;
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
  double p2 = (seen_.k2 + p1 * kPriorRequests) / (seen_.n2 + kPriorRequests);
  stats::Sample expected{n1, n1 * p1, n2, n2 * p2};
  Growth g;
  for (double bet : pass_.alternatives(p1, p1)) {
    g.pass = std::max(g.pass, stats::log_e(linear(policy_.error_rate.pass), expected, p1, bet));
  }
  g.fail = std::max(0.0, stats::log_e(linear(policy_.error_rate.fail), expected, p1,
                                      std::max(p2, linear(policy_.error_rate.fail).boundary(p1))));
  g.pass /= phi_;
  g.fail /= phi_;
  return g;
}

MetricVerdict ErrorRate::report() const {
  MetricVerdict m;
  m.name = "error_rate";
  m.weight = weight_;
  m.baseline_requests = seen_.n1;
  m.baseline_events = seen_.k1;
  m.canary_requests = seen_.n2;
  m.canary_events = seen_.k2;
  m.baseline_rate = share(seen_.k1, seen_.n1);
  m.canary_rate = share(seen_.k2, seen_.n2);
  m.ratio = ratio_.interval();
  m.fail = {fail_.log_e(), std::log(1 / policy_.false_rollback)};
  m.warn = {warn_.log_e(), std::log(1 / policy_.false_hold)};
  m.pass = {pass_.log_e(), std::log(1 / policy_.false_promote)};
  m.overdispersion = discount_.overdispersion();
  m.discount = phi_;
  return m;
}

}  // namespace davy::canary
