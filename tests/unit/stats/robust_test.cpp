#include "stats/robust.h"

#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <vector>

#include "simulate/random.h"

using namespace davy::stats;
using davy::simulate::Random;

namespace {

/// What `minutes` teach when each version's log rate has the standard deviation `sd` and `lasts` so
/// many seconds (AR(1)); 950 and 50 requests per second, 1 % errors.
double learned(Random& random, int minutes, double sd, double lasts) {
  constexpr double kInterval = 5;
  double keep = std::exp(-kInterval / lasts);
  double noise[2] = {sd * random.normal(), sd * random.normal()};
  NoiseFloor floor;
  for (int i = 0; i < minutes * 12; ++i) {
    Sample s{.n1 = 950 * kInterval, .n2 = 50 * kInterval};
    s.k1 = random.binomial(s.n1, 0.01 * std::exp(noise[0]));
    s.k2 = random.binomial(s.n2, 0.01 * std::exp(noise[1]));
    floor.learn(s, kInterval);
    for (double& x : noise) x = keep * x + std::sqrt(1 - keep * keep) * sd * random.normal();
  }
  return floor.sigma();
}

/// The share `q` of 200 A/A periods learns at most this.
double quantile(double q, int minutes, double sd, double lasts = 60) {
  Random random(1);
  std::vector<double> all;
  for (int i = 0; i < 200; ++i) all.push_back(learned(random, minutes, sd, lasts));
  std::sort(all.begin(), all.end());
  return all[static_cast<std::size_t>(q * 200)];
}

}  // namespace

TEST_CASE("traffic without noise is not taken for noisy") {
  // Up to 0.15 it costs nothing: that much is assumed anyway.
  CHECK(quantile(0.5, 10, 0) == 0);
  CHECK(quantile(0.5, 20, 0) == 0);
  CHECK(quantile(0.9, 20, 0) < 0.15);
}

TEST_CASE("noise of 30 percent per version is learned in 10 minutes") {
  // A minute's log ratio has sd 0.36, the long run 0.6 per root minute.
  CHECK(quantile(0.1, 10, 0.3) > 0.2);
  CHECK(quantile(0.5, 10, 0.3) > 0.36);
  CHECK(quantile(0.5, 10, 0.3) < 0.6);
  CHECK(quantile(0.5, 20, 0.3) > 0.4);
  CHECK(quantile(0.5, 20, 0.3) < 0.7);
}

TEST_CASE("noise that lasts longer counts for more") {
  CHECK(quantile(0.5, 20, 0.3, 300) > quantile(0.5, 20, 0.3, 60));
}

TEST_CASE("nothing is learned from less than 4 minutes") {
  Random random(1);
  CHECK(learned(random, 3, 0.3, 60) == 0);
}
