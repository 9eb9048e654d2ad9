// Objectives, restarts, traffic share, own metrics: each told apart from what it must not mean.

#include <doctest/doctest.h>
#include <cmath>

#include "unit/canary/traffic.h"

using namespace davy;
using namespace davy::test;
using namespace std::chrono_literals;
using config::Effect;

namespace {

config::Policy errors_only() {
  config::Policy p = policy();
  p.latency.reset();
  return p;
}

Traffic plain() {
  Traffic t;
  t.with_latency = false;
  return t;
}

config::ValuePolicy memory(double tolerated = 0.2) {
  config::ValuePolicy m;
  m.series.name = "memory";
  m.fail = {1 + tolerated, 0};
  return m;
}

/// Adds a memory gauge: V1 at 100, V2 at `canary`, 5 % noise.
void add_memory(Block& block, Traffic& traffic, double canary) {
  std::normal_distribution<double> noise(1, 0.05);
  block.baseline.values = {{"memory", 100 * noise(traffic.random)}};
  block.canary.values = {{"memory", canary * noise(traffic.random)}};
}

void add_pods(VersionCounts& v, int pods, double restarts = 0) {
  for (int i = 0; i < pods; ++i) {
    PodCounts pod;
    pod.id = "pod-" + std::to_string(i);
    pod.requests = std::floor(v.requests / pods);
    v.pods.push_back(pod);
  }
  v.pods[0].restarts = restarts;
}

}  // namespace

TEST_CASE(
    "a canary above the error objective is rolled back though it is within its margin of V1") {
  config::Policy p = errors_only();
  p.error_rate.max = 0.005;
  p.error_rate.fail = {20, 0.05};
  p.error_rate.pass = {20, 0.05};
  Traffic traffic = plain();
  traffic.canary_errors = 0.02;
  canary::Judge judge(p, {});
  const Verdict& v = run(judge, traffic, 200);
  CHECK(v.kind == VerdictKind::Fail);
  CHECK(v.decided_by == "error_rate_max");
  CHECK(says(v.reason, "allowed are 0.50%"));
}

TEST_CASE("an objective that both versions miss holds and rolls nobody back") {
  config::Policy p = errors_only();
  p.error_rate.max = 0.005;
  Traffic traffic = plain();
  traffic.baseline_errors = traffic.canary_errors = 0.02;
  canary::Judge judge(p, {});
  for (int i = 0; i < 300; ++i) {
    judge.see(traffic.next());
    REQUIRE(judge.kind() != VerdictKind::Fail);
  }
  CHECK(judge.kind() == VerdictKind::Inconclusive);
  CHECK(says(judge.verdict().reason, "both versions miss the objective"));
  CHECK(says(metric(judge.verdict(), "error_rate_max").sentence, "V1 misses it, too"));
}

TEST_CASE("a canary well below the objective passes it, one just at it does not") {
  config::Policy p = errors_only();
  p.error_rate.max = 0.005;
  Traffic traffic = plain();
  canary::Judge good(p, {});
  CHECK(run(good, traffic, 400).kind == VerdictKind::Pass);
  CHECK(says(good.verdict().reason, "an error rate above 0.75%"));
}

TEST_CASE("a latency objective is held against the next bucket bound, and named") {
  config::Policy p = policy();
  p.latency->max = {{0.99, 0.08}};
  p.latency->fail_increase = 30;  // the comparison alone would never fail it
  p.latency->warn_increase = 30;
  p.latency->pass_increase = 30;
  Traffic traffic;
  traffic.canary_slower = 2;
  canary::Judge judge(p, {});
  const Verdict& v = run(judge, traffic, 200);
  CHECK(v.kind == VerdictKind::Fail);
  CHECK(v.decided_by == "latency_max_p99");
  CHECK(says(v.reason, "took longer than 8"));
}

TEST_CASE("a latency objective beyond the last bucket bound never passes by absence of data") {
  config::Policy p = policy();
  p.latency->max = {{0.99, 60}};
  Traffic traffic;
  canary::Judge judge(p, {});
  CHECK(run(judge, traffic, 300).kind == VerdictKind::Inconclusive);
  CHECK(says(metric(judge.verdict(), "latency_max_p99").sentence, "with a bound at or above"));
}

