// log(exp(a) + exp(b) + ...) without overflow.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

namespace davy::stats {

inline double log_sum(std::span<const double> logs) {
  double most = -std::numeric_limits<double>::infinity();
  for (double x : logs) most = std::max(most, x);
  if (std::isinf(most)) return most;
  double sum = 0;
  for (double x : logs) sum += std::exp(x - most);
  return most + std::log(sum);
}

inline double log_sum(double a, double b) {
  const double both[] = {a, b};
  return log_sum(both);
}

}  // namespace davy::stats
