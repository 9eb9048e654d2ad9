#include "simulate/random.h"

#include <bit>
#include <cmath>
#include <cstddef>
#include <numbers>

namespace davy::simulate {
namespace {

/// Below this mean counting up from zero is faster than rejection, and rejection is not yet exact.
constexpr double kCountUp = 10;

std::uint64_t splitmix(std::uint64_t& state) {
  std::uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/// log(k!), by Stirling's series from 10 on (error below 1e-13). Not std::lgamma: it writes to a
/// global.
double log_factorial(double k) {
  static constexpr std::array<double, 10> kFactorials{1,   1,   2,    6,     24,
                                                      120, 720, 5040, 40320, 362880};
  if (k < 10) return std::log(kFactorials[static_cast<std::size_t>(k)]);
  double x = k + 1;
  double inverse = 1 / (x * x);
  double series = (1.0 / 12 - (1.0 / 360 - (1.0 / 1260 - inverse / 1680) * inverse) * inverse) / x;
  return (x - 0.5) * std::log(x) - x + 0.5 * std::log(2 * std::numbers::pi) + series;
}

/// The first k at which the cumulated probabilities reach `u`; `p` = that of 0, `next(k)` = the
/// factor from k-1 to k.
template <typename Factor>
double count_up(double u, double p, double most, Factor next) {
  double k = 0;
  while (u > p && k < most) {
    u -= p;
    ++k;
    p *= next(k);
  }
  return k;
}

double poisson_by_rejection(Random& random, double mean) {
  double b = 0.931 + 2.53 * std::sqrt(mean);
  double a = -0.059 + 0.02483 * b;
  double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
  double squeeze = 0.9277 - 3.6224 / (b - 2);
  for (;;) {
    double u = random.uniform() - 0.5;
    double v = random.uniform();
    double us = 0.5 - std::fabs(u);
    double k = std::floor((2 * a / us + b) * u + mean + 0.43);
    if (us >= 0.07 && v <= squeeze) return k;
    if (k < 0 || (us < 0.013 && v > us)) continue;
    double height = std::log(v * inverse_alpha / (a / (us * us) + b));
    if (height <= k * std::log(mean) - mean - log_factorial(k)) return k;
  }
}

/// REQUIRES: n p >= 10, p <= 0.5.
double binomial_by_rejection(Random& random, double n, double p) {
  double spread = std::sqrt(n * p * (1 - p));
  double b = 1.15 + 2.53 * spread;
  double a = -0.0873 + 0.0248 * b + 0.01 * p;
  double centre = n * p + 0.5;
  double alpha = (2.83 + 5.1 / b) * spread;
  double squeeze = 0.92 - 4.2 / b;
  for (;;) {
    double u = random.uniform() - 0.5;
    double v = random.uniform();
    double us = 0.5 - std::fabs(u);
    double k = std::floor((2 * a / us + b) * u + centre);
    if (us >= 0.07 && v <= squeeze) return k;
    if (k < 0 || k > n) continue;
    double mode = std::floor((n + 1) * p);
    double height = std::log(v * alpha / (a / (us * us) + b));
    double likelihood = log_factorial(mode) + log_factorial(n - mode) - log_factorial(k) -
                        log_factorial(n - k) + (k - mode) * std::log(p / (1 - p));
    if (height <= likelihood) return k;
  }
}

}  // namespace

std::uint64_t mix_seed(std::uint64_t seed, std::uint64_t index) {
  std::uint64_t state = seed;
  state = splitmix(state) ^ index;
  return splitmix(state);
}

Random::Random(std::uint64_t seed) {
  for (std::uint64_t& word : state_) word = splitmix(seed);
}

std::uint64_t Random::bits() {
  std::uint64_t result = std::rotl(state_[0] + state_[3], 23) + state_[0];
  std::uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

double Random::uniform() {
  return (static_cast<double>(bits() >> 12) + 0.5) * 0x1p-52;
}

double Random::normal() {
  if (spare_normal_) {
    double spare = *spare_normal_;
    spare_normal_.reset();
    return spare;
  }
  for (;;) {
    double x = uniform(-1, 1);
    double y = uniform(-1, 1);
    double s = x * x + y * y;
    if (s >= 1 || s == 0) continue;
    double scale = std::sqrt(-2 * std::log(s) / s);
    spare_normal_ = y * scale;
    return x * scale;
  }
}

double Random::exponential(double mean) {
  return -mean * std::log(uniform());
}

double Random::gamma(double shape, double scale) {
  if (shape < 1) return gamma(shape + 1, scale) * std::pow(uniform(), 1 / shape);
  double d = shape - 1.0 / 3;
  double c = 1 / std::sqrt(9 * d);
  for (;;) {
    double x = normal();
    double v = 1 + c * x;
    if (v <= 0) continue;
    v = v * v * v;
    if (std::log(uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) return scale * d * v;
  }
}

double Random::poisson(double mean) {
  if (mean <= 0) return 0;
  if (mean >= kCountUp) return poisson_by_rejection(*this, mean);
  return count_up(uniform(), std::exp(-mean), 1000, [&](double k) { return mean / k; });
}

double Random::binomial(double n, double p) {
  if (n <= 0 || p <= 0) return 0;
  if (p >= 1) return n;
  if (p > 0.5) return n - binomial(n, 1 - p);
  if (n * p >= kCountUp) return binomial_by_rejection(*this, n, p);
  double odds = p / (1 - p);
  return count_up(uniform(), std::exp(n * std::log1p(-p)), n,
                  [&](double k) { return odds * (n - k + 1) / k; });
}

}  // namespace davy::simulate
