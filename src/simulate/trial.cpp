#include "simulate/trial.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/thread_name.h"
#include "canary/judge.h"

namespace davy::simulate {
namespace {

constexpr int kMostThreads = 2;

/// Whether the error rate has been found worse at all. A policy that holds on that says so by its
/// kind, which is cheap; the whole verdict costs more than the judging.
bool finds_worse(const canary::Judge& judge, const config::Policy& policy) {
  if (policy.hold_on_warn) return judge.kind() == VerdictKind::Marginal;
  const Evidence& e = judge.verdict().metrics.front().warn;
  return e.log_e >= e.limit;
}

/// Of the latency quantiles: those whose bounds are too coarse for the policy.
double coarse_share(const Verdict& verdict) {
  double quantiles = 0, coarse = 0;
  for (const MetricVerdict& m : verdict.metrics) {
    if (!m.name.starts_with("latency_p")) continue;
    ++quantiles;
    if (!m.gates) ++coarse;
  }
  return quantiles > 0 ? coarse / quantiles : 0;
}

void note(std::optional<double>& when, bool happened, double t) {
  if (happened && !when) when = t;
}

}  // namespace

config::Policy fitted(config::Policy policy, const Scenario& scenario) {
  if (!scenario.latency) policy.latency.reset();
  policy.restarts.reset();
  std::erase_if(policy.metrics, [&](const config::ValuePolicy& metric) {
    return !scenario.gauge || metric.series.name != GaugeShape::kName;
  });
  return policy;
}

Trial run_trial(const Experiment& x, std::uint64_t index) {
  const Question& ask = x.question;
  Traffic traffic(x.scenario, mix_seed(x.seed, index));
  canary::Judge judge(x.policy, {});
  Trial trial;
  bool looked = false;
  while (!traffic.over()) {
    const Block& block = traffic.next();
    judge.see(block);
    double t = traffic.canary_time();
    if (t <= 0) continue;
    if (ask.noise && !looked) {
      trial.noise = judge.verdict().metrics.front().noise;
      looked = true;
    }
    VerdictKind kind = judge.kind();
    note(trial.fail, kind == VerdictKind::Fail, t);
    note(trial.pass, kind == VerdictKind::Pass, t);
    note(trial.marginal, kind == VerdictKind::Marginal, t);
    note(trial.wrong_share, judge.is_share_wrong(), t);
    if (ask.warn && !trial.warn) {
      // A rollback for errors implies it; a judge that has failed looks at nothing more.
      bool implied = trial.fail && !x.scenario.latency;
      note(trial.warn, implied || finds_worse(judge, x.policy), t);
    }
    if (trial.fail) break;  // sticky: the judge looks at nothing more
    if (ask.stop_at_pass && trial.pass) break;
    if (ask.stop_at_warn && trial.warn) break;
    if (ask.stop_at_hold && trial.marginal) break;
    if (ask.stop_at_wrong_share && trial.wrong_share) break;
  }
  if (ask.coarse) trial.coarse = coarse_share(judge.verdict());
  return trial;
}

std::vector<Trial> simulate(const Experiment& x, const std::function<void(int)>& progress) {
  std::vector<Trial> trials(static_cast<std::size_t>(x.runs));
  std::atomic<int> next{0};
  auto work = [&](const std::function<void(int)>& tell) {
    for (int i = next++; i < x.runs; i = next++) {
      trials[static_cast<std::size_t>(i)] = run_trial(x, static_cast<std::uint64_t>(i));
      if (tell) tell(i + 1);
    }
  };
  std::vector<std::jthread> helpers;
  for (int i = 1; i < std::min(x.threads, kMostThreads); ++i) {
    helpers.emplace_back([&] {
      name_this_thread("davy-simulate");
      work({});
    });
  }
  work(progress);
  helpers.clear();  // joins
  return trials;
}

}  // namespace davy::simulate
