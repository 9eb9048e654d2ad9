#include "canary/judge.h"

#include <doctest/doctest.h>
#include <cmath>

#include "unit/canary/traffic.h"

using namespace davy;
using namespace davy::test;
using namespace std::chrono_literals;

TEST_CASE("nothing seen is inconclusive and says so") {
  canary::Judge judge(policy(), {});
  CHECK(judge.verdict().kind == VerdictKind::Inconclusive);
  CHECK(judge.verdict().reason == "No traffic seen yet.");
}

TEST_CASE("a good canary passes, not before the least time of a stage") {
  Traffic traffic;
  canary::Judge judge(policy(), {0.2, 1.0});
  const Verdict& v = run(judge, traffic, 400);
  CHECK(v.kind == VerdictKind::Pass);
  CHECK(v.t >= 60);
  CHECK(v.score == 100);
  CHECK(v.reason.find("Safe to advance to 100%") != std::string::npos);
}

TEST_CASE(
    "a canary that fails ten times as often is rolled back and the sentence has both rates and an "
    "interval") {
  Traffic traffic;
  traffic.canary_errors = 0.02;
  canary::Judge judge(policy(), {});
  const Verdict& v = run(judge, traffic, 100);
  CHECK(v.kind == VerdictKind::Fail);
  CHECK(v.score == 0);
  CHECK(v.reason.find("error rate") != std::string::npos);
  CHECK(v.reason.find("V1 0.2") != std::string::npos);
  CHECK(v.reason.find("95% interval") != std::string::npos);
  const MetricVerdict& m = metric(v, "error_rate");
  CHECK(m.ratio.low > 1);
  CHECK(m.ratio.low <= 10);
  CHECK(m.ratio.high >= 10);
}

TEST_CASE("a canary twice as slow fails and names its latency") {
  Traffic traffic;
  traffic.canary_slower = 2;
  canary::Judge judge(policy(), {});
  const Verdict& v = run(judge, traffic, 200);
  CHECK(v.kind == VerdictKind::Fail);
  CHECK(v.reason.find("Roll back (p9") != std::string::npos);
  CHECK(v.reason.find("took longer than") != std::string::npos);
}

TEST_CASE("a canary a third slower holds the promotion but is not rolled back") {
  Traffic traffic;
  traffic.canary_slower = 1.35;
  canary::Judge judge(policy(), {});
  const Verdict& v = run(judge, traffic, 300);
  CHECK(v.kind == VerdictKind::Marginal);
  CHECK(v.reason.find("Hold (p9") != std::string::npos);
}

TEST_CASE("a fail is sticky and its evidence frozen") {
  Traffic traffic;
  traffic.canary_errors = 0.05;
  canary::Judge judge(policy(), {});
  run(judge, traffic, 100);
  Verdict before = judge.verdict();
  REQUIRE(before.kind == VerdictKind::Fail);
  traffic.canary_errors = 0;
  for (int i = 0; i < 200; ++i) judge.see(traffic.next());
  judge.see_trouble(traffic.t, "target gone");
  CHECK(judge.verdict().kind == VerdictKind::Fail);
  CHECK(judge.verdict().t == before.t);
  CHECK(judge.verdict().canary_requests == before.canary_requests);
}

TEST_CASE("a regression that begins late is found after a pass") {
  Traffic traffic;
  canary::Judge judge(policy(), {});
  REQUIRE(run(judge, traffic, 400).kind == VerdictKind::Pass);
  traffic.canary_errors = 0.03;
  for (int i = 0; i < 100 && judge.verdict().kind != VerdictKind::Fail; ++i)
    judge.see(traffic.next());
  CHECK(judge.verdict().kind == VerdictKind::Fail);
}

