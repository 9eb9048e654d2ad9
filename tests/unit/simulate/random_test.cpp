#include "simulate/random.h"

#include <doctest/doctest.h>
#include <cmath>
#include <functional>
#include <vector>

using davy::simulate::Random;

namespace {

struct Moments {
  double mean = 0, variance = 0;
};

Moments moments(int draws, const std::function<double()>& draw) {
  double sum = 0, squares = 0;
  for (int i = 0; i < draws; ++i) {
    double x = draw();
    sum += x;
    squares += x * x;
  }
  double mean = sum / draws;
  return {mean, squares / draws - mean * mean};
}

/// The mean within 5 standard errors, the variance within 3 %.
void check_moments(double mean, double variance, const std::function<double()>& draw) {
  constexpr int kDraws = 200'000;
  Moments m = moments(kDraws, draw);
  CAPTURE(mean);
  CHECK(std::fabs(m.mean - mean) < 5 * std::sqrt(variance / kDraws));
  CHECK(std::fabs(m.variance / variance - 1) < 0.03);
}

/// Pearson's statistic of draws 0, 1, 2, ... against their probabilities, cells of fewer than 10
/// left out; it exceeds mean + 5 sd less than once in 10^5.
void check_fit(const std::function<double()>& draw, const std::function<double(double)>& log_p) {
  constexpr int kDraws = 300'000;
  std::vector<double> seen(400);
  for (int i = 0; i < kDraws; ++i) {
    double k = draw();
    if (k < 400) ++seen[static_cast<std::size_t>(k)];
  }
  double statistic = 0;
  int cells = 0;
  for (std::size_t k = 0; k < seen.size(); ++k) {
    double expected = kDraws * std::exp(log_p(static_cast<double>(k)));
    if (expected < 10) continue;
    statistic += (seen[k] - expected) * (seen[k] - expected) / expected;
    ++cells;
  }
  CHECK(cells > 3);
  CHECK(statistic < cells + 5 * std::sqrt(2.0 * cells));
}

double log_factorial(double k) {
  double sum = 0;
  for (double i = 2; i <= k; ++i) sum += std::log(i);
  return sum;
}

}  // namespace

TEST_CASE("the generator is xoshiro256++ seeded by splitmix64 on every machine") {
  Random random(1);
  // Made by the recurrences in Python: splitmix64 from 1 four times, then rotl(s0 + s3, 23) + s0.
  CHECK(random.bits() == 0xcfc5d07f6f03c29b);
  CHECK(random.bits() == 0xbf424132963fe08d);
}

TEST_CASE("uniforms, normals and gammas have their means and variances") {
  Random random(2);
  check_moments(0.5, 1.0 / 12, [&] { return random.uniform(); });
  check_moments(0, 1, [&] { return random.normal(); });
  check_moments(1, 1, [&] { return random.gamma(1, 1); });
  check_moments(1, 0.25, [&] { return random.gamma(4, 0.25); });
  check_moments(0.5, 0.5, [&] { return random.gamma(0.5, 1); });
  check_moments(300, 300 * 300, [&] { return random.exponential(300); });
}

TEST_CASE("Poisson draws fit their probabilities, counted up or by rejection") {
  for (double mean : {0.3, 9.5, 10.0, 37.0, 250.0}) {
    Random random(3);
    CAPTURE(mean);
    check_moments(mean, mean, [&] { return random.poisson(mean); });
    check_fit([&] { return random.poisson(mean); },
              [&](double k) { return k * std::log(mean) - mean - log_factorial(k); });
  }
  Random random(4);
  check_moments(5e6, 5e6, [&] { return random.poisson(5e6); });
  CHECK(random.poisson(0) == 0);
}

TEST_CASE("binomial draws fit their probabilities, counted up or by rejection") {
  struct Design {
    double n, p;
  };
  for (Design d : {Design{20, 0.01}, {20, 0.4}, {25, 0.4}, {500, 0.1}, {300, 0.8}, {40, 0.5}}) {
    Random random(5);
    CAPTURE(d.n);
    CAPTURE(d.p);
    check_moments(d.n * d.p, d.n * d.p * (1 - d.p), [&] { return random.binomial(d.n, d.p); });
    check_fit([&] { return random.binomial(d.n, d.p); },
              [&](double k) {
                if (k > d.n) return -1e9;
                return log_factorial(d.n) - log_factorial(k) - log_factorial(d.n - k) +
                       k * std::log(d.p) + (d.n - k) * std::log1p(-d.p);
              });
  }
  Random random(6);
  CHECK(random.binomial(0, 0.5) == 0);
  CHECK(random.binomial(9, 0) == 0);
  CHECK(random.binomial(9, 1) == 9);
}