TEST_CASE("a canary whose pods keep crashing is rolled back though its errors look clean") {
  Traffic traffic = plain();
  canary::Judge judge(errors_only(), {});
  for (int i = 0; i < 200 && judge.kind() != VerdictKind::Fail; ++i) {
    Block block = traffic.next();
    add_pods(block.baseline, 4);
    add_pods(block.canary, 2, i % 6 == 5 ? 1 : 0);  // twice a minute
    judge.see(block);
  }
  CHECK(judge.kind() == VerdictKind::Fail);
  CHECK(judge.verdict().decided_by == "restarts");
  CHECK(says(judge.verdict().reason, "instances restarted"));
}

TEST_CASE("a single restart rolls nobody back") {
  Traffic traffic = plain();
  canary::Judge judge(errors_only(), {});
  for (int i = 0; i < 60; ++i) {
    Block block = traffic.next();
    add_pods(block.baseline, 4);
    add_pods(block.canary, 2, i == 20 ? 1 : 0);
    judge.see(block);
    REQUIRE(judge.kind() != VerdictKind::Fail);
  }
}

TEST_CASE("a canary that gets another share than configured is held with both shares") {
  Traffic traffic = plain();
  traffic.weight = 0.05;
  traffic.share = 0.03;
  canary::Judge judge(errors_only(), {0.05, 0.5});
  bool held = false;
  for (int i = 0; i < 200; ++i) {
    judge.see(traffic.next());
    held = says(judge.verdict().reason, "of the requests instead of 5.00%");
    if (held) break;
  }
  CHECK(held);
  CHECK(judge.kind() == VerdictKind::Inconclusive);
  CHECK(judge.verdict().traffic_share->observed == doctest::Approx(0.03).epsilon(0.1));
  REQUIRE(judge.verdict().traffic_share);
  CHECK(judge.verdict().traffic_share->configured == 0.05);
  CHECK(says(judge.verdict().next, "Check routing"));
}

TEST_CASE("the right share in bundles of ten requests is not held") {
  Traffic traffic = plain();
  traffic.weight = 0.05;
  canary::Judge judge(errors_only(), {0.05, 0.5});
  for (int i = 0; i < 700; ++i) {
    Block block = traffic.next();
    block.baseline.requests =
        10.0 * static_cast<double>(std::poisson_distribution<long>(95)(traffic.random));
    block.canary.requests =
        10.0 * static_cast<double>(std::poisson_distribution<long>(5)(traffic.random));
    block.baseline.errors = block.canary.errors = 0;
    judge.see(block);
    REQUIRE_FALSE(says(judge.verdict().reason, "instead of"));
  }
}

TEST_CASE("a metric of one's own holds, rolls back, or only advises, as its standing says") {
  struct Case {
    config::Standing standing;
    VerdictKind kind;
  };
  const Case cases[] = {
      {{.severity = Effect::Hold}, VerdictKind::Marginal},
      {{.severity = Effect::Rollback}, VerdictKind::Fail},
      {{.severity = Effect::Rollback, .trust = Effect::Hold}, VerdictKind::Marginal},
      {{.severity = Effect::Rollback, .trust = Effect::Notice}, VerdictKind::Pass},
      {{.severity = Effect::Rollback, .trust = Effect::None}, VerdictKind::Pass},
      {{.severity = Effect::Rollback, .muted = true}, VerdictKind::Pass}};
  for (const Case& c : cases) {
    config::Policy p = errors_only();
    p.metrics = {memory()};
    p.metrics[0].standing = c.standing;
    Traffic traffic = plain();
    canary::Judge judge(p, {});
    for (int i = 0; i < 250; ++i) {
      Block block = traffic.next();
      add_memory(block, traffic, 160);
      judge.see(block);
    }
    CHECK(judge.kind() == c.kind);
    const Verdict& v = judge.verdict();
    bool advised = !v.notices.empty() && says(v.notices.back(), "Advice (memory)");
    CHECK(advised == (c.standing.effect() == Effect::Notice));
    if (c.kind != VerdictKind::Pass) CHECK(v.decided_by == "memory");
    REQUIRE(metric(v, "memory").values);
    CHECK(metric(v, "memory").values->canary == doctest::Approx(160).epsilon(0.02));
    CHECK(metric(v, "memory").values->low > 40);
    CHECK(metric(v, "memory").values->high < 80);
  }
}

