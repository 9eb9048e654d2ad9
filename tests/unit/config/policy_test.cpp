#include <doctest/doctest.h>

#include "unit/config/fakes.h"

using namespace davy;
using namespace davy::config;
using namespace std::chrono_literals;

namespace {

const std::string kPolicies = DAVY_SOURCE_DIR "/tests/data/config/policies/";

/// The policy of a deployment that is otherwise right.
Loaded load(const std::string& policy) {
  return load_text(
      "service: shop\ndeployments:\n  - name: shop\n"
      "    source: { scrape: { baseline: b, canary: c } }\n"
      "    requests: { counter: n, errors: e }\n"
      "    policy: " +
          policy + "\n",
      "f", fakes::kinds());
}
Policy policy_of(const std::string& text) {
  Loaded loaded = load(text);
  for (const Problem& problem : loaded.problems) MESSAGE(problem.text());
  REQUIRE(loaded.config);
  return loaded.config->deployments[0].policy;
}
std::string wrong(const std::string& text) {
  Loaded loaded = load(text);
  REQUIRE(loaded.problems.size() == 1);
  return loaded.problems[0].text();
}

}  // namespace

TEST_CASE("a policy that says nothing has the documented defaults") {
  CHECK(policy_of("{}") == Policy{});
}

TEST_CASE("a margin is relative in percent, absolute in points, or both") {
  CHECK(policy_of("{ error_rate: { max_increase: 20% } }").error_rate.fail == Margin{1.2, 0});
  CHECK(policy_of("{ error_rate: { max_increase: 0.5pp } }").error_rate.fail == Margin{1, 0.005});
  CHECK(policy_of("{ error_rate: { max_increase: 20% + 0.01pp } }").error_rate ==
        ErrorRatePolicy{});
  CHECK(policy_of("{ error_rate: { max_increase: 0.01pp+20% } }").error_rate == ErrorRatePolicy{});
}

TEST_CASE("the pass margin is never tighter than the fail margin by default") {
  CHECK(policy_of("{ error_rate: { max_increase: 0.5pp } }").error_rate.pass == Margin{1.5, 0.005});
  CHECK(policy_of("{ error_rate: { max_increase: 200% } }").error_rate.pass == Margin{3, 5e-4});
}

TEST_CASE("a pass margin tighter than the fail margin is refused") {
  CHECK(wrong("{ error_rate: { max_increase: 20% + 1pp, pass_increase: 10% + 2pp } }") ==
        "f:6: deployment shop: policy.error_rate.pass_increase: 10% + 2pp is tighter than "
        "max_increase, 20% + 1pp "
        "(both parts at least as large, or leave it out)");
}

TEST_CASE("what is not a margin is refused") {
  for (const char* bad :
       {"20", "0.2", "x%", "20% + 20%", "-5%", "20%pp", "%", "5 %", "1e3%", "100pp"}) {
    CAPTURE(bad);
    CHECK_FALSE(load(std::string("{ error_rate: { max_increase: '") + bad + "' } }").config);
  }
}

TEST_CASE("objectives are read, and impossible ones refused") {
  CHECK(policy_of("{ error_rate: { max: 0.1% } }").error_rate.max == 0.001);
  auto latency = policy_of("{ latency: { max: { p99: 500ms, p50: 80ms } } }").latency;
  CHECK(latency->max == std::vector<LatencyLimit>{{0.99, 0.5}, {0.5, 0.08}});
  CHECK(wrong("{ error_rate: { max: 0% } }").find("no objective") != std::string::npos);
  CHECK(wrong("{ latency: { max: { p101: 500ms } } }").find("is not a quantile") !=
        std::string::npos);
  CHECK(wrong("{ latency: { max: { p99: 0ms } } }").find("is no limit") != std::string::npos);
}

TEST_CASE("fail_increase is max_increase, and only one of them may stand") {
  CHECK(policy_of("{ error_rate: { fail_increase: 20% } }").error_rate.fail == Margin{1.2, 0});
  CHECK(wrong("{ error_rate: { fail_increase: 20%, max_increase: 30% } }")
            .find("is the same as max_increase") != std::string::npos);
  CHECK(wrong("{ error_rate: { max_increase: 20%, warn_increase: 30% } }")
            .find("tolerates more than max_increase") != std::string::npos);
}

