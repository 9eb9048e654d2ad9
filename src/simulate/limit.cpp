#include "simulate/limit.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace davy::simulate {
namespace {

/// Bernoulli Kullback-Leibler divergence of q from p; log1p keeps the small rates.
double divergence(double p, double q) {
  if (p == q) return 0;
  if (q <= 0 || q >= 1) return std::numeric_limits<double>::infinity();
  double events = p > 0 ? p * std::log(p / q) : 0;
  double others = p < 1 ? (1 - p) * (std::log1p(-p) - std::log1p(-q)) : 0;
  return events + others;
}

}  // namespace

double information_rate(const Streams& s, double ratio, double absolute) {
  if (s.p2 <= ratio * s.p1 + absolute) return 0;
  auto at = [&](double q1) {
    return s.n1 * divergence(s.p1, q1) + s.n2 * divergence(s.p2, ratio * q1 + absolute);
  };
  // On the null's edge, between V1's rate and the one at which V2 would be just tolerable, the
  // divergence falls and rises again: ternary search.
  double low = s.p1;
  double high = std::min((s.p2 - absolute) / ratio, 1.0);
  for (int i = 0; i < 200; ++i) {
    double third = (high - low) / 3;
    if (at(low + third) <= at(high - third)) {
      high -= third;
    } else {
      low += third;
    }
  }
  return at((low + high) / 2);
}

double least_delay(const Streams& s, double ratio, double absolute, double alpha) {
  double rate = information_rate(s, ratio, absolute);
  return rate > 0 ? std::log(1 / alpha) / rate : std::numeric_limits<double>::infinity();
}

}  // namespace davy::simulate