TEST_CASE("errors common to both versions are nobody's fault") {
  Traffic traffic;
  canary::Judge judge(policy(), {});
  for (int i = 0; i < 120; ++i) {
    traffic.baseline_errors = traffic.canary_errors = i % 20 < 5 ? 0.3 : 0.002;
    judge.see(traffic.next());
  }
  CHECK(judge.verdict().kind != VerdictKind::Fail);
  CHECK(judge.verdict().kind != VerdictKind::Marginal);
}

TEST_CASE("the same blocks give the same verdict bit for bit") {
  Traffic one, two;
  one.canary_errors = two.canary_errors = 0.004;
  canary::Judge a(policy(), {}), b(policy(), {});
  for (int i = 0; i < 100; ++i) {
    a.see(one.next());
    b.see(two.next());
    REQUIRE(a.verdict().rollback.log_e == b.verdict().rollback.log_e);
    REQUIRE(a.verdict().reason == b.verdict().reason);
  }
}

TEST_CASE("one catastrophic block does not roll back") {
  Traffic traffic;
  canary::Judge judge(policy(), {});
  for (int i = 0; i < 10; ++i) judge.see(traffic.next());
  traffic.canary_errors = 1;
  judge.see(traffic.next());
  CHECK(judge.verdict().kind != VerdictKind::Fail);
}

TEST_CASE("a canary without requests is not passed by the absence of data") {
  Traffic traffic;
  canary::Judge judge(policy(), {});
  REQUIRE(run(judge, traffic, 400).kind == VerdictKind::Pass);
  traffic.share = 0;
  for (int i = 0; i < 13; ++i) judge.see(traffic.next());
  CHECK(judge.verdict().kind == VerdictKind::Inconclusive);
  CHECK(judge.verdict().reason.find("V2 has had no requests for") != std::string::npos);
}

TEST_CASE("a baseline without requests leaves nothing to compare with") {
  Traffic traffic;
  traffic.share = 1;
  canary::Judge judge(policy(), {});
  for (int i = 0; i < 70; ++i) judge.see(traffic.next());
  CHECK(judge.verdict().kind == VerdictKind::Inconclusive);
  CHECK(judge.verdict().reason.find("V1 has had no requests") != std::string::npos);
}

TEST_CASE("telemetry trouble is an error that ends with the next good block") {
  Traffic traffic;
  canary::Judge judge(policy(), {});
  for (int i = 0; i < 5; ++i) judge.see(traffic.next());
  judge.see_trouble(traffic.t, "canary http://v2:9102/metrics: refused");
  CHECK(judge.verdict().kind == VerdictKind::Error);
  CHECK(judge.verdict().reason.find("refused") != std::string::npos);
  judge.see(traffic.next());
  CHECK(judge.verdict().kind == VerdictKind::Inconclusive);
}

TEST_CASE("without any histogram the error rate decides alone and a notice says so") {
  Traffic traffic;
  traffic.with_latency = false;
  canary::Judge judge(policy(), {});
  const Verdict& v = run(judge, traffic, 600);
  CHECK(v.kind == VerdictKind::Pass);
  REQUIRE(v.notices.size() == 1);
  CHECK(v.notices[0].find("Latency is not judged") != std::string::npos);
}

TEST_CASE("a canary whose histogram is missing while V1 has one does not pass") {
  Traffic traffic;
  canary::Judge judge(policy(), {});
  for (int i = 0; i < 300; ++i) {
    Block block = traffic.next();
    block.canary.latency.reset();
    judge.see(block);
  }
  CHECK(judge.verdict().kind == VerdictKind::Inconclusive);
  CHECK(metric(judge.verdict(), "latency_p99").sentence == "V2 has no latency histogram");
}

TEST_CASE("histograms with different bounds are compared at the bounds they share") {
  Traffic traffic;
  canary::Judge judge(policy(), {});
  traffic.canary_slower = 2;
  for (int i = 0; i < 200 && judge.verdict().kind != VerdictKind::Fail; ++i) {
    Block block = traffic.next();
    Histogram& h = *block.canary.latency;
    h.counts[41] += h.counts[40];  // V2 lacks one bound
    h.bounds.erase(h.bounds.begin() + 40);
    h.counts.erase(h.counts.begin() + 40);
    judge.see(block);
  }
  CHECK(judge.verdict().kind == VerdictKind::Fail);
}

