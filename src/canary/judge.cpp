#include "canary/judge.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "base/units.h"
#include "canary/gate.h"
#include "canary/sentences.h"
#include "stats/log_sum.h"

namespace davy::canary {
namespace {

// Shares of the rollback evidence, from the metrics that exist.
constexpr double kErrorWeight = 0.45;
constexpr double kLatencyWeight = 0.25;

constexpr std::size_t kLongestTrouble = 600;  // bytes; some callers take 1 KB of reason

constexpr double kSilence = 60;  // seconds without requests until that is what the verdict says
constexpr double kRateHalfLife = 60;
constexpr double kNever = 86400;  // an estimate beyond a day is none

/// A verdict that stands is given up only at half its evidence: it must not flicker at the limit.
/// (Evidence that has once reached its limit keeps its promise whatever it does later.)
double keep_limit(bool stands, double limit) {
  return stands ? limit / 2 : limit;
}

double error_weight(const config::Policy& p) {
  return p.latency ? kErrorWeight / (kErrorWeight + kLatencyWeight) : 1.0;
}

std::optional<Latency> latency_of(const config::Policy& p) {
  if (!p.latency) return std::nullopt;
  return Latency(p, 1 - error_weight(p));
}

std::string percent(double share) {
  return fmt::format("{:g}%", share * 100);
}

void average(std::optional<double>& per_second, double requests, double dt) {
  double now = requests / dt;
  per_second =
      per_second ? *per_second + (1 - std::exp2(-dt / kRateHalfLife)) * (now - *per_second) : now;
}

// The evidence of one kind that a metric has against V2; none where the metric has no such test.
std::optional<double> fail_evidence(const MetricVerdict& m) {
  return std::log(m.weight) + m.fail.log_e;
}
std::optional<double> hold_evidence(const MetricVerdict& m) {
  return m.hold ? std::optional(m.hold->log_e) : std::nullopt;
}
std::optional<double> warn_evidence(const MetricVerdict& m) {
  return m.warn.log_e;
}

const MetricVerdict& most_against(const std::vector<MetricVerdict>& metrics, auto evidence) {
  return *std::max_element(
      metrics.begin(), metrics.end(),
      [&](const MetricVerdict& a, const MetricVerdict& b) { return evidence(a) < evidence(b); });
}

/// log of the weighted average of e-processes, weights normalised.
double log_average(const std::vector<MetricVerdict>& metrics, auto evidence) {
  std::vector<double> weighted;
  double weights = 0;
  for (const MetricVerdict& m : metrics) {
    std::optional<double> log_e = evidence(m);
    if (!log_e) continue;
    weighted.push_back(std::log(m.weight) + *log_e);
    weights += m.weight;
  }
  return weighted.empty() ? 0 : stats::log_sum(weighted) - std::log(weights);
}

/// What one metric says by itself.
VerdictKind kind_of(const MetricVerdict& m) {
  if (m.fail.log_e >= m.fail.limit) return VerdictKind::Fail;
  if (m.hold && m.hold->log_e >= m.hold->limit) return VerdictKind::Marginal;
  if (m.gates && m.pass.log_e >= m.pass.limit) return VerdictKind::Pass;
  return VerdictKind::Inconclusive;
}

}  // namespace

Judge::Judge(const config::Policy& policy, std::vector<double> stages)
    : policy_(policy),
      stages_(std::move(stages)),
      error_rate_(policy, error_weight(policy)),
      latency_(latency_of(policy)) {
  decide(0);
}

void Judge::see(const Block& block) {
  if (verdict_.kind == VerdictKind::Fail) return;  // sticky: the evidence is frozen with its inputs
  trouble_.clear();
  if (!any_) last_baseline_ = last_canary_ = block.t - block.dt;
  any_ = true;
  baseline_seen_ += block.baseline.requests;
  canary_seen_ += block.canary.requests;
  if (block.baseline.requests > 0) last_baseline_ = block.t;
  if (block.canary.requests > 0) last_canary_ = block.t;
  average(baseline_per_second_, block.baseline.requests, block.dt);
  average(canary_per_second_, block.canary.requests, block.dt);

  if (!stage_ && block.canary.requests <= 0) {  // before the canary: V1 alone is learned from
    error_rate_.learn(block.baseline, block.dt);
    if (latency_) latency_->see(block, false);
    decide(block.t);
    return;
  }
  bool new_stage = !stage_ || stage_->weight != block.weight;
  if (new_stage) {
    // A block never spans two stages.
    if (std::optional<Block> closed = open_.close()) judge(*closed);
    enter_stage(block);
  }
  if (std::optional<Block> closed = open_.add(block)) judge(*closed);
  decide(block.t);
}

void Judge::see_trouble(double t, const std::string& what) {
  if (verdict_.kind == VerdictKind::Fail) return;
  trouble_ = what.size() <= kLongestTrouble ? what : what.substr(0, kLongestTrouble) + "...";
  decide(t);
}

void Judge::enter_stage(const Block& first) {
  if (stage_) {
    error_rate_.begin_stage();
    if (latency_) latency_->begin_stage();
  }
  stage_ = Stage{first.weight, first.t - first.dt};
}

void Judge::judge(const Block& block) {
  error_rate_.see(block);
  bool warm = block.t - block.dt >= stage_->began + seconds(policy_.warm_up);
  if (latency_) latency_->see(block, warm);
}

/// The order is the rule: a proven fail wins over everything, blindness over everything not proven.
void Judge::decide(double t) {
  Weighed w = weigh();
  double in_stage = stage_ ? t - stage_->began : 0;
  bool time_is_over = in_stage >= seconds(policy_.max_stage);
  std::string missing = absence(t);

  if (w.gate.fail) return fail(t);
  if (!trouble_.empty()) return cannot_judge(t);
  tell_notices(w);
  if (w.holds) return hold(t);
  if (!missing.empty()) return wait_for_traffic(t, std::move(missing));
  if (w.passes && in_stage >= seconds(policy_.min_stage)) return pass(t);
  if (time_is_over && policy_.when_undecided != config::WhenUndecided::Hold) return give_up(t);
  wait(t, time_is_over);
}

/// Brings every number of the verdict up to date, and says what the evidence amounts to.
Judge::Weighed Judge::weigh() {
  std::vector<MetricVerdict> metrics{error_rate_.report()};
  if (latency_) {
    for (MetricVerdict& m : latency_->report()) metrics.push_back(std::move(m));
  }
  std::vector<GateMetric> inputs;
  for (const MetricVerdict& m : metrics) {
    inputs.push_back({m.weight, m.fail.log_e, m.pass.log_e, m.gates});
  }
  Weighed w;
  w.gate = gate(inputs, policy_.false_rollback, policy_.false_promote);
  double hold = log_average(metrics, hold_evidence);
  double worse = log_average(metrics, warn_evidence);
  double hold_limit = std::log(1 / policy_.false_hold);
  double pass_limit = std::log(1 / policy_.false_promote);
  w.holds = hold >= keep_limit(verdict_.kind == VerdictKind::Marginal, hold_limit);
  w.worse = worse >= hold_limit;
  w.passes = w.gate.least_pass >= keep_limit(verdict_.kind == VerdictKind::Pass, pass_limit);

  for (std::size_t i = 0; i < metrics.size(); ++i) {
    MetricVerdict& m = metrics[i];
    m.score = w.gate.scores[i];
    m.kind = kind_of(m);
    m.sentence = say_metric(m, policy_);
  }
  verdict_.metrics = std::move(metrics);
  verdict_.baseline_requests = baseline_seen_;
  verdict_.canary_requests = canary_seen_;
  verdict_.score = w.gate.score;
  verdict_.rollback = {w.gate.log_average, std::log(1 / policy_.false_rollback)};
  verdict_.stage = stage_name();
  verdict_.needs = {};
  verdict_.notices.clear();
  return w;
}

void Judge::tell_notices(const Weighed& w) {
  if (latency_ && !latency_->offered() && any_) {
    verdict_.notices.emplace_back(
        "Latency is not judged: neither version has a latency histogram.");
  }
  if (w.worse) verdict_.notices.push_back(say_worse(most_against(verdict_.metrics, warn_evidence)));
}

void Judge::fail(double t) {
  const MetricVerdict& worst = most_against(verdict_.metrics, fail_evidence);
  become(VerdictKind::Fail, t, say_fail(worst, verdict_.rollback, policy_),
         "Send V2's traffic back to V1. davy answers fail for this revision until a new run is "
         "opened.");
}

void Judge::cannot_judge(double t) {
  become(VerdictKind::Error, t, "Cannot judge: " + trouble_,
         "Mend the telemetry; nothing is held against V2 for it, and nothing passes meanwhile.");
}

void Judge::hold(double t) {
  become(VerdictKind::Marginal, t, say_hold(most_against(verdict_.metrics, hold_evidence), policy_),
         "Do not promote yet: find out why V2 is slower, or allow it in "
         "policy.latency.warn_increase.");
}

void Judge::wait_for_traffic(double t, std::string missing) {
  verdict_.needs.text = "requests to judge";
  become(VerdictKind::Inconclusive, t, std::move(missing),
         "Check routing and the source's selectors.");
}

void Judge::pass(double t) {
  std::string next = next_stage();
  become(VerdictKind::Pass, t, say_pass(verdict_, next, policy_),
         next.empty() ? "Promote V2." : "Advance to " + next + ".");
}

/// The stage's time is over, and the policy does not want to hold.
void Judge::give_up(double t) {
  std::string after = units::show(policy_.max_stage);
  if (policy_.when_undecided == config::WhenUndecided::Advance) {
    become(VerdictKind::Pass, t,
           fmt::format("Undecided after {}; the policy says to advance then.", after),
           "Advance, and watch.");
  } else {
    become(VerdictKind::Fail, t,
           fmt::format("Undecided after {}; the policy says to roll back then.", after),
           "Send V2's traffic back to V1.");
  }
}

void Judge::wait(double t, bool time_is_over) {
  constexpr std::string_view kThen[] = {"be held", "advance", "be rolled back"};
  std::string limit = units::show(policy_.max_stage);
  verdict_.needs = needs(verdict_.metrics, t);
  become(VerdictKind::Inconclusive, t, say_undecided(verdict_),
         time_is_over
             ? fmt::format("The stage's time ({}) is over: hold here and decide by hand, or give "
                           "V2 more traffic.",
                           limit)
             : fmt::format("Wait; undecided after {} it will {}.", limit,
                           kThen[static_cast<int>(policy_.when_undecided)]));
}

/// The time of a verdict is that of the block that brought it.
void Judge::become(VerdictKind kind, double t, std::string reason, std::string next) {
  bool waiting = kind == VerdictKind::Inconclusive || kind == VerdictKind::Error;
  if (verdict_.kind != kind || waiting) verdict_.t = t;
  verdict_.kind = kind;
  verdict_.reason = std::move(reason);
  verdict_.next = std::move(next);
}

std::string Judge::absence(double t) const {
  if (!any_) return "No traffic seen yet.";
  if (!stage_)
    return fmt::format("V2 has had no requests yet; V1 had {}.", text::grouped(baseline_seen_));
  bool off = stage_->weight && *stage_->weight <= 0;
  if (!off && t - last_canary_ >= kSilence) {
    return fmt::format("V2 has had no requests for {:.0f} s: no data is not good data.",
                       t - last_canary_);
  }
  bool alone = stage_->weight && *stage_->weight >= 1;
  if (!alone && t - last_baseline_ >= kSilence) {
    return fmt::format("V1 has had no requests for {:.0f} s: there is nothing to compare V2 with.",
                       t - last_baseline_);
  }
  return "";
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
Needs Judge::needs(const std::vector<MetricVerdict>& metrics, double t) const {
  double n1 = baseline_per_second_.value_or(0);
  double n2 = canary_per_second_.value_or(0);
  std::vector<Growth> growth{error_rate_.growth(n1, n2)};
  if (latency_) {
    for (Growth g : latency_->growth(n1, n2)) growth.push_back(g);
  }
  auto until = [](double log_e, double limit, double per_second) {
    if (log_e >= limit) return 0.0;
    return per_second > 0 ? (limit - log_e) / per_second : 2 * kNever;
  };
  double pass = 0;
  double fail = 2 * kNever;
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    const MetricVerdict& m = metrics[i];
    fail = std::min(fail, until(std::log(m.weight) + m.fail.log_e, m.fail.limit, growth[i].fail));
    if (m.gates) pass = std::max(pass, until(m.pass.log_e, m.pass.limit, growth[i].pass));
  }
  double at_least =
      stage_ ? stage_->began + seconds(policy_.min_stage) - t : seconds(policy_.min_stage);
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
