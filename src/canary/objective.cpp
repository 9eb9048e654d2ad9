#include "canary/objective.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>

#include "base/units.h"
#include "canary/phrases.h"
#include "stats/buckets.h"

namespace davy::canary {
namespace {

stats::Null at_most(double limit) {
  return {.kind = stats::Null::Kind::Single, .absolute = limit};
}

}  // namespace

stats::Null Objective::pass_null(double limit) {
  constexpr double kMostLimit = 0.9;
  return at_most(std::min(kMostLimit, kPassRoom * limit));
}

Objective Objective::on_errors(const config::Policy& policy, double weight) {
  return {policy, *policy.error_rate.max, weight, std::nullopt};
}

Objective Objective::on_latency(const config::Policy& policy, const config::LatencyLimit& limit,
                                double weight) {
  return {policy, 1 - limit.quantile, weight, limit};
}

Objective::Objective(const config::Policy& policy, double limit, double weight,
                     std::optional<config::LatencyLimit> latency)
    : policy_(policy),
      limit_(limit),
      weight_(weight),
      latency_(latency),
      tests_(policy, {at_most(limit), at_most(limit), pass_null(limit)}),
      baseline_(at_most(limit)),
      baseline_discount_(policy.robustness) {}

void Objective::begin_stage() {
  tests_.begin_stage();
  baseline_.begin_stage();
}

std::optional<Objective::Bad> Objective::count(const VersionCounts& version) {
  if (!latency_) return Bad{version.requests, version.errors};
  if (!version.latency) return std::nullopt;
  const std::vector<double>& bounds = version.latency->bounds;
  auto at = std::lower_bound(bounds.begin(), bounds.end(), latency_->seconds);
  if (at == bounds.end()) return std::nullopt;
  bound_ = *at;
  return Bad{stats::total(*version.latency),
             stats::above(*version.latency, static_cast<std::size_t>(at - bounds.begin()))};
}

void Objective::learn(const Block& block) {
  std::optional<Bad> v1 = count(block.baseline);
  if (!v1) return;
  stats::Sample s{0, 0, v1->requests, v1->bad};
  baseline_.see(s, limit_, block.dt, baseline_discount_.of(s, limit_, block.dt));
  baseline_discount_.see(s, block.dt);
  tests_.seen += {v1->requests, v1->bad, 0, 0};
}

void Objective::see(const Block& block, const StageTime&) {
  learn(block);
  std::optional<Bad> v2 = count(block.canary);
  unseen_ = !v2;
  if (!v2) return;
  stats::Sample s{0, 0, v2->requests, v2->bad};
  stats::Tempering tempering = tests_.discount.of(s, limit_, block.dt);
  tests_.fail.see(s, limit_, block.dt, tempering);
  // What a good version shows is a guess that only steers power: half the limit, or what it shows.
  double usual = (tests_.seen.k2 + 0.5) / (tests_.seen.n2 + 1 / limit_);
  tests_.pass.see(s, limit_, std::min(usual, limit_), tempering);
  tests_.discount.see(s, block.dt);
  tests_.seen += s;
}

bool Objective::baseline_misses() const {
  if (baseline_.log_e() >= std::log(1 / policy_.false_hold)) return true;
  const stats::Sample& seen = tests_.seen;
  return seen.n1 > 0 && seen.k1 / seen.n1 > limit_;
}

const config::Standing& Objective::standing() const {
  return latency_ ? policy_.latency->standing : policy_.error_rate.standing;
}

void Objective::weigh(std::vector<MetricEvidence>& out) const {
  MetricEvidence e = tests_.evidence();
  e.weight = weight_;
  e.warn = 0;  // "worse than V1" is not its question
  e.effect = standing().effect();
  e.excused = baseline_misses();
  out.push_back(e);
}

void Objective::report(std::vector<MetricReport>& out) const {
  MetricReport r{.verdict = tests_.report(policy_)};
  MetricVerdict& m = r.verdict;
  m.ratio = {0, std::numeric_limits<double>::infinity()};
  m.warn.log_e = 0;
  m.objective = limit_;
  m.muted = standing().muted;
  std::string limit = units::show_percent(limit_);
  if (latency_) {
    std::string at = units::show_latency(bound_ > 0 ? bound_ : latency_->seconds);
    m.name = fmt::format("latency_max_p{:g}", latency_->quantile * 100);
    m.title = fmt::format("p{:g} objective", latency_->quantile * 100);
    m.baseline_threshold = m.canary_threshold = bound_ > 0 ? bound_ : latency_->seconds;
    r.facts = fmt::format("{} of V2's requests took longer than {}, {} of V1's; allowed are {}",
                          units::show_percent(m.canary_rate), at,
                          units::show_percent(m.baseline_rate), limit);
    r.pass_claim = fmt::format("more than {} of requests over {}",
                               units::show_percent(kPassRoom * limit_), at);
    if (unseen_) {
      r.note = fmt::format("V2 has no latency histogram with a bound at or above {}",
                           units::show_latency(latency_->seconds));
    }
  } else {
    m.name = "error_rate_max";
    m.title = "error objective";
    r.facts = fmt::format("V2 fails {} of requests, V1 {}; allowed are {}",
                          units::show_percent(m.canary_rate), units::show_percent(m.baseline_rate),
                          limit);
    r.pass_claim = fmt::format("an error rate above {}", units::show_percent(kPassRoom * limit_));
  }
  r.fail_claim = "The objective is " + limit;
  r.hold_claim = "V2 misses the objective of " + limit;
  if (tests_.seen.n2 <= 0) r.facts.clear();
  if (baseline_misses()) r.note = "V1 misses it, too: nothing is held against V2 for it";
  out.push_back(std::move(r));
}

void Objective::grow(double, double n2, std::vector<Growth>& out) const {
  Growth g;
  double p2 = (tests_.seen.k2 + 0.5) / (tests_.seen.n2 + 1 / limit_);
  stats::Sample expected{0, 0, n2, n2 * std::min(p2, 1.0)};
  g.pass = tests_.pass.growth(expected, limit_, std::min(p2, limit_));
  double worse = std::clamp(p2, limit_, 0.98);
  g.fail = std::max(0.0, stats::bet_on(at_most(limit_), 0, n2, limit_, worse).log_e(expected));
  double phi = tests_.discount.last().phi;
  out.push_back({g.pass / phi, g.fail / phi});
}

void Objective::archive(Archive& a) {
  a(tests_, baseline_, baseline_discount_, unseen_, bound_);
}

}  // namespace davy::canary
