#include "simulate/traffic.h"

#include <doctest/doctest.h>
#include <cmath>
#include <numeric>

using namespace davy;
using namespace davy::simulate;

namespace {

struct Totals {
  double n1 = 0, k1 = 0, n2 = 0, k2 = 0;
};

/// Everything while the canary runs, over several hours.
Totals totals(const Scenario& scenario, int hours = 5) {
  Totals sum;
  for (int i = 0; i < hours; ++i) {
    Traffic traffic(scenario, static_cast<std::uint64_t>(i));
    while (!traffic.over()) {
      const Block& b = traffic.next();
      if (b.t <= scenario.history) continue;
      sum.n1 += b.baseline.requests;
      sum.k1 += b.baseline.errors;
      sum.n2 += b.canary.requests;
      sum.k2 += b.canary.errors;
    }
  }
  return sum;
}

}  // namespace

TEST_CASE("traffic has the rates that the scenario asks for") {
  Scenario s{.requests_per_second = 200,
             .canary_share = 0.25,
             .base_error_rate = 0.01,
             .change = {.ratio = 2, .added = 0.005}};
  Totals t = totals(s);
  double expected = 5 * 3600 * 200;
  CHECK(t.n1 / (0.75 * expected) == doctest::Approx(1).epsilon(0.003));
  CHECK(t.n2 / (0.25 * expected) == doctest::Approx(1).epsilon(0.005));
  CHECK(t.k1 / t.n1 == doctest::Approx(0.01).epsilon(0.03));
  CHECK(t.k2 / t.n2 == doctest::Approx(0.025).epsilon(0.03));
}

TEST_CASE("the canary starts after the history, and its change at the onset") {
  Scenario s{.requests_per_second = 1000,
             .canary_share = 0.5,
             .base_error_rate = 0,
             .change = {.added = 0.1},
             .onset = 60,
             .horizon = 120,
             .history = 30};
  Traffic traffic(s, 1);
  int blocks = 0;
  while (!traffic.over()) {
    const Block& b = traffic.next();
    ++blocks;
    CHECK(b.t == 5.0 * blocks);
    CHECK((b.canary.requests > 0) == (b.t > 30));
    CHECK((b.canary.errors > 0) == (b.t > 90));
    CHECK(b.baseline.errors == 0);
  }
  CHECK(blocks == 30);
}

TEST_CASE("instances add up to their version") {
  Scenario s{.base_error_rate = 0.05,
             .horizon = 60,
             .baseline_pods = 15,
             .canary_pods = 5,
             .disturbance = Disturbance::Mix};
  Traffic traffic(s, 1);
  while (!traffic.over()) {
    const Block& b = traffic.next();
    REQUIRE(b.baseline.pods.size() == 15);
    REQUIRE(b.canary.pods.size() == 5);
    for (const VersionCounts* v : {&b.baseline, &b.canary}) {
      double n = 0, k = 0;
      for (const PodCounts& pod : v->pods) {
        n += pod.requests;
        k += pod.errors;
      }
      CHECK(n == v->requests);
      CHECK(k == v->errors);
      CHECK(k <= n);
    }
  }
}

TEST_CASE("disturbances keep the mean where they only scatter") {
  for (Disturbance d :
       {Disturbance::PodLognormal30, Disturbance::NegativeBinomial, Disturbance::PodDrift,
        Disturbance::VersionDrift30, Disturbance::RetryClumps}) {
    Scenario s{.base_error_rate = 0.01, .baseline_pods = 50, .canary_pods = 50, .disturbance = d};
    s.canary_share = 0.5;
    Totals t = totals(s, 20);
    CAPTURE(static_cast<int>(d));
    CHECK((t.k1 + t.k2) / (t.n1 + t.n2) == doctest::Approx(0.01).epsilon(0.05));
  }
}

TEST_CASE("latencies lie where the lognormal puts them, and V2's are slower by the factor") {
  LatencyShape shape{.median = 0.1, .sigma = 0.5, .slower = 2};
  Scenario s{.requests_per_second = 1000, .canary_share = 0.5, .horizon = 60, .latency = shape};
  Traffic traffic(s, 1);
  double below = 0, all = 0, below_canary = 0, all_canary = 0;
  auto count = [](const Histogram& h, double bound, double& under, double& sum) {
    for (std::size_t i = 0; i < h.counts.size(); ++i) {
      sum += h.counts[i];
      if (i < h.bounds.size() && h.bounds[i] <= bound) under += h.counts[i];
    }
  };
  // The share below a bound of the grid, and below twice that one.
  double bound = 0;
  while (!traffic.over()) {
    const Block& b = traffic.next();
    CHECK(b.baseline.latency->counts.size() == b.baseline.latency->bounds.size() + 1);
    double sum =
        std::accumulate(b.baseline.latency->counts.begin(), b.baseline.latency->counts.end(), 0.0);
    CHECK(sum == b.baseline.requests);
    if (bound == 0) {
      for (double x : b.baseline.latency->bounds)
        if (x <= 0.1) bound = x;
    }
    if (b.t <= s.history) continue;
    count(*b.baseline.latency, bound, below, all);
    count(*b.canary.latency, bound, below_canary, all_canary);
  }
  auto normal = [](double z) { return 0.5 * std::erfc(-z / std::sqrt(2.0)); };
  CHECK(below / all == doctest::Approx(normal(std::log(bound / 0.1) / 0.5)).epsilon(0.03));
  CHECK(below_canary / all_canary ==
        doctest::Approx(normal(std::log(bound / 0.2) / 0.5)).epsilon(0.05));
}

TEST_CASE("a sketch's bounds are 2 percent apart, Prometheus' as its libraries have them") {
  std::vector<double> sketch = bounds_of({.buckets = Buckets::Sketch});
  for (std::size_t i = 1; i < sketch.size(); ++i)
    CHECK(sketch[i] / sketch[i - 1] == doctest::Approx(1.0202));
  CHECK(sketch.front() < 0.005);
  CHECK(sketch.back() > 0.5);
  CHECK(bounds_of({.buckets = Buckets::Prometheus}).size() == 11);
}
