// The forecast against simulated runs, and every warning of `davy config check`.

#include "canary/forecast.h"

#include <doctest/doctest.h>
#include <algorithm>

#include "unit/canary/traffic.h"

using namespace davy;
using namespace std::chrono_literals;
using config::Effect;

namespace {

config::Deployment deployment(double per_second, double error_rate, std::vector<double> stages) {
  config::Deployment d;
  d.name = "shop";
  d.stages = std::move(stages);
  d.expect = config::Expected{per_second, error_rate};
  d.policy.latency.reset();
  return d;
}

/// One with so much traffic that there is nothing to doubt.
config::Deployment plenty() {
  return deployment(2000, 0.005, {0.05, 0.25});
}

bool warns(const config::Deployment& d, const std::string& part) {
  std::vector<std::string> all = canary::doubts(d);
  return std::any_of(all.begin(), all.end(),
                     [&](const std::string& s) { return s.find(part) != std::string::npos; });
}

/// Seconds until the verdict, the median of some runs.
double median(test::Traffic traffic, VerdictKind wanted, int runs = 41) {
  std::vector<double> took;
  for (int seed = 1; seed <= runs; ++seed) {
    test::Traffic run = traffic;
    run.random.seed(static_cast<std::uint64_t>(seed));
    config::Policy policy;
    if (!traffic.with_latency) policy.latency.reset();
    policy.max_stage = 24h;
    canary::Judge judge(policy, {});
    test::Traffic before = run;  // V1 is known when V2 comes
    before.share = 0;
    for (int i = 0; i < 40; ++i) judge.see(before.next(15));
    run.t = before.t;
    while (judge.kind() != wanted && run.t < 20000) judge.see(run.next(15));
    took.push_back(run.t - before.t);
  }
  std::sort(took.begin(), took.end());
  return took[took.size() / 2];
}

}  // namespace

TEST_CASE("a forecast is what simulated runs need, within a factor of 1.5") {
  struct Cell {
    double per_second, share, error_rate;
  };
  for (Cell c : {Cell{100, 0.25, 0.002}, Cell{1000, 0.05, 0.01}, Cell{20, 0.5, 0.01}}) {
    CAPTURE(c.per_second);
    config::Deployment d = deployment(c.per_second, c.error_rate, {c.share});
    canary::Forecast f = canary::forecast(d.policy, *d.expect, c.share, false);
    test::Traffic traffic{.per_second = c.per_second,
                          .share = c.share,
                          .baseline_errors = c.error_rate,
                          .canary_errors = c.error_rate,
                          .with_latency = false};
    auto agrees = [](const std::optional<double>& told, double measured) {
      REQUIRE(told);
      CAPTURE(*told);
      CAPTURE(measured);
      CHECK(measured < 1.5 * *told + 15);
      CHECK(measured > *told / 1.5 - 15);
    };
    agrees(f.pass, median(traffic, VerdictKind::Pass));
    traffic.canary_errors = 2 * c.error_rate;
    agrees(f.twice, median(traffic, VerdictKind::Fail));
    traffic.canary_errors = 5 * c.error_rate;
    agrees(f.fivefold, median(traffic, VerdictKind::Fail));
    traffic.canary_errors = c.error_rate + 0.05;
    agrees(f.points, median(traffic, VerdictKind::Fail));
  }
}

TEST_CASE("the forecast counts latency where there are histograms") {
  config::Deployment d = deployment(40, 0.05, {0.25});
  d.policy.latency = config::LatencyPolicy{};
  d.requests.histogram = {"took_seconds"};
  canary::Forecast f = canary::forecast(d.policy, *d.expect, 0.25, true);
  CHECK(f.slowest == "p99");
  test::Traffic traffic{
      .per_second = 40, .share = 0.25, .baseline_errors = 0.05, .canary_errors = 0.05};
  double measured = median(traffic, VerdictKind::Pass, 11);
  CAPTURE(measured);
  REQUIRE(f.pass);
  CHECK(measured < 2 * *f.pass);
  CHECK(measured > *f.pass / 2);
  CHECK(canary::forecast(d.policy, *d.expect, 0.25, false).slowest == "error rate");
}

