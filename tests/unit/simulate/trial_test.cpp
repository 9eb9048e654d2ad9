#include "simulate/trial.h"

#include <doctest/doctest.h>

#include "simulate/report.h"

using namespace davy;
using namespace davy::simulate;

namespace {

Experiment experiment(Change change, int runs) {
  Scenario scenario{.requests_per_second = 100, .canary_share = 0.25, .change = change};
  return {.scenario = scenario,
          .policy = fitted(config::Policy{}, scenario),
          .question = {.warn = true},
          .runs = runs};
}

bool same(const std::vector<Trial>& a, const std::vector<Trial>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].fail != b[i].fail || a[i].warn != b[i].warn || a[i].pass != b[i].pass) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("trials depend on the seed, not on the threads") {
  Experiment x = experiment({.ratio = 5}, 12);
  std::vector<Trial> two = simulate::simulate(x);
  x.threads = 1;
  CHECK(same(two, simulate::simulate(x)));
  x.seed = 2;
  CHECK_FALSE(same(two, simulate::simulate(x)));
}

TEST_CASE("five points more errors are always found, an equal V2 is never rolled back") {
  Experiment worse = experiment({.added = 0.05}, 40);
  Report found = report(worse, simulate::simulate(worse));
  CHECK(found.failed == 1);
  CHECK(found.false_rollbacks == 0);
  CHECK(found.false_passes == 0);
  CHECK_FALSE(found.tolerable);
  CHECK(found.fail.quantile(0.9).value() < 60);
  CHECK(found.warn.quantile(0.5).value() <= found.fail.quantile(0.5).value());

  Experiment equal = experiment({}, 40);
  Report left = report(equal, simulate::simulate(equal));
  CHECK(left.failed == 0);
  CHECK(left.tolerable);
  CHECK(left.passed > 0.9);
  CHECK_FALSE(left.fail_limit);
}

TEST_CASE("delays count from the onset, and what came before it is a false alarm") {
  Experiment x = experiment({.added = 0.05}, 4);
  x.scenario.onset = 1200;
  std::vector<Trial> trials{{.fail = 600}, {.fail = 1230}, {.fail = 1260}, {}};
  Report r = report(x, trials);
  CHECK(r.failed == 0.75);
  CHECK(r.false_rollbacks == 0.25);
  CHECK(r.fail.quantile(0.3) == 30);
  CHECK(r.fail.quantile(0.6) == 60);
  CHECK_FALSE(r.fail.quantile(0.9));
  CHECK(r.fail.missed() == doctest::Approx(1.0 / 3));

  trials = {{.pass = 900}, {.pass = 1500}, {}, {}};
  CHECK(report(x, trials).passed_before == 0.25);
  CHECK(report(x, trials).false_passes == 0.25);
}

TEST_CASE("a rate on the margin is tolerable, one on the pass margin is not") {
  Experiment x = experiment({.ratio = 1.2, .added = 1e-4}, 1);
  CHECK(report(x, {}).tolerable);
  x.scenario.change = {.ratio = 1.5, .added = 5e-4};
  CHECK_FALSE(report(x, {}).tolerable);
  CHECK(report(x, {}).intolerable);
}

TEST_CASE("metrics that the traffic has nothing of do not weigh") {
  Scenario s;
  CHECK_FALSE(fitted(config::Policy{}, s).latency);
  s.latency = LatencyShape{};
  CHECK(fitted(config::Policy{}, s).latency);
}

TEST_CASE("an instance that once had a burst does not hide three times the errors") {
  Scenario s{.requests_per_second = 1000,
             .canary_share = 0.5,
             .change = {.ratio = 3},
             .history = 600,
             .baseline_pods = 10,
             .canary_pods = 10,
             .disturbance = Disturbance::SinglePodBursts};
  Experiment x{.scenario = s, .policy = fitted(config::Policy{}, s), .runs = 40};
  CHECK(report(x, simulate::simulate(x)).failed > 0.8);
}