TEST_CASE("severity, trust and muted decide together what a metric may do") {
  auto effect = [](const std::string& text) {
    return policy_of("{ error_rate: { " + text + " } }").error_rate.standing.effect();
  };
  CHECK(effect("severity: rollback") == Effect::Rollback);
  CHECK(effect("severity: hold") == Effect::Hold);
  CHECK(effect("trust: shadow") == Effect::None);
  CHECK(effect("trust: advise") == Effect::Notice);
  CHECK(effect("trust: hold") == Effect::Hold);
  CHECK(effect("severity: hold, trust: enforce") == Effect::Hold);
  CHECK(effect("muted: true") == Effect::None);
  CHECK(wrong("{ error_rate: { trust: much } }").find("shadow, advise, hold, enforce") !=
        std::string::npos);
}

TEST_CASE("a metric of one's own has a series, a way that is bad, and a margin in its unit") {
  Policy p = policy_of(
      "{ metrics: [ { name: memory, gauge: process_resident_memory_bytes, "
      "max_increase: 30% + 64MiB, warn_increase: 10%, severity: rollback }, "
      "{ name: cpu, rate: process_cpu_seconds_total, per: request, max_increase: 0.5 }, "
      "{ name: hits, gauge: cache_hit_ratio, max_decrease: 20% } ] }");
  REQUIRE(p.metrics.size() == 3);
  CHECK(p.metrics[0].fail == Margin{1.3, 64.0 * 1024 * 1024});
  CHECK(p.metrics[0].warn == Margin{1.1, 0});
  CHECK(p.metrics[0].standing.effect() == Effect::Rollback);
  CHECK(p.metrics[1].series == ValueSeries{"cpu", "process_cpu_seconds_total",
                                           ValueSeries::Kind::Rate, ValueSeries::Per::Request});
  CHECK(p.metrics[1].standing.effect() == Effect::Hold);
  CHECK(p.metrics[2].bad == ValuePolicy::Bad::Down);
  CHECK(p.metrics[2].fail.ratio == doctest::Approx(1.25));
  CHECK(p.value_series().size() == 3);

  CHECK(wrong("{ metrics: [ { name: a, max_increase: 20% } ] }").find("either a gauge or") !=
        std::string::npos);
  CHECK(wrong("{ metrics: [ { name: a, gauge: g } ] }").find("max_increase: is missing") !=
        std::string::npos);
  CHECK(wrong("{ metrics: [ { name: a, gauge: g, max_increase: 2%, max_decrease: 2% } ] }")
            .find("one way is bad") != std::string::npos);
  CHECK(wrong("{ metrics: [ { name: a, gauge: g, max_decrease: 100% } ] }")
            .find("tolerates everything") != std::string::npos);
  CHECK(wrong("{ metrics: [ { name: a, gauge: g, per: request, max_increase: 1 } ] }")
            .find("not counted per request") != std::string::npos);
  CHECK(wrong("{ metrics: [ { name: a, gauge: g, max_increase: 1 }, { name: a, gauge: h, "
              "max_increase: 1 } ] }")
            .find("is taken") != std::string::npos);
}

TEST_CASE("a profile is where a policy starts from") {
  Policy strict = policy_of("{ profile: strict, error_rate: { max_increase: 15% } }");
  CHECK(strict.error_rate.max == 0.001);
  CHECK(strict.error_rate.fail == Margin{1.15, 0});
  CHECK(strict.hold_on_warn);
  CHECK(policy_of("{ profile: noisy }").robustness.sigma == 0.3);
  CHECK(policy_of("{ profile: default }") == Policy{});
  CHECK_FALSE(load("{ profile: lax }").config);
}

TEST_CASE("attempts are what overdispersion is at least") {
  CHECK(policy_of("{ attempts: 3 }").robustness.attempts == 3);
  CHECK(wrong("{ attempts: 0 }").find("1 to 100") != std::string::npos);
  stats::Discount discount(policy_of("{ attempts: 3 }").robustness);
  CHECK(discount.of({1000, 1, 1000, 1}, 0.001, 5).phi >= 3);
}

