// What happens around the evidence: A/A period, warm-up, 100 %, bad blocks, saved state.

#include <doctest/doctest.h>
#include <cmath>
#include <limits>

#include "base/archive.h"
#include "stats/buckets.h"
#include "unit/canary/traffic.h"

using namespace davy;
using namespace davy::test;
using namespace std::chrono_literals;

namespace {

std::string state_of(canary::Judge& judge) {
  Archive out = Archive::writer();
  judge.archive(out);
  return out.bytes();
}

/// A policy with every kind of metric.
config::Policy full_policy() {
  config::Policy p = policy();
  p.error_rate.max = 0.01;
  p.error_rate.warn = config::Margin{1.2, 0};
  p.latency->quantiles = {0.5, 0.95, 0.99};
  p.latency->max = {{0.99, 0.5}};
  config::ValuePolicy memory;
  memory.series.name = "memory";
  memory.warn = config::Margin{1.1, 0};
  p.metrics = {memory};
  return p;
}

Block full_block(Traffic& traffic) {
  Block b = traffic.next();
  std::normal_distribution<double> value(100, 3);
  b.baseline.values = {{"memory", value(traffic.random)}};
  b.canary.values = {{"memory", value(traffic.random)}};
  for (VersionCounts* v : {&b.baseline, &b.canary}) {
    for (int i = 0; i < 3; ++i) {
      PodCounts pod;
      pod.id = std::string(v == &b.baseline ? "v1-" : "v2-") + std::to_string(i);
      pod.requests = std::floor(v->requests / 3);
      pod.age = 1000 + b.t;
      v->pods.push_back(pod);
    }
  }
  return b;
}

}  // namespace

TEST_CASE("a judge that is saved and loaded anywhere goes on bit for bit") {
  config::Policy p = full_policy();
  Traffic traffic;
  traffic.per_second = 20;  // blocks stay open over several rounds
  traffic.weight = 0.2;
  canary::Judge unbroken(p, {0.2, 0.5});
  auto broken = std::make_unique<canary::Judge>(p, std::vector<double>{0.2, 0.5});
  for (int i = 0; i < 300; ++i) {
    if (i == 100) traffic.weight = traffic.share = 0.5;
    if (i == 200) traffic.canary_errors = 0.1;
    Block block = full_block(traffic);
    unbroken.see(block);
    broken->see(block);
    if (i % 7 == 0) {
      std::string state = state_of(*broken);
      auto again = std::make_unique<canary::Judge>(p, std::vector<double>{0.2, 0.5});
      Archive in = Archive::reader(state);
      again->archive(in);
      REQUIRE_FALSE(in.failed());
      REQUIRE(in.at_end());
      broken = std::move(again);
    }
    REQUIRE(state_of(unbroken) == state_of(*broken));
    REQUIRE(unbroken.verdict().reason == broken->verdict().reason);
  }
  CHECK(unbroken.kind() == VerdictKind::Fail);
}

TEST_CASE("a run's state is at most 4 KB per metric") {
  config::Policy p = full_policy();
  Traffic traffic;
  traffic.weight = 0.2;
  canary::Judge judge(p, {0.2, 0.5});
  for (int i = 0; i < 400; ++i) judge.see(full_block(traffic));
  std::size_t metrics = judge.verdict().metrics.size();
  CHECK(metrics == 8);
  CHECK(state_of(judge).size() <= 4096 * metrics);
}

TEST_CASE("state that is cut anywhere is refused") {
  Traffic traffic;
  traffic.weight = 0.2;
  canary::Judge judge(full_policy(), {0.2});
  for (int i = 0; i < 20; ++i) judge.see(full_block(traffic));
  std::string state = state_of(judge);
  for (std::size_t n = 0; n < state.size(); n += 37) {
    canary::Judge other(full_policy(), {0.2});
    Archive in = Archive::reader(state.substr(0, n));
    other.archive(in);
    REQUIRE(in.failed());
  }
}

TEST_CASE("in an A/A period nothing is judged, and what it teaches makes the judge careful") {
  auto noisy = [](Traffic& traffic, int i) {
    // V2 drifts by itself: 40 % up and down within 4 minutes.
    traffic.canary_errors = 0.01 * std::exp(0.4 * std::sin(i * 5.0 / 240 * 2 * 3.14159));
  };
  config::Policy p = policy();
  p.latency.reset();
  auto drive = [&](config::Policy policy, int aa_blocks) {
    Traffic traffic;
    traffic.with_latency = false;
    traffic.per_second = 20000;
    traffic.baseline_errors = 0.01;
    canary::Judge judge(policy, {});
    for (int i = 0; i < aa_blocks + 240; ++i) {
      noisy(traffic, i);
      judge.see(traffic.next());
      if (i < aa_blocks - 1) REQUIRE(says(judge.verdict().reason, "A/A period"));
    }
    return judge.verdict();
  };
  Verdict careless = drive(p, 0);
  p.aa_period = 20min;
  Verdict careful = drive(p, 240);
  CHECK(metric(careless, "error_rate").noise == 0);
  CHECK(metric(careful, "error_rate").noise > 0.2);
  CHECK(metric(careful, "error_rate").discount > 2 * metric(careless, "error_rate").discount);
}