TEST_CASE("a metric of one's own holds up the pass until it is proven good") {
  config::Policy p = errors_only();
  p.metrics = {memory()};
  Traffic traffic = plain();
  canary::Judge judge(p, {});
  CHECK(run(judge, traffic, 300).kind == VerdictKind::Inconclusive);  // it is never shown
  CHECK(says(metric(judge.verdict(), "memory").sentence, "does not show it"));
  canary::Judge shown(p, {});
  for (int i = 0; i < 300 && shown.kind() != VerdictKind::Pass; ++i) {
    Block block = traffic.next();
    add_memory(block, traffic, 102);
    shown.see(block);
  }
  CHECK(shown.kind() == VerdictKind::Pass);
}

TEST_CASE("a metric whose decrease is bad fails when V2's is lower, not when it is higher") {
  config::Policy p = errors_only();
  p.metrics = {memory()};
  p.metrics[0].bad = config::ValuePolicy::Bad::Down;
  p.metrics[0].standing.severity = Effect::Rollback;
  for (double value : {60.0, 160.0}) {
    Traffic traffic = plain();
    canary::Judge judge(p, {});
    for (int i = 0; i < 250; ++i) {
      Block block = traffic.next();
      add_memory(block, traffic, value);
      judge.see(block);
    }
    CHECK(judge.kind() == (value < 100 ? VerdictKind::Fail : VerdictKind::Pass));
  }
}

TEST_CASE("warn_increase on the error rate holds where max_increase does not roll back yet") {
  config::Policy p = errors_only();
  p.error_rate.fail = {5, 0.01};
  p.error_rate.pass = {5, 0.01};
  p.error_rate.warn = config::Margin{1.2, 0.0001};
  Traffic traffic = plain();
  traffic.canary_errors = 0.006;
  canary::Judge judge(p, {});
  for (int i = 0; i < 200; ++i) judge.see(traffic.next());
  CHECK(judge.kind() == VerdictKind::Marginal);
  CHECK(says(judge.verdict().reason, "error rate is above 1.2x V1's"));
}

TEST_CASE("hold_on_warn holds what is worse at all, and without it that is a notice") {
  for (bool holds : {false, true}) {
    config::Policy p = errors_only();
    p.error_rate.fail = {5, 0.01};
    p.error_rate.pass = {5, 0.01};
    p.hold_on_warn = holds;
    Traffic traffic = plain();
    traffic.canary_errors = 0.004;
    canary::Judge judge(p, {});
    for (int i = 0; i < 200; ++i) judge.see(traffic.next());
    CHECK(judge.kind() == (holds ? VerdictKind::Marginal : VerdictKind::Pass));
    CHECK(judge.verdict().notices.empty() == holds);
  }
}

TEST_CASE("a fault is proven alone only where the other metrics could not make up for it") {
  std::vector<canary::GateMetric> metrics(3);
  for (canary::GateMetric& m : metrics) m.weight = 1.0 / 3;
  metrics[0].log_fail = std::log(1000);
  CHECK(canary::proven_alone(metrics, 0.01) == std::vector<bool>{true, false, false});
  metrics[0].log_fail = std::log(150);  // enough for itself, not for a set with two silent ones
  CHECK(canary::proven_alone(metrics, 0.01) == std::vector<bool>{false, false, false});
  metrics[1].log_fail = metrics[2].log_fail = std::log(110);
  CHECK(canary::proven_alone(metrics, 0.01) == std::vector<bool>{true, true, true});
}