TEST_CASE("histograms without a common bound are never a pass") {
  Traffic traffic;
  canary::Judge judge(policy(), {});
  for (int i = 0; i < 200; ++i) {
    Block block = traffic.next();
    for (double& bound : block.canary.latency->bounds) bound *= 1.01;
    judge.see(block);
  }
  CHECK(judge.verdict().kind == VerdictKind::Inconclusive);
  CHECK(metric(judge.verdict(), "latency_p95").sentence.find("no bucket bound in common") !=
        std::string::npos);
}

TEST_CASE("coarse buckets say what they cannot prove and do not hold up a pass") {
  Traffic traffic;
  traffic.bounds = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
  canary::Judge judge(policy(), {});
  const Verdict& v = run(judge, traffic, 600);
  CHECK(v.kind == VerdictKind::Pass);
  const MetricVerdict& p99 = metric(v, "latency_p99");
  CHECK_FALSE(p99.gates);
  CHECK(p99.sentence.find("buckets too coarse") != std::string::npos);
}

TEST_CASE("an undecided stage ends as the policy says") {
  for (auto [choice, kind] : {std::pair{config::WhenUndecided::Hold, VerdictKind::Inconclusive},
                              std::pair{config::WhenUndecided::Advance, VerdictKind::Pass},
                              std::pair{config::WhenUndecided::Rollback, VerdictKind::Fail}}) {
    Traffic traffic;
    traffic.per_second = 10;
    traffic.with_latency = false;
    config::Policy p = policy();
    p.max_stage = 10min;
    p.when_undecided = choice;
    canary::Judge judge(p, {});
    for (int i = 0; i < 125; ++i) judge.see(traffic.next());
    CHECK(judge.verdict().kind == kind);
  }
}

TEST_CASE("inconclusive says how many requests and how long, and less as time goes by") {
  Traffic traffic;
  traffic.with_latency = false;
  canary::Judge judge(policy(), {});
  for (int i = 0; i < 4; ++i) judge.see(traffic.next());
  Verdict early = judge.verdict();
  REQUIRE(early.needs.seconds);
  REQUIRE(early.needs.requests);
  CHECK(early.needs.text.find("more V2 requests") != std::string::npos);
  for (int i = 0; i < 8; ++i) judge.see(traffic.next());
  if (judge.verdict().needs.seconds) CHECK(*judge.verdict().needs.seconds < *early.needs.seconds);
}

TEST_CASE("a pass belongs to its stage and begins anew with the next") {
  Traffic traffic;
  traffic.weight = 0.2;
  canary::Judge judge(policy(), {0.2, 0.5, 1.0});
  REQUIRE(run(judge, traffic, 400).kind == VerdictKind::Pass);
  CHECK(judge.verdict().next == "Advance to 50%.");
  traffic.weight = traffic.share = 0.5;
  judge.see(traffic.next());
  CHECK(judge.verdict().kind == VerdictKind::Inconclusive);
  CHECK(judge.verdict().stage == "50%");
}

TEST_CASE("enormous and tiny counts never make a number that is none") {
  for (double n : {1e-3, 1.0, 1e15}) {
    canary::Judge judge(policy(), {});
    for (int i = 1; i <= 50; ++i) {
      Block b;
      b.t = 5 * i;
      b.dt = 5;
      b.baseline.requests = n;
      b.canary.requests = n;
      b.canary.errors = i % 2 ? n : 0;
      judge.see(b);
      for (const MetricVerdict& m : judge.verdict().metrics) {
        REQUIRE(std::isfinite(m.fail.log_e));
        REQUIRE(std::isfinite(m.pass.log_e));
        REQUIRE(std::isfinite(m.score));
      }
    }
  }
}
