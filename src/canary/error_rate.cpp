#include "canary/error_rate.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>

#include "canary/phrases.h"

namespace davy::canary {
namespace {

constexpr double kWeight = 0.45;
constexpr double kRateHalfLife = 600;  // seconds
// The prior of V1's rate: 0.1 %, worth 500 requests. It steers power, never validity.
constexpr double kPriorEvents = 0.5;
constexpr double kPriorRequests = 500;
// Seconds over which each test uses V1's past up: to find a fault there is time, a pass is waited
// for.
constexpr double kPastLastsForFail = 3600;
constexpr double kPastLastsForPass = 600;

MetricTests::Nulls nulls(const config::ErrorRatePolicy& p) {
  MetricTests::Nulls all{linear(p.fail), linear({1, 0}), linear(p.pass)};
  if (p.warn) all.hold = linear(*p.warn);
  return all;
}

}  // namespace

ErrorRate::ErrorRate(const config::Policy& policy)
    : policy_(policy),
      tests_(policy, nulls(policy.error_rate)),
      since_past_(linear(policy.error_rate.fail)) {}

void ErrorRate::begin_stage() {
  tests_.begin_stage();
  since_past_.begin_stage();
}

double ErrorRate::baseline_rate() const {
  return (recent_k_ + kPriorEvents) / (recent_n_ + kPriorRequests);
}

void ErrorRate::see(const Block& block, const StageTime& stage) {
  if (stage.alone) return see_beside_the_past(block);
  past_.reset();
  stats::Sample s{block.baseline.requests, block.baseline.errors, block.canary.requests,
                  block.canary.errors};
  double p1 = baseline_rate();
  stats::Tempering tempering = tests_.see(s, p1, block.dt, split_.factor(), widen_for_pods(block));
  tests_.pass.see(s, p1, p1, tempering);
  learn(block);
}

/// A part of V1's past events, as large as the part of its requests, is at most as surprising as
/// all of them (Jensen), so each counted once keeps the promise as far as V1 would have stayed the
/// same.
void ErrorRate::see_beside_the_past(const Block& block) {
  if (!past_) past_ = Past{recent_n_, recent_k_};
  double p1 = (past_->k + kPriorEvents) / (past_->n + kPriorRequests);
  stats::Sample for_fail = past_beside(block, kPastLastsForFail);
  stats::Sample for_pass = past_beside(block, kPastLastsForPass);
  stats::Tempering tempering = tests_.discount.of(for_fail, p1, block.dt);
  if (for_fail.n1 > 0) since_past_.see(for_fail, p1, block.dt, tempering);
  if (for_pass.n1 > 0) tests_.pass.see(for_pass, p1, p1, tempering);
  tests_.discount.see(for_fail, block.dt);
  tests_.seen += {0, 0, for_fail.n2, for_fail.k2};
  past_->seconds += block.dt;
}

/// V2's block beside the part of V1's past that falls to it.
stats::Sample ErrorRate::past_beside(const Block& block, double lasts) const {
  double part = std::clamp(lasts - past_->seconds, 0.0, block.dt) / lasts;
  return {past_->n * part, past_->k * part, block.canary.requests, block.canary.errors};
}

void ErrorRate::learn(const Block& block) {
  const VersionCounts& baseline = block.baseline;
  double keep = std::exp2(-block.dt / kRateHalfLife);
  recent_n_ = recent_n_ * keep + baseline.requests;
  recent_k_ = recent_k_ * keep + baseline.errors;

  // An instance's burst is no lasting difference: it widens the margin only as far as it counts.
  // The halves see it in full, as overdispersion.
  if (!bursts_.started()) bursts_.start(baseline_rate() * baseline.requests / block.dt);
  double share = bursts_.share(baseline.errors, block.dt);
  bursts_.see(baseline.errors, block.dt);
  stats::Sample halves;
  for (const PodCounts& pod : baseline.pods) {
    baseline_pods_[pod.id].n += pod.requests;
    baseline_pods_[pod.id].k += pod.errors * share;
    std::size_t half = half_of_.try_emplace(pod.id, half_of_.size() % 2).first->second;
    (half == 0 ? halves.n1 : halves.n2) += pod.requests;
    (half == 0 ? halves.k1 : halves.k2) += pod.errors;
  }
  split_.see(halves);
}

void ErrorRate::learn_noise(const Block& block) {
  tests_.discount.learn_noise(
      {block.baseline.requests, block.baseline.errors, block.canary.requests, block.canary.errors},
      block.dt);
  learn(block);
}

/// How much V1's instances have differed so far.
double ErrorRate::widen_for_pods(const Block& block) const {
  if (!policy_.robustness.on) return 1;
  std::vector<stats::Pod> pods;
  pods.reserve(baseline_pods_.size());
  for (const auto& [id, pod] : baseline_pods_) pods.push_back(pod);
  return stats::pod_margin(pods, std::max<std::size_t>(1, block.canary.pods.size()),
                           split_.factor());
}

void ErrorRate::weigh(std::vector<MetricEvidence>& out) const {
  MetricEvidence e = tests_.evidence();
  e.weight = kWeight;
  e.effect = policy_.error_rate.standing.effect();
  if (past_) e.hold = since_past_.log_e();
  out.push_back(e);
}

void ErrorRate::report(std::vector<MetricReport>& out) const {
  const config::ErrorRatePolicy& p = policy_.error_rate;
  MetricReport r{.verdict = tests_.report(policy_)};
  r.verdict.name = "error_rate";
  r.verdict.title = "error rate";
  r.verdict.muted = p.standing.muted;
  if (past_) r.verdict.hold = Evidence{since_past_.log_e(), std::log(1 / policy_.false_hold)};
  if (tests_.seen.n1 > 0 || tests_.seen.n2 > 0) r.facts = say_rates(r.verdict, "fails", "requests");
  r.fail_claim = "Tolerated was " + say_margin(p.fail);
  config::Margin hold = past_ ? p.fail : p.warn.value_or(p.fail);
  r.hold_claim = "V2's error rate is above " + say_margin(hold);
  r.pass_claim = "an error rate above " + say_margin(p.pass);
  if (past_) r.note = "V2 has all the traffic: it is held against V1's past, not concurrent";
  out.push_back(std::move(r));
}

void ErrorRate::grow(double n1, double n2, std::vector<Growth>& out) const {
  double p1 = baseline_rate();
  // V2's rate, drawn towards V1's while little is known.
  double p2 = (tests_.seen.k2 + p1 * kPriorRequests) / (tests_.seen.n2 + kPriorRequests);
  if (past_) n1 = past_->n / kPastLastsForPass;
  stats::Sample expected{n1, n1 * p1, n2, n2 * p2};
  stats::Null fail = linear(policy_.error_rate.fail);
  Growth g;
  g.pass = tests_.pass.growth(expected, p1, p1);
  double worse = std::max(p2, fail.boundary(p1));
  g.fail = std::max(0.0, stats::bet_on(fail, n1, n2, p1, worse).log_e(expected));
  g.pass /= tests_.discount.last().phi;
  g.fail /= tests_.discount.last().phi;
  out.push_back(g);
}

void ErrorRate::archive(Archive& a) {
  a(tests_, split_, bursts_, recent_n_, recent_k_, baseline_pods_, half_of_, past_, since_past_);
}

}  // namespace davy::canary
