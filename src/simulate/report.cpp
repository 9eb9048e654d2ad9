#include "simulate/report.h"

#include <algorithm>
#include <cmath>

#include "simulate/limit.h"

namespace davy::simulate {
namespace {

constexpr double kPassRoom = 1.5;  // a pass proves an objective with this much room

std::optional<double> least(const Experiment& x, double ratio, double absolute, double alpha) {
  const Scenario& s = x.scenario;
  // What else is worse, or held against an absolute limit, helps to find it.
  if (s.latency && s.latency->slower > 1) return std::nullopt;
  if (s.gauge && s.gauge->ratio != 1) return std::nullopt;
  if (x.policy.error_rate.max) return std::nullopt;
  Streams streams{.n1 = s.requests_per_second * (1 - s.canary_share),
                  .p1 = s.base_error_rate,
                  .n2 = s.requests_per_second * s.canary_share,
                  .p2 = s.change.of(s.base_error_rate)};
  double seconds = least_delay(streams, ratio, absolute, alpha);
  return std::isfinite(seconds) ? std::optional(seconds) : std::nullopt;
}

/// V2's true rate beyond the margin; what lies on it (rounded) does not.
bool beyond(const Experiment& x, const config::Margin& margin) {
  double p1 = x.scenario.base_error_rate;
  double edge = margin.ratio * p1 + margin.absolute;
  return x.scenario.change.of(p1) > edge * (1 + 1e-9);
}

bool slower_than(const Experiment& x, double tolerance) {
  return x.scenario.latency && x.scenario.latency->slower > 1 + tolerance;
}

/// V2 misses the objective and V1 does not; `room` times it.
bool misses_objective(const Experiment& x, double room) {
  const std::optional<double>& most = x.policy.error_rate.max;
  double p1 = x.scenario.base_error_rate;
  return most && p1 <= *most * (1 + 1e-9) && x.scenario.change.of(p1) > *most * room * (1 + 1e-9);
}

/// The gauge is beyond what the policy tolerates of it, or on the edge of that.
struct GaugeTruth {
  bool beyond = false, on_or_beyond = false, rolls_back = false;
};
GaugeTruth gauge_truth(const Experiment& x) {
  if (!x.scenario.gauge || x.policy.metrics.empty()) return {};
  const config::ValuePolicy& metric = x.policy.metrics.front();
  double ratio = x.scenario.gauge->ratio;
  if (metric.bad == config::ValuePolicy::Bad::Down) ratio = 1 / ratio;
  return {.beyond = ratio > metric.fail.ratio * (1 + 1e-9),
          .on_or_beyond = ratio >= metric.fail.ratio * (1 - 1e-9),
          .rolls_back = metric.standing.effect() == config::Effect::Rollback};
}

/// Delay from the onset; a run in which it happened before says nothing about delays.
void add(Delays& delays, std::optional<double> when, double onset) {
  if (when && *when <= onset) return;
  delays.add(when ? std::optional(*when - onset) : std::nullopt);
}

}  // namespace

void Delays::add(std::optional<double> delay) {
  if (delay) {
    found_.push_back(*delay);
  } else {
    ++missed_;
  }
}

void Delays::finish() {
  std::sort(found_.begin(), found_.end());
}

std::optional<double> Delays::quantile(double q) const {
  double runs = static_cast<double>(found_.size()) + missed_;
  double place = std::max(0.0, std::ceil(q * runs) - 1);
  if (place >= static_cast<double>(found_.size())) return std::nullopt;
  return found_[static_cast<std::size_t>(place)];
}

double Delays::missed() const {
  double runs = static_cast<double>(found_.size()) + missed_;
  return runs > 0 ? missed_ / runs : 0;
}

Report report(const Experiment& x, std::span<const Trial> trials) {
  const config::Policy& policy = x.policy;
  const config::LatencyPolicy latency = policy.latency.value_or(config::LatencyPolicy{});
  const config::Margin& pass_margin = policy.error_rate.pass;
  double onset = x.scenario.onset;
  double p1 = x.scenario.base_error_rate;

  Report r;
  r.runs = static_cast<int>(trials.size());
  GaugeTruth gauge = gauge_truth(x);
  r.tolerable = !beyond(x, policy.error_rate.fail) && !slower_than(x, latency.fail_increase) &&
                !misses_objective(x, 1) && !(gauge.beyond && gauge.rolls_back);
  // On the margin V2 is already intolerable: the promise holds there, too.
  r.intolerable =
      x.scenario.change.of(p1) >= (pass_margin.ratio * p1 + pass_margin.absolute) * (1 - 1e-9) ||
      slower_than(x, latency.pass_increase) || misses_objective(x, kPassRoom) || gauge.on_or_beyond;
  bool worse =
      beyond(x, {1, 0}) || slower_than(x, 0) || (x.scenario.gauge && x.scenario.gauge->ratio != 1);

  auto before = [&](std::optional<double> when) { return when && *when <= onset; };
  auto share = [&](auto is) {
    return r.runs == 0
               ? 0.0
               : static_cast<double>(std::count_if(trials.begin(), trials.end(), is)) / r.runs;
  };
  r.failed = share([](const Trial& t) { return t.fail.has_value(); });
  r.false_rollbacks =
      share([&](const Trial& t) { return t.fail && (r.tolerable || before(t.fail)); });
  r.warned = share([](const Trial& t) { return t.warn.has_value(); });
  r.false_warnings = share([&](const Trial& t) { return t.warn && (!worse || before(t.warn)); });
  r.passed = share([](const Trial& t) { return t.pass.has_value(); });
  r.passed_before = share([&](const Trial& t) { return t.pass && before(t.pass); });
  r.false_passes =
      share([&](const Trial& t) { return t.pass && r.intolerable && !before(t.pass); });
  r.marginal = share([](const Trial& t) { return t.marginal.has_value(); });
  r.wrong_share = share([](const Trial& t) { return t.wrong_share.has_value(); });
  std::vector<double> noises;
  for (const Trial& t : trials) {
    add(r.hold, t.marginal, onset);
    add(r.share, t.wrong_share, onset);
    noises.push_back(t.noise);
    r.coarse += t.coarse / r.runs;
    add(r.fail, t.fail, onset);
    if (x.question.warn) add(r.warn, t.warn, onset);
    r.pass.add(t.pass);
  }
  if (!noises.empty()) {
    auto middle = noises.begin() + static_cast<std::ptrdiff_t>(noises.size() / 2);
    std::nth_element(noises.begin(), middle, noises.end());
    r.noise = *middle;
  }
  r.fail.finish();
  r.hold.finish();
  r.share.finish();
  r.warn.finish();
  r.pass.finish();
  r.fail_limit = least(x, policy.error_rate.fail.ratio, policy.error_rate.fail.absolute,
                       policy.false_rollback);
  r.warn_limit = least(x, 1, 0, policy.false_hold);
  return r;
}

}  // namespace davy::simulate
