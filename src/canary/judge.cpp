#include "canary/judge.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "base/units.h"
#include "canary/block_check.h"
#include "canary/error_rate.h"
#include "canary/latency.h"
#include "canary/objective.h"
#include "canary/own_metric.h"
#include "canary/restarts.h"
#include "canary/weighing.h"

namespace davy::canary {
namespace {

using config::Effect;

constexpr double kObjectivesWeight = 0.2;     // of all objectives together
constexpr std::size_t kLongestTrouble = 600;  // bytes; some callers take 1 KB of reason

constexpr double kSilence = 60;  // seconds without requests until that is what the verdict says
constexpr double kRateHalfLife = 60;

/// A verdict that stands is given up only at half its evidence: it must not flicker at the limit.
/// (Evidence that has once reached its limit keeps its promise whatever it does later.)
double keep_limit(bool stands, double limit) {
  return stands ? limit / 2 : limit;
}

void average(std::optional<double>& per_second, double requests, double dt) {
  double now = requests / dt;
  per_second =
      per_second ? *per_second + (1 - std::exp2(-dt / kRateHalfLife)) * (now - *per_second) : now;
}

}  // namespace

Judge::Judge(const config::Policy& policy, std::vector<double> stages)
    : policy_(policy), stages_(std::move(stages)) {
  metrics_.push_back(std::make_unique<ErrorRate>(policy));
  std::size_t objectives = policy.error_rate.max ? 1 : 0;
  if (policy.latency) objectives += policy.latency->max.size();
  double each = objectives > 0 ? kObjectivesWeight / static_cast<double>(objectives) : 0;
  if (policy.error_rate.max)
    metrics_.push_back(std::make_unique<Objective>(Objective::on_errors(policy, each)));
  if (policy.latency) {
    auto latency = std::make_unique<Latency>(policy);
    latency_ = latency.get();
    metrics_.push_back(std::move(latency));
    for (const config::LatencyLimit& limit : policy.latency->max) {
      metrics_.push_back(std::make_unique<Objective>(Objective::on_latency(policy, limit, each)));
    }
  }
  if (policy.restarts) metrics_.push_back(std::make_unique<Restarts>(policy));
  for (const config::ValuePolicy& metric : policy.metrics)
    metrics_.push_back(std::make_unique<OwnMetric>(policy, metric));
  decide(0);
}

Judge::~Judge() = default;

/// A block that cannot be true changes nothing but the verdict.
bool Judge::accept(const Block& block) {
  if (auto wrong = wrong_with(block, last_t_)) {
    see_trouble(std::isfinite(block.t) ? block.t : decision_.now, *wrong);
    return false;
  }
  trouble_.clear();
  if (!last_t_) last_baseline_ = last_canary_ = block.t - block.dt;
  last_t_ = block.t;
  baseline_seen_ += block.baseline.requests;
  canary_seen_ += block.canary.requests;
  if (block.baseline.requests > 0) last_baseline_ = block.t;
  if (block.canary.requests > 0) last_canary_ = block.t;
  average(baseline_per_second_, block.baseline.requests, block.dt);
  average(canary_per_second_, block.canary.requests, block.dt);
  return true;
}

void Judge::see(const Block& block) {
  if (decision_.kind == VerdictKind::Fail) return;  // sticky: evidence is frozen with its inputs
  if (!accept(block)) return;
  if (!stage_ && block.canary.requests <= 0) {  // before the canary: V1 alone is learned from
    for (auto& metric : metrics_) metric->learn(block);
  } else if (!stage_ && is_learning_noise(block)) {
    for (auto& metric : metrics_) metric->learn_noise(block);
  } else {
    if (!stage_ || stage_->weight != block.weight) {
      // A block never spans two stages.
      if (std::optional<Block> closed = open_.close()) judge(*closed);
      enter_stage(block);
    }
    if (share_) share_->see(block);
    if (std::optional<Block> closed = open_.add(block)) judge(*closed);
  }
  decide(block.t);
}

void Judge::see_trouble(double t, const std::string& what) {
  if (decision_.kind == VerdictKind::Fail) return;
  trouble_ = what.size() <= kLongestTrouble ? what : what.substr(0, kLongestTrouble) + "...";
  decide(t);
}

/// In the A/A period both versions are the same.
bool Judge::is_learning_noise(const Block& block) {
  if (!aa_began_) aa_began_ = block.t - block.dt;
  return block.t - *aa_began_ <= seconds(policy_.aa_period);
}

void Judge::enter_stage(const Block& first) {
  if (stage_) {
    for (auto& metric : metrics_) metric->begin_stage();
  }
  stage_ = Stage{first.weight, first.t - first.dt};
  share_.reset();
  bool is_split = first.weight && *first.weight > 0 && *first.weight < 1;
  if (policy_.traffic_share && is_split) share_.emplace(policy_, *first.weight);
}

void Judge::judge(const Block& block) {
  StageTime time{block.t - block.dt - stage_->began, is_alone()};
  for (auto& metric : metrics_) metric->see(block, time);
}

Judge::Weighed Judge::weigh() const {
  evidence_.clear();
  for (const auto& metric : metrics_) metric->weigh(evidence_);
  Weighed w;
  w.gate = gate(gate_metrics(evidence_), policy_.false_rollback, policy_.false_promote);
  w.hold = log_average(evidence_, hold_evidence);
  w.worse = log_average(evidence_, warn_evidence);
  double hold_limit = std::log(1 / policy_.false_hold);
  double pass_limit = std::log(1 / policy_.false_promote);
  bool held = decision_.kind == VerdictKind::Marginal;
  w.holds = w.hold >= keep_limit(held, hold_limit) ||
            (policy_.hold_on_warn && w.worse >= keep_limit(held, hold_limit));
  w.passes = w.gate.least_pass >= keep_limit(decision_.kind == VerdictKind::Pass, pass_limit);
  double fail_limit = std::log(1 / policy_.false_rollback);
  w.excused = std::any_of(evidence_.begin(), evidence_.end(), [&](const MetricEvidence& e) {
    return e.excused && e.effect >= Effect::Hold && e.fail >= fail_limit;
  });
  return w;
}

/// The order is the rule: a proven fail wins over everything, blindness over everything not proven.
void Judge::decide(double t) {
  Weighed w = weigh();
  double in_stage = stage_ ? t - stage_->began : 0;
  bool time_is_over = in_stage >= seconds(policy_.max_stage);
  std::string missing = absence(t);

  if (w.gate.fail) return become(VerdictKind::Fail, Why::ProvenWorse, t);
  if (!trouble_.empty()) return become(VerdictKind::Error, Why::CannotJudge, t, trouble_);
  if (w.holds) return become(VerdictKind::Marginal, Why::HoldProven, t);
  if (!missing.empty())
    return become(VerdictKind::Inconclusive, Why::NoTraffic, t, std::move(missing));
  if (!stage_) return become(VerdictKind::Inconclusive, Why::LearningNoise, t);
  if (w.excused) return become(VerdictKind::Inconclusive, Why::BothMiss, t);
  if (share_ && share_->is_wrong())
    return become(VerdictKind::Inconclusive, Why::WrongShare, t, share_->sentence());
  if (w.passes && in_stage >= seconds(policy_.min_stage))
    return become(VerdictKind::Pass, Why::ProvenGood, t);
  if (time_is_over && policy_.when_undecided == config::WhenUndecided::Advance)
    return become(VerdictKind::Pass, Why::GaveUp, t);
  if (time_is_over && policy_.when_undecided == config::WhenUndecided::Rollback)
    return become(VerdictKind::Fail, Why::GaveUp, t);
  become(VerdictKind::Inconclusive, time_is_over ? Why::TimeIsOver : Why::Waiting, t);
}

/// The time of a verdict is that of the block that brought it.
void Judge::become(VerdictKind kind, Why why, double t, std::string detail) {
  bool waiting = kind == VerdictKind::Inconclusive || kind == VerdictKind::Error;
  if (decision_.kind != kind || waiting) decision_.t = t;
  decision_.kind = kind;
  decision_.why = why;
  decision_.now = t;
  decision_.detail = std::move(detail);
  verdict_.reset();
}

std::string Judge::absence(double t) const {
  if (!last_t_) return "No traffic seen yet.";
  if (!stage_ && !aa_began_)
    return fmt::format("V2 has had no requests yet; V1 had {}.", text::grouped(baseline_seen_));
  bool off = stage_ && stage_->weight && *stage_->weight <= 0;
  if (!off && t - last_canary_ >= kSilence) {
    return fmt::format("V2 has had no requests for {:.0f} s: no data is not good data.",
                       t - last_canary_);
  }
  if (!is_alone() && t - last_baseline_ >= kSilence) {
    return fmt::format("V1 has had no requests for {:.0f} s: there is nothing to compare V2 with.",
                       t - last_baseline_);
  }
  return "";
}

void Judge::archive(Archive& a) {
  for (auto& metric : metrics_) metric->archive(a);
  a(open_, stage_, aa_began_, baseline_seen_, canary_seen_, last_baseline_, last_canary_,
    baseline_per_second_, canary_per_second_, last_t_, trouble_, decision_);
  bool has_share = share_.has_value();
  a(has_share);
  if (a.reading()) {
    bool possible = policy_.traffic_share && stage_ && stage_->weight;
    if (has_share && !possible) return a.fail();
    share_.reset();
    if (has_share) share_.emplace(policy_, *stage_->weight);
    verdict_.reset();
  }
  if (share_) a(*share_);
}

}  // namespace davy::canary