TEST_CASE("restarts and the traffic share have settings or are off") {
  CHECK_FALSE(policy_of("{ restarts: off, traffic_share: off }").restarts);
  CHECK(policy_of("{ restarts: { per_day: 3, severity: hold } }").restarts->per_day == 3);
  CHECK(policy_of("{ traffic_share: { tolerance: 20%, stickiness: 50 } }").traffic_share ==
        TrafficSharePolicy{0.2, 50});
  CHECK(wrong("{ restarts: { per_day: 0 } }").find("not testable") != std::string::npos);
  CHECK(wrong("{ traffic_share: { stickiness: 0 } }").find("less than one request") !=
        std::string::npos);
}

TEST_CASE("quantiles are read exactly and sorted") {
  auto latency = policy_of("{ latency: { quantiles: [p99.9, p50, p95] } }").latency;
  REQUIRE(latency);
  CHECK(latency->quantiles == std::vector<double>{0.5, 0.95, 0.999});
}

TEST_CASE("one latency increase alone moves the default of the other out of its way") {
  CHECK(policy_of("{ latency: { fail_increase: 10% } }").latency->warn_increase == 0.1);
  CHECK(policy_of("{ latency: { warn_increase: 80% } }").latency->fail_increase == 0.8);
  CHECK(policy_of("{ latency: { warn_increase: 30% } }").latency->pass_increase == 0.3);
}

TEST_CASE("latency can be turned off") {
  CHECK_FALSE(policy_of("{ latency: off }").latency);
}

TEST_CASE("contradictions in a policy are refused") {
  CHECK(wrong("{ latency: { warn_increase: 60%, fail_increase: 50% } }") ==
        "f:6: deployment shop: policy.latency.warn_increase: 60.0% is more than fail_increase, "
        "50.0% (at most as much)");
  CHECK(wrong("{ min_stage: 1h }") ==
        "f:6: deployment shop: policy.max_stage: 30m is not more than min_stage, 1h (nothing could "
        "ever pass)");
  CHECK(wrong("{ confidence: { false_promote: 60% } }") ==
        "f:6: deployment shop: policy.confidence.false_promote: 60.0% is not possible "
        "(more than 0%, at most 50%; 1% to 5% is usual)");
  CHECK(wrong("{ confidence: { false_hold: 0 } }").find("false_hold") != std::string::npos);
  CHECK(wrong("{ on_undecided: promote }").find("is not one of hold, advance, rollback") !=
        std::string::npos);
  CHECK(wrong("{ latency: { quantiles: [p95, p100] } }").find("\"p100\" is not a quantile") !=
        std::string::npos);
}

TEST_CASE("a policy file may have the key policy around it or not") {
  LoadedPolicy bare = load_policy_file(kPolicies + "bare.yaml");
  REQUIRE(bare.policy);
  CHECK(bare.policy->error_rate.fail == Margin{1, 0.005});
  CHECK_FALSE(bare.policy->latency);

  LoadedPolicy wrapped = load_policy_file(kPolicies + "wrapped.yaml");
  REQUIRE(wrapped.policy);
  Policy expected{.error_rate = {{1.2, 1e-4}, {2, 0.01}},
                  .latency = LatencyPolicy{{0.5, 0.99, 0.999}, 0.1, 0.4, 0.1},
                  .false_rollback = 0.005,
                  .false_hold = 0.1,
                  .false_promote = 0.02,
                  .min_stage = 2min,
                  .max_stage = 1h,
                  .warm_up = 30s,
                  .when_undecided = WhenUndecided::Advance};
  CHECK(*wrapped.policy == expected);
}

TEST_CASE("a policy file that is not there is a problem") {
  LoadedPolicy missing = load_policy_file("/nonexistent.yaml");
  CHECK_FALSE(missing.policy);
  REQUIRE(missing.problems.size() == 1);
  CHECK(missing.problems[0].text() ==
        "/nonexistent.yaml: cannot be read (a YAML file that davy's user may read)");
}
