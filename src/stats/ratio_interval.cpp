#include "stats/ratio_interval.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/archive.h"
#include "stats/log_sum.h"

namespace davy::stats {
namespace {

double grid(std::size_t i) {
  return std::exp2(-6.0 + 0.1 * static_cast<double>(i));
}

struct Point {
  double ratio;
  double log_ratio;
};

template <std::size_t kPoints>
const std::array<Point, kPoints>& points() {
  static const auto all = [] {
    std::array<Point, kPoints> made{};
    for (std::size_t i = 0; i < kPoints; ++i) made[i] = {grid(i), std::log(grid(i))};
    return made;
  }();
  return all;
}

}  // namespace

// Given K = k1 + k2 events, V2's share of them is n2 rho / (n1 + n2 rho):
//   log L(rho) = k2 log rho - K log(n1 + n2 rho) + constant
void RatioIntervalEstimate::see(const Sample& s, double phi) {
  double k = s.k1 + s.k2;
  if (k <= 0) return;
  const auto& grid_points = points<kPoints>();
  for (std::size_t i = 0; i < kPoints; ++i) {
    const auto& [rho, log_rho] = grid_points[i];
    log_likelihood_[i] += (s.k2 * log_rho - k * std::log(s.n1 + s.n2 * rho)) / phi;
  }
}

void RatioIntervalEstimate::archive(Archive& a) {
  a(log_likelihood_);
}

RatioInterval RatioIntervalEstimate::interval(double level) const {
  double limit =
      log_sum(log_likelihood_) - std::log(static_cast<double>(kPoints)) + std::log(level);
  auto inside = [limit](double log_l) { return log_l > limit; };
  auto first = std::find_if(log_likelihood_.begin(), log_likelihood_.end(), inside);
  auto last = std::find_if(log_likelihood_.rbegin(), log_likelihood_.rend(), inside);
  auto low = static_cast<std::size_t>(first - log_likelihood_.begin());
  auto high = kPoints - 1 - static_cast<std::size_t>(last - log_likelihood_.rbegin());
  low = low > 0 ? low - 1 : 0;  // widened by a step of the grid on either side
  high = std::min(kPoints - 1, high + 1);
  return {.low = low == 0 ? 0 : grid(low),
          .high = high == kPoints - 1 ? std::numeric_limits<double>::infinity() : grid(high)};
}

}  // namespace davy::stats
