#include "canary/latency.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <utility>

#include "base/units.h"
#include "canary/phrases.h"

namespace davy::canary {
namespace {

constexpr double kWeight = 0.25;  // of all quantiles together
// Rounding may make a tolerance of 20 % at most 30 %; beyond that the buckets are too coarse.
constexpr double kCoarse = 1.5;

constexpr stats::Null kEqual{.kind = stats::Null::Kind::Equal};

}  // namespace

/// Bounds by their index. The tests that a bound is missing for do not run.
struct LatencyQuantile::Placed {
  std::size_t t1 = 0;
  std::optional<stats::Threshold> fail;
  std::optional<stats::Threshold> hold;
  stats::Threshold pass{};
  double p1 = 0;        // V1's rate above t1
  double p2_equal = 0;  // V1's rate above the pass threshold
  bool is_coarse = false;
};

LatencyQuantile::LatencyQuantile(const config::Policy& policy, double quantile, double weight)
    : policy_(policy),
      quantile_(quantile),
      u_(1 - quantile),
      weight_(weight),
      tests_(policy, {kEqual, kEqual, kEqual, kEqual}) {}

double LatencyQuantile::tail_rate(const stats::Tails& history, std::size_t bound) const {
  double p = (history.above[bound] + 0.5) / (history.total + 0.5 / u_);
  return std::clamp(p, 0.02 * u_, 0.9);
}

std::optional<LatencyQuantile::Placed> LatencyQuantile::place(const std::vector<double>& bounds,
                                                              const stats::Tails& history) const {
  if (bounds.empty() || history.total * u_ < kFewestAbove) return std::nullopt;
  const config::LatencyPolicy& tolerated = *policy_.latency;
  Placed at;
  at.t1 = stats::quantile_bound(history, u_);
  at.p1 = tail_rate(history, at.t1);
  at.fail = stats::rounded_up(bounds, at.t1, tolerated.fail_increase);
  at.hold = stats::rounded_up(bounds, at.t1, tolerated.warn_increase);
  at.pass = stats::rounded_down(bounds, at.t1, tolerated.pass_increase);
  at.p2_equal = std::min(at.p1, tail_rate(history, at.pass.bound));
  bool hold_coarse = !at.hold || at.hold->tolerance > kCoarse * tolerated.warn_increase;
  at.is_coarse = hold_coarse || at.pass.bound == at.t1;
  return at;
}

void LatencyQuantile::see(const Latencies& seen, double dt) {
  std::optional<Placed> at = place(seen.bounds, seen.history);
  if (!at) return;
  double n1 = seen.baseline.total;
  double n2 = seen.canary.total;
  double k1 = seen.baseline.above[at->t1];
  auto sample = [&](std::size_t t2) { return stats::Sample{n1, k1, n2, seen.canary.above[t2]}; };
  stats::Sample same = sample(at->t1);
  stats::Tempering tempering = tests_.discount.of(same, at->p1, dt);
  // Three tests of the same null at the same rate: their bets are the same, only V2's counts
  // differ.
  stats::WorseTest::Bets bets = tests_.warn.bets(n1, n2, at->p1);
  tests_.warn.see(same, bets, dt, tempering);
  if (at->fail) tests_.fail.see(sample(at->fail->bound), bets, dt, tempering);
  if (at->hold) tests_.hold->see(sample(at->hold->bound), bets, dt, tempering);
  if (at->pass.bound != at->t1)
    tests_.pass.see(sample(at->pass.bound), at->p1, at->p2_equal, tempering);
  tests_.discount.see(same, dt);

  stats::Sample shown = at->hold ? sample(at->hold->bound) : same;
  tests_.ratio.see(shown, tempering.phi);
  tests_.seen += shown;
  t1_ = seen.bounds[at->t1];
  t2_ = at->hold ? seen.bounds[at->hold->bound] : *t1_;
  tolerance_ = at->hold ? at->hold->tolerance : 0;
  is_coarse_ = at->is_coarse;
  next_bound_.reset();
  if (at->hold && at->t1 + 1 < seen.bounds.size()) next_bound_ = seen.bounds[at->t1 + 1];
}

void LatencyQuantile::learn_noise(const Latencies& seen, double dt) {
  std::optional<Placed> at = place(seen.bounds, seen.history);
  if (!at) return;
  tests_.discount.learn_noise({seen.baseline.total, seen.baseline.above[at->t1], seen.canary.total,
                               seen.canary.above[at->t1]},
                              dt);
}

Growth LatencyQuantile::growth(const Histogram& history, double n1, double n2) const {
  std::optional<Placed> at = place(history.bounds, stats::Tails(history));
  Growth g;
  if (!at) return g;
  double phi = tests_.discount.last().phi;
  stats::Sample equal{n1, n1 * at->p1, n2, n2 * at->p2_equal};
  g.pass = tests_.pass.growth(equal, at->p1, at->p2_equal) / phi;
  double p2 = (tests_.seen.k2 + 0.5) / (tests_.seen.n2 + 0.5 / u_);
  stats::Sample slower{n1, n1 * at->p1, n2, n2 * p2};
  double worse = std::clamp(p2, at->p1, 0.98);
  g.fail = stats::bet_on(kEqual, n1, n2, at->p1, worse).log_e(slower) / phi;
  g.fail = std::max(0.0, g.fail);
  return g;
}

MetricEvidence LatencyQuantile::evidence() const {
  MetricEvidence e = tests_.evidence();
  e.weight = weight_;
  e.effect = policy_.latency->standing.effect();
  e.gates = !is_coarse_;
  return e;
}

std::string LatencyQuantile::say_coarse() const {
  double wanted = policy_.latency->warn_increase * 100;
  if (!next_bound_) {
    return fmt::format("buckets too coarse: no bound lies {:.0f}% above {}", wanted,
                       units::show_latency(*t1_));
  }
  return fmt::format(
      "buckets too coarse: the next bound above {} is {}, so only more than {:.0f}% slower can be "
      "proven, not {:.0f}%",
      units::show_latency(*t1_), units::show_latency(*next_bound_), *tolerance_ * 100, wanted);
}

MetricReport LatencyQuantile::report() const {
  const config::LatencyPolicy& p = *policy_.latency;
  MetricReport r{.verdict = tests_.report(policy_)};
  MetricVerdict& m = r.verdict;
  m.title = fmt::format("p{:g}", quantile_ * 100);
  m.name = "latency_" + m.title;
  m.muted = p.standing.muted;
  m.baseline_threshold = t1_;
  m.canary_threshold = t2_;
  m.effective_tolerance = tolerance_;
  if (t1_) {
    r.facts = fmt::format("{} of V2's requests took longer than {}, {} of V1's took longer than {}",
                          units::show_percent(m.canary_rate), units::show_latency(*t2_),
                          units::show_percent(m.baseline_rate), units::show_latency(*t1_));
  }
  auto slower = [&](double tolerance) {
    return fmt::format("V2's {} is more than {:.0f}% slower", m.title, tolerance * 100);
  };
  r.fail_claim = slower(p.fail_increase);
  r.hold_claim = slower(tolerance_.value_or(p.warn_increase));
  r.pass_claim = fmt::format("a {} more than {:.0f}% slower", m.title, p.pass_increase * 100);
  if (is_coarse_) r.note = say_coarse();
  return r;
}

void LatencyQuantile::archive(Archive& a) {
  a(tests_, t1_, t2_, tolerance_, next_bound_, is_coarse_);
}

Latency::Latency(const config::Policy& policy) : policy_(policy) {
  // Inside latency the tail counts twice as much as the median.
  auto inner = [](double quantile) { return quantile <= 0.5 ? 0.2 : 0.4; };
  double sum = 0;
  for (double q : policy.latency->quantiles) sum += inner(q);
  for (double q : policy.latency->quantiles)
    quantiles_.emplace_back(policy, q, kWeight * inner(q) / sum);
}

void Latency::begin_stage() {
  for (LatencyQuantile& q : quantiles_) q.begin_stage();
}

void Latency::see(const Block& block, const StageTime& stage) {
  const std::optional<Histogram>& baseline = block.baseline.latency;
  const std::optional<Histogram>& canary = block.canary.latency;
  offered_ = offered_ || baseline || canary;
  alone_ = stage.alone;
  if (alone_) return;
  blind_ = baseline && canary ? ""
           : baseline         ? "V2 has no latency histogram"
                              : "V1 has no latency histogram";
  if (!baseline) return;
  std::optional<Histogram> warmed = warm(block, stage);
  if (warmed && history_ && stats::total(*warmed) > 0) {
    compare(*baseline, *warmed, [&](const LatencyQuantile::Latencies& seen) {
      for (LatencyQuantile& q : quantiles_) q.see(seen, block.dt);
    });
  }
  learn(block);
}

void Latency::learn_noise(const Block& block) {
  const std::optional<Histogram>& baseline = block.baseline.latency;
  const std::optional<Histogram>& canary = block.canary.latency;
  if (baseline && canary && history_) {
    compare(*baseline, *canary, [&](const LatencyQuantile::Latencies& seen) {
      for (LatencyQuantile& q : quantiles_) q.learn_noise(seen, block.dt);
    });
  }
  learn(block);
}

std::optional<Histogram> Latency::warm(const Block& block, const StageTime& stage) const {
  const VersionCounts& canary = block.canary;
  double warm_up = seconds(policy_.warm_up);
  bool ages_known = std::any_of(canary.pods.begin(), canary.pods.end(),
                                [](const PodCounts& pod) { return pod.age.has_value(); });
  if (!canary.latency) return std::nullopt;
  if (!ages_known) {
    if (stage.age < kBlindWarmUp * warm_up) return std::nullopt;
    return canary.latency;
  }
  Histogram rest = *canary.latency;
  for (const PodCounts& pod : canary.pods) {
    bool is_cold = pod.age && *pod.age - block.dt < warm_up;
    if (!is_cold || !pod.latency) continue;
    if (!stats::subtract(rest, *pod.latency)) return std::nullopt;
  }
  return rest;
}

template <typename Use>
void Latency::compare(const Histogram& baseline, const Histogram& canary, Use use) {
  using stats::Tails;
  if (baseline.bounds == canary.bounds && baseline.bounds == history_->bounds) {
    use({baseline.bounds, Tails(*history_), Tails(baseline), Tails(canary)});
    return;
  }
  std::vector<double> bounds = stats::common_bounds(baseline.bounds, canary.bounds);
  bounds = stats::common_bounds(bounds, history_->bounds);
  if (bounds.empty()) {
    blind_ = "the histograms of V1 and V2 have no bucket bound in common";
    return;
  }
  auto tails = [&](const Histogram& h) { return Tails(stats::project(h, bounds)); };
  use({bounds, tails(*history_), tails(baseline), tails(canary)});
}

void Latency::learn(const Block& block) {
  if (!block.baseline.latency) return;
  offered_ = true;
  const Histogram& baseline = *block.baseline.latency;
  if (!history_ || history_->bounds != baseline.bounds) {
    history_ = baseline;  // a new layout: what was learned does not fit it
    return;
  }
  stats::scale(*history_, std::exp2(-block.dt / kHistoryHalfLife));
  stats::add(*history_, baseline);
}

void Latency::weigh(std::vector<MetricEvidence>& out) const {
  for (const LatencyQuantile& q : quantiles_) {
    out.push_back(q.evidence());
    if (!offered_ || alone_) out.back().gates = false;
  }
}

void Latency::report(std::vector<MetricReport>& out) const {
  for (const LatencyQuantile& q : quantiles_) {
    out.push_back(q.report());
    if (!offered_) {
      out.back().note = "not judged: no latency histogram in either version";
    } else if (alone_) {
      out.back().note = "not judged: V2 has all the traffic, there is nothing to compare it with";
    } else if (!blind_.empty()) {
      out.back().note = blind_;
    }
  }
}

void Latency::grow(double n1, double n2, std::vector<Growth>& out) const {
  for (const LatencyQuantile& q : quantiles_) {
    out.push_back(history_ && !history_->bounds.empty() ? q.growth(*history_, n1, n2) : Growth{});
  }
}

void Latency::archive(Archive& a) {
  for (LatencyQuantile& q : quantiles_) a(q);
  a(history_, offered_, alone_, blind_);
}

}  // namespace davy::canary