TEST_CASE("only the instances that warm up are left out of the latency") {
  auto drive = [](double young_age, double young_slower) {
    config::Policy p = policy();
    p.warm_up = 60s;
    Traffic traffic;
    canary::Judge judge(p, {});
    for (int i = 0; i < 60; ++i) {
      Block block = traffic.next();
      Histogram slow = traffic.draw_latency(block.canary.requests / 4, young_slower);
      stats::add(*block.canary.latency, slow);
      PodCounts warm;
      warm.id = "warm";
      warm.age = 500;
      PodCounts young;
      young.id = "young";
      young.age = young_age;
      young.latency = slow;
      block.canary.pods = {warm, young};
      judge.see(block);
    }
    return judge.kind();
  };
  CHECK(drive(20, 6) != VerdictKind::Fail);   // it is young: its slowness does not count
  CHECK(drive(400, 6) == VerdictKind::Fail);  // it is not
}

TEST_CASE("without ages the first part of a stage is warm-up") {
  config::Policy p = policy();
  p.warm_up = 60s;
  Traffic traffic;
  traffic.canary_slower = 3;
  canary::Judge judge(p, {});
  for (int i = 0; i < 18; ++i) judge.see(traffic.next());
  CHECK(metric(judge.verdict(), "latency_p99").canary_requests == 0);
  for (int i = 0; i < 60; ++i) judge.see(traffic.next());
  CHECK(judge.kind() == VerdictKind::Fail);
}

TEST_CASE("at 100 % V2 is held against V1's past: it may pass, and what is worse only holds") {
  for (double errors : {0.002, 0.03}) {
    config::Policy p = policy();
    Traffic traffic;
    traffic.with_latency = false;
    traffic.weight = traffic.share = 0.5;
    canary::Judge judge(p, {0.5, 1.0});
    for (int i = 0; i < 240; ++i) judge.see(traffic.next());
    traffic.weight = traffic.share = 1;
    traffic.canary_errors = errors;
    for (int i = 0; i < 240; ++i) {
      judge.see(traffic.next());
      REQUIRE(judge.kind() != VerdictKind::Fail);
    }
    CHECK(judge.kind() == (errors > 0.01 ? VerdictKind::Marginal : VerdictKind::Pass));
    CHECK(says(metric(judge.verdict(), "error_rate").sentence, "not concurrent"));
  }
}

TEST_CASE("blocks that cannot be true are an error with their reason and change no evidence") {
  struct Case {
    const char* what;
    void (*spoil)(Block&);
  };
  const Case cases[] = {
      {"more errors (1000) than requests",
       [](Block& b) {
         b.canary.errors = 1000;
         b.canary.requests = 100;
       }},
      {"is negative", [](Block& b) { b.baseline.requests = -1; }},
      {"not a whole number", [](Block& b) { b.canary.errors = 0.5; }},
      {"is not a number", [](Block& b) { b.canary.requests = std::nan(""); }},
      {"is more than 1e+15",
       [](Block& b) { b.baseline.requests = std::numeric_limits<double>::infinity(); }},
      {"lasts 0 s", [](Block& b) { b.dt = 0; }},
      {"time goes backwards", [](Block& b) { b.t -= 100; }},
      {"finite and ascending",
       [](Block& b) { b.canary.latency->bounds.back() = std::numeric_limits<double>::infinity(); }},
      {"one count more than bounds", [](Block& b) { b.canary.latency->counts.pop_back(); }},
      {"a count of the latency histogram is negative",
       [](Block& b) { b.canary.latency->counts[3] = -4; }},
      {"the canary's share is 7", [](Block& b) { b.weight = 7; }},
      {"the value of x is not a number", [](Block& b) {
         b.canary.values = {{"x", std::nan("")}};
       }}};
  for (const Case& c : cases) {
    CAPTURE(std::string(c.what));
    Traffic traffic;
    canary::Judge judge(policy(), {});
    for (int i = 0; i < 30; ++i) judge.see(traffic.next());
    Verdict before = judge.verdict();
    Block block = traffic.next();
    c.spoil(block);
    judge.see(block);
    bool infinite = std::isinf(block.baseline.requests);
    CHECK(judge.kind() == VerdictKind::Error);
    CHECK(says(judge.verdict().reason, infinite ? "is not a number" : c.what));
    CHECK(judge.verdict().rollback.log_e == before.rollback.log_e);
    judge.see(traffic.next());
    CHECK(judge.kind() != VerdictKind::Error);
  }
}

TEST_CASE(
    "1e15 requests, all-zero latencies and bounds that change in mid-run end in finite numbers") {
  Traffic traffic;
  canary::Judge judge(policy(), {});
  for (int i = 0; i < 200; ++i) {
    Block block = traffic.next();
    if (i % 3 == 0) {
      block.baseline.requests = block.canary.requests = 1e15;
      block.baseline.errors = 1e9;
      block.canary.errors = i % 2 == 0 ? 1e9 : 1e14;
    }
    if (i % 5 == 0) block.canary.latency->counts.assign(block.canary.latency->counts.size(), 0.0);
    if (i == 100) {
      for (double& bound : traffic.bounds) bound *= 1.5;
    }
    judge.see(block);
    const Verdict& v = judge.verdict();
    for (const MetricVerdict& m : v.metrics) {
      for (double x : {m.fail.log_e, m.warn.log_e, m.pass.log_e, m.score, m.baseline_rate,
                       m.canary_rate, m.discount, m.overdispersion}) {
        REQUIRE(std::isfinite(x));
      }
    }
    REQUIRE(std::isfinite(v.rollback.log_e));
    REQUIRE(v.score >= 0);
    REQUIRE(v.score <= 100);
  }
}
