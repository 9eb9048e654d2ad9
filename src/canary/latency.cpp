#include "canary/latency.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <utility>

#include "base/units.h"

namespace davy::canary {
namespace {

constexpr double kHistoryHalfLife = 300;  // seconds
// A quantile needs this many V1 requests above it before its threshold means anything.
constexpr double kFewestAbove = 2;
// Rounding may make a tolerance of 20 % at most 30 %; beyond that the buckets are too coarse.
constexpr double kCoarse = 1.5;

constexpr stats::Null kEqual{.kind = stats::Null::Kind::Equal};

std::string quantile_name(double quantile) {
  return fmt::format("latency_p{:g}", quantile * 100);
}

}  // namespace

/// Bounds by their index. The tests that a bound is missing for do not run.
struct LatencyQuantile::Placed {
  std::size_t t1 = 0;
  std::optional<stats::Threshold> fail;
  std::optional<stats::Threshold> hold;
  stats::Threshold pass{};
  double p1 = 0;        // V1's rate above t1
  double p2_equal = 0;  // V1's rate above the pass threshold
  std::string coarse;
};

LatencyQuantile::LatencyQuantile(const config::Policy& policy, double quantile, double weight)
    : policy_(policy),
      quantile_(quantile),
      u_(1 - quantile),
      weight_(weight),
      tests_(policy, kEqual, kEqual, kEqual),
      hold_(kEqual) {}

void LatencyQuantile::begin_stage() {
  tests_.begin_stage();
  hold_.begin_stage();
}

double LatencyQuantile::tail_rate(const Histogram& history, std::size_t bound) const {
  double p = (stats::above(history, bound) + 0.5) / (stats::total(history) + 0.5 / u_);
  return std::clamp(p, 0.02 * u_, 0.9);
}

std::optional<LatencyQuantile::Placed> LatencyQuantile::place(const Histogram& history) const {
  if (history.bounds.empty() || stats::total(history) * u_ < kFewestAbove) return std::nullopt;
  const config::LatencyPolicy& tolerated = *policy_.latency;
  const std::vector<double>& bounds = history.bounds;
  Placed at;
  at.t1 = stats::quantile_bound(history, u_);
  at.p1 = tail_rate(history, at.t1);
  at.fail = stats::rounded_up(bounds, at.t1, tolerated.fail_increase);
  at.hold = stats::rounded_up(bounds, at.t1, tolerated.warn_increase);
  at.pass = stats::rounded_down(bounds, at.t1, tolerated.pass_increase);
  at.p2_equal = std::min(at.p1, tail_rate(history, at.pass.bound));
  bool hold_coarse = !at.hold || at.hold->tolerance > kCoarse * tolerated.warn_increase;
  if (hold_coarse || at.pass.bound == at.t1) {
    at.coarse =
        at.hold ? fmt::format(
                      "buckets too coarse: the next bound above {} is {}, so only more than "
                      "{:.0f}% slower can be proven, not {:.0f}%",
                      units::show_latency(bounds[at.t1]), units::show_latency(bounds[at.t1 + 1]),
                      at.hold->tolerance * 100, tolerated.warn_increase * 100)
                : fmt::format("buckets too coarse: no bound lies {:.0f}% above {}",
                              tolerated.warn_increase * 100, units::show_latency(bounds[at.t1]));
  }
  return at;
}

void LatencyQuantile::see(const Histogram& history, const Histogram& baseline,
                          const Histogram& canary, double dt) {
  std::optional<Placed> at = place(history);
  if (!at) return;
  double n1 = stats::total(baseline);
  double n2 = stats::total(canary);
  auto sample = [&](std::size_t t2) {
    return stats::Sample{n1, stats::above(baseline, at->t1), n2, stats::above(canary, t2)};
  };
  stats::Sample same = sample(at->t1);
  stats::Tempering tempering = tests_.discount.of(same, at->p1, dt);
  tests_.warn.see(same, at->p1, dt, tempering);
  if (at->fail) tests_.fail.see(sample(at->fail->bound), at->p1, dt, tempering);
  if (at->hold) hold_.see(sample(at->hold->bound), at->p1, dt, tempering);
  if (at->pass.bound != at->t1)
    tests_.pass.see(sample(at->pass.bound), at->p1, at->p2_equal, tempering);
  tests_.discount.see(same, dt);

  stats::Sample shown = at->hold ? sample(at->hold->bound) : same;
  tests_.ratio.see(shown, tempering.phi);
  tests_.seen += shown;
  t1_ = history.bounds[at->t1];
  t2_ = at->hold ? history.bounds[at->hold->bound] : *t1_;
  tolerance_ = at->hold ? at->hold->tolerance : 0;
  coarse_ = at->coarse;
}

Growth LatencyQuantile::growth(const Histogram& history, double n1, double n2) const {
  std::optional<Placed> at = place(history);
  Growth g;
  if (!at) return g;
  double phi = tests_.discount.last().phi;
  stats::Sample equal{n1, n1 * at->p1, n2, n2 * at->p2_equal};
  for (double bet : tests_.pass.alternatives(at->p1, at->p2_equal)) {
    g.pass = std::max(g.pass, stats::log_e(kEqual, equal, at->p1, bet) / phi);
  }
  double p2 = (tests_.seen.k2 + 0.5) / (tests_.seen.n2 + 0.5 / u_);
  stats::Sample slower{n1, n1 * at->p1, n2, n2 * p2};
  g.fail = stats::log_e(kEqual, slower, at->p1, std::clamp(p2, at->p1, 0.98)) / phi;
  g.fail = std::max(0.0, g.fail);
  return g;
}

MetricVerdict LatencyQuantile::report() const {
  MetricVerdict m = tests_.report(policy_);
  m.name = quantile_name(quantile_);
  m.weight = weight_;
  m.gates = coarse_.empty();
  m.baseline_threshold = t1_;
  m.canary_threshold = t2_;
  m.effective_tolerance = tolerance_;
  m.hold = Evidence{hold_.log_e(), std::log(1 / policy_.false_hold)};
  m.sentence = coarse_;
  return m;
}

Latency::Latency(const config::Policy& policy, double weight) {
  // Inside latency the tail counts twice as much as the median.
  auto inner = [](double quantile) { return quantile <= 0.5 ? 0.2 : 0.4; };
  double sum = 0;
  for (double q : policy.latency->quantiles) sum += inner(q);
  for (double q : policy.latency->quantiles)
    quantiles_.emplace_back(policy, q, weight * inner(q) / sum);
}

void Latency::begin_stage() {
  for (LatencyQuantile& q : quantiles_) q.begin_stage();
}

void Latency::see(const Block& block, bool warm) {
  const std::optional<Histogram>& baseline = block.baseline.latency;
  const std::optional<Histogram>& canary = block.canary.latency;
  offered_ = offered_ || baseline || canary;
  blind_ = baseline && canary ? ""
           : baseline         ? "V2 has no latency histogram"
                              : "V1 has no latency histogram";
  if (!baseline) return;
  if (canary && history_ && stats::total(*canary) > 0) compare(*baseline, *canary, block.dt, warm);
  learn(*baseline, block.dt);
}

void Latency::compare(const Histogram& baseline, const Histogram& canary, double dt, bool warm) {
  std::vector<double> bounds = stats::common_bounds(baseline.bounds, canary.bounds);
  bounds = stats::common_bounds(bounds, history_->bounds);
  if (bounds.empty()) {
    blind_ = "the histograms of V1 and V2 have no bucket bound in common";
    return;
  }
  if (!warm) return;
  Histogram history = stats::project(*history_, bounds);
  Histogram v1 = stats::project(baseline, bounds);
  Histogram v2 = stats::project(canary, bounds);
  for (LatencyQuantile& q : quantiles_) q.see(history, v1, v2, dt);
}

void Latency::learn(const Histogram& baseline, double dt) {
  if (!history_ || history_->bounds != baseline.bounds) {
    history_ = baseline;  // a new layout: what was learned does not fit it
    return;
  }
  stats::scale(*history_, std::exp2(-dt / kHistoryHalfLife));
  stats::add(*history_, baseline);
}

std::vector<MetricVerdict> Latency::report() const {
  std::vector<MetricVerdict> all;
  for (const LatencyQuantile& q : quantiles_) {
    all.push_back(q.report());
    MetricVerdict& m = all.back();
    if (!offered_) {
      m.gates = false;
      m.sentence = "not judged: no latency histogram in either version";
    } else if (!blind_.empty()) {
      m.sentence = blind_;
    }
  }
  return all;
}

std::vector<Growth> Latency::growth(double n1, double n2) const {
  std::vector<Growth> all;
  for (const LatencyQuantile& q : quantiles_) {
    all.push_back(history_ && !history_->bounds.empty() ? q.growth(*history_, n1, n2) : Growth{});
  }
  return all;
}

}  // namespace davy::canary
