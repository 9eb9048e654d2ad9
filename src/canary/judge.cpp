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
#include "canary/sentences.h"
#include "stats/log_sum.h"

namespace davy::canary {
namespace {

using config::Effect;

constexpr double kObjectivesWeight = 0.2;     // of all objectives together
constexpr std::size_t kLongestTrouble = 600;  // bytes; some callers take 1 KB of reason

constexpr double kSilence = 60;  // seconds without requests until that is what the verdict says
constexpr double kRateHalfLife = 60;
constexpr double kNever = 86400;  // an estimate beyond a day is none

/// A verdict that stands is given up only at half its evidence: it must not flicker at the limit.
/// (Evidence that has once reached its limit keeps its promise whatever it does later.)
double keep_limit(bool stands, double limit) {
  return stands ? limit / 2 : limit;
}

std::string percent(double share) {
  return fmt::format("{:g}%", share * 100);
}

void average(std::optional<double>& per_second, double requests, double dt) {
  double now = requests / dt;
  per_second =
      per_second ? *per_second + (1 - std::exp2(-dt / kRateHalfLife)) * (now - *per_second) : now;
}

// What each metric's evidence of one kind is; none where the metric has no such test, or it may not
// do such a thing.
std::optional<double> fail_evidence(const MetricEvidence& e) {
  if (e.effect != Effect::Rollback) return std::nullopt;
  return e.excused ? std::min(0.0, e.fail) : e.fail;
}
std::optional<double> hold_evidence(const MetricEvidence& e) {
  if (e.effect < Effect::Hold) return std::nullopt;
  std::optional<double> log_e = e.hold;
  if (!log_e && e.effect == Effect::Hold) log_e = e.fail;
  if (log_e && e.excused) log_e = std::min(0.0, *log_e);
  return log_e;
}
std::optional<double> warn_evidence(const MetricEvidence& e) {
  return e.effect >= Effect::Notice ? std::optional(e.warn) : std::nullopt;
}

/// log of the weighted average of e-processes, weights normalised over those that have one.
double log_average(const std::vector<MetricEvidence>& all, auto evidence) {
  double sum = -std::numeric_limits<double>::infinity();
  double weights = 0;
  for (const MetricEvidence& e : all) {
    std::optional<double> log_e = evidence(e);
    if (!log_e) continue;
    sum = stats::log_sum(sum, std::log(e.weight) + *log_e);
    weights += e.weight;
  }
  return weights > 0 ? sum - std::log(weights) : 0;
}

/// The metric with the most evidence of a kind; REQUIRES: one has it.
std::size_t most_against(const std::vector<MetricEvidence>& all, auto evidence) {
  std::size_t most = 0;
  double highest = -std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::optional<double> log_e = evidence(all[i]);
    if (!log_e || std::log(all[i].weight) + *log_e <= highest) continue;
    highest = std::log(all[i].weight) + *log_e;
    most = i;
  }
  return most;
}

/// Weights of rollback evidence; 0 for metrics that may not roll back.
std::vector<GateMetric> gate_metrics(const std::vector<MetricEvidence>& all) {
  double weights = 0;
  for (const MetricEvidence& e : all) {
    if (e.effect == Effect::Rollback) weights += e.weight;
  }
  std::vector<GateMetric> inputs;
  for (const MetricEvidence& e : all) {
    double weight = e.effect == Effect::Rollback ? e.weight / weights : 0;
    inputs.push_back(
        {weight, fail_evidence(e).value_or(0), e.pass, e.gates && e.effect >= Effect::Hold});
  }
  return inputs;
}

/// What one metric says by itself.
VerdictKind kind_of(const MetricVerdict& m, const MetricEvidence& e) {
  if (!e.excused) {
    bool worse = m.fail.log_e >= m.fail.limit;
    if (worse && e.effect == Effect::Rollback) return VerdictKind::Fail;
    bool held = m.hold && m.hold->log_e >= m.hold->limit;
    if (worse || held) return VerdictKind::Marginal;
  }
  bool good = m.pass.log_e >= m.pass.limit;
  return good && e.gates ? VerdictKind::Pass : VerdictKind::Inconclusive;
}

std::string_view word(Effect effect) {
  constexpr std::string_view kWords[] = {"none", "notice", "hold", "rollback"};
  return kWords[static_cast<int>(effect)];
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

const Verdict& Judge::verdict() const {
  if (!verdict_) {
    verdict_.emplace();
    write(*verdict_);
  }
  return *verdict_;
}

void Judge::write(Verdict& v) const {
  Weighed w = weigh();
  std::vector<MetricReport> reports;
  for (const auto& metric : metrics_) metric->report(reports);
  std::vector<GateMetric> inputs = gate_metrics(evidence_);
  std::vector<bool> alone = proven_alone(inputs, policy_.false_rollback);
  for (std::size_t i = 0; i < reports.size(); ++i) {
    MetricVerdict& m = reports[i].verdict;
    m.weight = inputs[i].weight;
    m.gates = inputs[i].gates;
    m.effect = word(evidence_[i].effect);
    m.proven_alone = alone[i];
    m.score = w.gate.scores[i];
    m.kind = kind_of(m, evidence_[i]);
    m.note = reports[i].note;
    m.sentence = say_metric(reports[i]);
    v.metrics.push_back(m);
  }
  v.kind = decision_.kind;
  v.t = decision_.t;
  v.stage = stage_name();
  v.score = decision_.kind == VerdictKind::Fail ? 0 : w.gate.score;
  v.baseline_requests = baseline_seen_;
  v.canary_requests = canary_seen_;
  v.rollback = {w.gate.log_average, std::log(1 / policy_.false_rollback)};
  v.hold = {w.hold, std::log(1 / policy_.false_hold)};
  if (share_) v.traffic_share = share_->verdict();
  v.excluded = say_excluded(v);
  write_notices(v, w, reports);
  write_reason(v, reports);
}

void Judge::write_notices(Verdict& v, const Weighed& w,
                          const std::vector<MetricReport>& reports) const {
  if (latency_ != nullptr && !latency_->offered() && last_t_) {
    v.notices.emplace_back("Latency is not judged: neither version has a latency histogram.");
  }
  if (w.worse >= std::log(1 / policy_.false_hold)) {
    const MetricVerdict& m = v.metrics[most_against(evidence_, warn_evidence)];
    if (!policy_.hold_on_warn) v.notices.push_back(say_worse(m));
  }
  for (std::size_t i = 0; i < reports.size(); ++i) {
    const MetricVerdict& m = v.metrics[i];
    bool beyond = m.fail.log_e >= m.fail.limit;
    if (evidence_[i].effect == Effect::Notice && beyond)
      v.notices.push_back(say_advice(reports[i]));
  }
}

void Judge::write_reason(Verdict& v, const std::vector<MetricReport>& reports) const {
  std::string limit = units::show(policy_.max_stage);
  switch (decision_.why) {
    case Why::ProvenWorse: {
      const MetricReport& worst = reports[most_against(evidence_, fail_evidence)];
      v.decided_by = worst.verdict.name;
      v.reason = say_fail(worst, v.rollback);
      v.next =
          "Send V2's traffic back to V1. davy answers fail for this revision until a new run is "
          "opened.";
      return;
    }
    case Why::CannotJudge:
      v.reason = "Cannot judge: " + decision_.detail;
      v.next =
          "Mend the telemetry; nothing is held against V2 for it, and nothing passes meanwhile.";
      return;
    case Why::HoldProven: {
      bool by_margin = v.hold.log_e >= v.hold.limit / 2;
      std::size_t i = by_margin ? most_against(evidence_, hold_evidence)
                                : most_against(evidence_, warn_evidence);
      v.decided_by = v.metrics[i].name;
      v.reason = by_margin ? say_hold(reports[i])
                           : say_worse(v.metrics[i]) + " The policy holds the promotion for it.";
      v.next = fmt::format("Do not promote yet: find out why, or allow it in the policy of {}.",
                           v.metrics[i].title);
      return;
    }
    case Why::NoTraffic:
      v.needs.text = "requests to judge";
      v.reason = decision_.detail;
      v.next = "Check routing and the source's selectors.";
      return;
    case Why::LearningNoise: {
      double left = seconds(policy_.aa_period) - (decision_.now - aa_began_.value_or(0));
      v.needs.seconds = std::max(0.0, left);
      v.needs.text =
          fmt::format("{} of two equal versions",
                      units::show(std::chrono::seconds(std::llround(std::max(0.0, left)))));
      v.reason = "Learning how much two equal versions differ (A/A period): nothing is judged yet.";
      v.next = fmt::format("Switch V2 to the new version in {}.", v.needs.text);
      return;
    }
    case Why::BothMiss: {
      std::string missed;
      for (std::size_t i = 0; i < reports.size(); ++i) {
        if (!evidence_[i].excused || evidence_[i].fail < v.rollback.limit) continue;
        v.decided_by = v.metrics[i].name;
        missed = reports[i].facts;
      }
      v.needs.text = "an objective that V1 keeps";
      v.reason = fmt::format("Held: both versions miss the objective ({}).", missed);
      v.next = "Mend what ails both versions, or set the objective to what V1 keeps.";
      return;
    }
    case Why::WrongShare:
      v.needs.text = "the right share of the traffic";
      v.decided_by = "traffic_share";
      v.reason = fmt::format("Held: {}.", decision_.detail);
      v.next =
          "Check routing, weights and readiness of V2's instances; or tell davy the share that is "
          "meant.";
      return;
    case Why::ProvenGood: {
      std::string next = next_stage();
      v.reason = say_pass(v, reports, next, policy_.false_promote);
      v.next = next.empty() ? "Promote V2." : "Advance to " + next + ".";
      return;
    }
    case Why::GaveUp:
      v.reason = fmt::format("Undecided after {}; the policy says to {} then.", limit,
                             v.kind == VerdictKind::Pass ? "advance" : "roll back");
      v.next =
          v.kind == VerdictKind::Pass ? "Advance, and watch." : "Send V2's traffic back to V1.";
      return;
    case Why::Waiting:
    case Why::TimeIsOver: break;
  }
  constexpr std::string_view kThen[] = {"be held", "advance", "be rolled back"};
  v.needs = needs();
  v.reason = say_undecided(v, reports);
  v.next = decision_.why == Why::TimeIsOver
               ? fmt::format(
                     "The stage's time ({}) is over: hold here and decide by hand, or give "
                     "V2 more traffic.",
                     limit)
               : fmt::format("Wait; undecided after {} it will {}.", limit,
                             kThen[static_cast<int>(policy_.when_undecided)]);
}

std::string Judge::stage_name() const {
  return stage_ && stage_->weight ? percent(*stage_->weight) : "";
}

std::string Judge::next_stage() const {
  if (!stage_ || stages_.empty()) return "";
  // Without a configured weight the first stage is assumed.
  double now = stage_->weight.value_or(stages_.front());
  auto next =
      std::find_if(stages_.begin(), stages_.end(), [&](double w) { return w > now + 1e-9; });
  return next == stages_.end() ? "" : percent(*next);
}

/// When evidence would reach its limit if rates stayed as they are: a pass needs the slowest gating
/// metric, a fail any one.
Needs Judge::needs() const {
  double n1 = baseline_per_second_.value_or(0);
  double n2 = canary_per_second_.value_or(0);
  std::vector<Growth> growth;
  for (const auto& metric : metrics_) metric->grow(n1, n2, growth);
  std::vector<GateMetric> inputs = gate_metrics(evidence_);
  auto until = [](double log_e, double limit, double per_second) {
    if (log_e >= limit) return 0.0;
    return per_second > 0 ? (limit - log_e) / per_second : 2 * kNever;
  };
  double fail_limit = std::log(1 / policy_.false_rollback);
  double pass_limit = std::log(1 / policy_.false_promote);
  double pass = 0;
  double fail = 2 * kNever;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    double against = std::log(inputs[i].weight) + inputs[i].log_fail;
    fail = std::min(fail, until(against, fail_limit, growth[i].fail));
    if (inputs[i].gates)
      pass = std::max(pass, until(inputs[i].log_pass, pass_limit, growth[i].pass));
  }
  double now = decision_.now;
  double at_least =
      stage_ ? stage_->began + seconds(policy_.min_stage) - now : seconds(policy_.min_stage);
  double wait = std::min(std::max(pass, at_least), fail);
  Needs needs;
  if (wait > kNever) {
    needs.text = "more traffic than there is: at this rate it takes more than a day";
    return needs;
  }
  needs.seconds = wait;
  needs.requests = wait * n2;
  needs.text =
      fmt::format("about {} more V2 requests ({} at this traffic)", text::grouped(*needs.requests),
                  units::show(std::chrono::seconds(std::llround(wait))));
  return needs;
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