TEST_CASE("a policy with enough traffic brings no warning") {
  CHECK(canary::doubts(plenty()).empty());
  config::Deployment unknown;  // nothing is expected of it
  CHECK(canary::doubts(unknown).empty());
  CHECK(canary::forecast_lines(unknown).empty());
}

TEST_CASE("the forecast has a line for every stage with V1 beside V2") {
  config::Deployment d = plenty();
  d.stages = {0.05, 0.5, 1};
  std::vector<std::string> lines = canary::forecast_lines(d);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].starts_with("at 5%: a good canary passes in about "));
  CHECK(lines[1].find("twice the errors are rolled back in about ") != std::string::npos);
}

TEST_CASE("a regression that is tolerated is never rolled back") {
  config::Deployment d = plenty();
  d.policy.error_rate.fail = {3, 0};
  CHECK_FALSE(canary::forecast(d.policy, *d.expect, 0.25, false).twice);
  d.policy.error_rate.standing.trust = Effect::Notice;
  CHECK_FALSE(canary::forecast(d.policy, *d.expect, 0.25, false).points);
}

TEST_CASE("more traffic than there is within max_stage is warned of") {
  config::Deployment d = deployment(4, 0.001, {0.05});
  CHECK(warns(d, "at 4 requests/s and 5% the error rate needs "));
  CHECK(warns(d, "max_stage is 30m (raise max_stage, the share, or pass_increase)"));
  d.expect->requests_per_second = 0.2;
  CHECK(warns(d, "no error regression is found within a stage"));
}

TEST_CASE("a margin that tolerates nearly everything is warned of") {
  config::Deployment d = plenty();
  d.policy.error_rate.fail = d.policy.error_rate.pass = {1, 0.95};
  CHECK(warns(d, "max_increase tolerates 95.5% of requests failing"));
  CHECK(warns(d, "pass_increase tolerates"));
  d.expect.reset();
  CHECK(warns(d, "max_increase tolerates 95%"));
}

TEST_CASE("a stage that is too short for any evidence is warned of") {
  config::Deployment d = plenty();
  d.policy.min_stage = 1s;
  d.policy.max_stage = 15s;
  CHECK(warns(d, "nothing is rolled back within max_stage, 15s"));
  CHECK(warns(d, "max_stage of 19s at least"));
  CHECK_FALSE(warns(d, "nothing passes within max_stage"));
  d.policy.max_stage = 10s;
  CHECK(warns(d, "nothing passes within max_stage, 10s"));
}

TEST_CASE("a policy that nothing can pass, or that never rolls back, is warned of") {
  config::Deployment d = plenty();
  d.policy.error_rate.standing.trust = Effect::Notice;
  CHECK(warns(d, "nothing can ever pass"));
  CHECK_FALSE(warns(d, "nothing may roll back"));  // restarts may
  d.policy.error_rate.standing = {.severity = Effect::Hold};
  d.policy.restarts.reset();
  CHECK_FALSE(warns(d, "nothing can ever pass"));
  CHECK(warns(d, "nothing may roll back"));
  d.policy.error_rate.standing.muted = true;
  CHECK(warns(d, "every metric is muted"));
  CHECK_FALSE(warns(d, "nothing can ever pass"));
}

TEST_CASE("a quantile that the traffic does not show is warned of") {
  config::Deployment d = deployment(1, 0.05, {0.5});
  d.policy.max_stage = 20h;
  d.policy.latency = config::LatencyPolicy{.quantiles = {0.5, 0.999}};
  CHECK_FALSE(warns(d, "p99.9"));  // no histogram is configured
  d.requests.histogram = {"took_seconds"};
  CHECK(warns(d, "p99.9 is finer than the traffic shows"));
  CHECK_FALSE(warns(d, "p50 is finer"));
  d.policy.warm_up = 20h;
  CHECK(warns(d, "latency is never judged"));
}

TEST_CASE("an objective that V1 misses is warned of") {
  config::Deployment d = plenty();
  d.policy.error_rate.max = 0.001;
  CHECK(warns(d, "the objective, 0.1%, is not above the expected error rate, 0.5%"));
}
