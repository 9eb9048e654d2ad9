// What a judge's decision says: the verdict in words. judge.cpp decides; nothing here does.

#include <fmt/format.h>
#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "base/units.h"
#include "canary/judge.h"
#include "canary/latency.h"
#include "canary/sentences.h"
#include "canary/weighing.h"

namespace davy::canary {
namespace {

using config::Effect;

constexpr double kNever = 86400;  // an estimate beyond a day is none

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
  write_reason(v, reports);
  write_notices(v, w, reports);
}

void Judge::write_notices(Verdict& v, const Weighed& w,
                          const std::vector<MetricReport>& reports) const {
  if (latency_ != nullptr && !latency_->offered() && last_t_) {
    v.notices.emplace_back("Latency is not judged: neither version has a latency histogram.");
  }
  if (w.worse >= std::log(1 / policy_.false_hold) && !policy_.hold_on_warn) {
    const MetricVerdict& m = v.metrics[most_against(evidence_, warn_evidence)];
    bool is_more = m.fail.log_e >= m.fail.limit || m.name == v.decided_by;
    if (!is_more) v.notices.push_back(say_worse(m));
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
  return stage_ && stage_->weight ? units::show_ratio(*stage_->weight) : "";
}

std::string Judge::next_stage() const {
  if (!stage_ || stages_.empty()) return "";
  // Without a configured weight the first stage is assumed.
  double now = stage_->weight.value_or(stages_.front());
  auto next =
      std::find_if(stages_.begin(), stages_.end(), [&](double w) { return w > now + 1e-9; });
  return next == stages_.end() ? "" : units::show_ratio(*next);
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

}  // namespace davy::canary
