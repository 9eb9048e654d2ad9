#include "stats/paired.h"

#include <doctest/doctest.h>
#include <cmath>
#include <functional>
#include <optional>

#include "simulate/random.h"

using namespace davy::stats;
using davy::simulate::Random;

namespace {

constexpr int kHour = 240;  // intervals of 15 s

/// Noise with standard deviation 1; `keep` of it remains in the next value (AR(1)).
class Noise {
 public:
  Noise(Random& random, double keep) : random_(random), keep_(keep), value_(random.normal()) {}
  double next() {
    value_ = keep_ * value_ + std::sqrt(1 - keep_ * keep_) * random_.normal();
    return value_;
  }

 private:
  Random& random_;
  double keep_;
  double value_;
};

/// The interval in which "V2 is above V1" reaches log(1/level), the difference being `mean(i)` with
/// noise of 1.
std::optional<int> found(Random& random, double keep, double level,
                         const std::function<double(int)>& mean) {
  Noise noise(random, keep);
  PairedTest test;
  Autocorrelation lingering;
  for (int i = 0; i < kHour; ++i) {
    double d = mean(i) + noise.next();
    test.see(d, 15, lingering.factor());
    lingering.see(d);
    if (test.log_e() >= std::log(1 / level)) return i;
  }
  return std::nullopt;
}

double share_found(double keep, double level, const std::function<double(int)>& mean,
                   int before = kHour) {
  constexpr int kRuns = 1000;
  Random random(1);
  int count = 0;
  for (int i = 0; i < kRuns; ++i) {
    std::optional<int> at = found(random, keep, level, mean);
    if (at && *at < before) ++count;
  }
  return static_cast<double>(count) / kRuns;
}

double nothing(int) {
  return 0;
}

}  // namespace

TEST_CASE("equal values are rarely found different, also when they linger") {
  CHECK(share_found(0, 0.01, nothing) <= 0.01);
  CHECK(share_found(0.5, 0.01, nothing) <= 0.02);
  CHECK(share_found(0.86, 0.01, nothing) <= 0.03);  // 0.95 from one 5 s value to the next
  CHECK(share_found(0.86, 0.05, nothing) <= 0.10);
}

TEST_CASE("a lasting difference is found in minutes") {
  CHECK(share_found(
            0, 0.01, [](int) { return 3; }, 32) > 0.9);
  CHECK(share_found(
            0, 0.01, [](int) { return 1; }, 70) > 0.9);
}

TEST_CASE("a step after 20 minutes is no sign of lingering") {
  CHECK(share_found(
            0, 0.01, [](int i) { return i < 80 ? -2 : 3; }, 140) > 0.9);
}

TEST_CASE(
    "the factor is 1.5 at first, falls to 1 for independent values and rises for lingering ones") {
  Random random(2);
  Autocorrelation independent, lingering;
  CHECK(independent.factor() == 1.5);
  Noise noise(random, 0.86);
  for (int i = 0; i < kHour; ++i) {
    independent.see(random.normal());
    lingering.see(noise.next());
  }
  CHECK(independent.factor() < 1.7);
  CHECK(lingering.factor() > 10);  // (1 + 0.86)/(1 - 0.86) = 13
}
