#include "simulate/trial.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/thread_name.h"
#include "canary/judge.h"

namespace davy::simulate {
namespace {

constexpr int kMostThreads = 2;

/// All that a trial reads of a judge.
struct Glance {
  VerdictKind kind;
  bool worse;  // the error rate's WARN evidence has reached its limit
};

Glance glance(const canary::Judge& judge, bool warn) {
  const Verdict& v = judge.verdict();
  const Evidence& e = v.metrics.front().warn;
  return {v.kind, warn && e.log_e >= e.limit};
}

void note(std::optional<double>& when, bool happened, double t) {
  if (happened && !when) when = t;
}

}  // namespace

config::Policy fitted(config::Policy policy, const Scenario& scenario) {
  if (!scenario.latency) policy.latency.reset();
  policy.restarts.reset();
  policy.metrics.clear();
  return policy;
}

Trial run_trial(const Experiment& x, std::uint64_t index) {
  const Question& ask = x.question;
  Traffic traffic(x.scenario, mix_seed(x.seed, index));
  canary::Judge judge(x.policy, {});
  Trial trial;
  while (!traffic.over()) {
    const Block& block = traffic.next();
    judge.see(block);
    double t = block.t - x.scenario.history;
    if (t <= 0) continue;
    Glance now = glance(judge, ask.warn && !trial.warn);
    note(trial.fail, now.kind == VerdictKind::Fail, t);
    note(trial.pass, now.kind == VerdictKind::Pass, t);
    note(trial.marginal, now.kind == VerdictKind::Marginal, t);
    // A rollback for errors implies it; a judge that has failed looks at nothing more.
    note(trial.warn, now.worse || (ask.warn && trial.fail && !x.scenario.latency), t);
    if (trial.fail) break;  // sticky: the judge looks at nothing more
    if (ask.stop_at_pass && trial.pass) break;
    if (ask.stop_at_warn && trial.warn) break;
  }
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
