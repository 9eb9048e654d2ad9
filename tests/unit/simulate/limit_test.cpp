#include "simulate/limit.h"

#include <doctest/doctest.h>
#include <cmath>

using namespace davy::simulate;

TEST_CASE("against equality the nearest point of the null is the pooled rate") {
  // By hand: n = 10 and 30 per second, p = 0.1 and 0.3, pooled (1 + 9)/40 = 0.25.
  // 10 (0.1 ln(0.1/0.25) + 0.9 ln(0.9/0.75)) + 30 (0.3 ln(0.3/0.25) + 0.7 ln(0.7/0.75))
  Streams s{.n1 = 10, .p1 = 0.1, .n2 = 30, .p2 = 0.3};
  double by_hand = 10 * (0.1 * std::log(0.4) + 0.9 * std::log(1.2)) +
                   30 * (0.3 * std::log(1.2) + 0.7 * std::log(0.7 / 0.75));
  CHECK(information_rate(s, 1, 0) == doctest::Approx(by_hand).epsilon(1e-9));
  CHECK(least_delay(s, 1, 0, 0.01) == doctest::Approx(std::log(100.0) / by_hand).epsilon(1e-9));
}

TEST_CASE("a V1 with endless traffic leaves V2's divergence from the tolerated rate") {
  // n1 so large that q1 = p1: 5 (0.02 ln(0.02/0.0121) + 0.98 ln(0.98/0.9879))
  Streams s{.n1 = 1e12, .p1 = 0.01, .n2 = 5, .p2 = 0.02};
  double edge = 1.2 * 0.01 + 1e-4;
  double by_hand = 5 * (0.02 * std::log(0.02 / edge) + 0.98 * std::log(0.98 / (1 - edge)));
  CHECK(information_rate(s, 1.2, 1e-4) == doctest::Approx(by_hand).epsilon(1e-4));
}

TEST_CASE("a tolerable V2 cannot be found") {
  Streams s{.n1 = 95, .p1 = 0.01, .n2 = 5, .p2 = 0.0121};
  CHECK(information_rate(s, 1.2, 1e-4) == 0);
  CHECK(std::isinf(least_delay(s, 1.2, 1e-4, 0.01)));
}
