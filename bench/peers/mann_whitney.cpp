#include "peers/mann_whitney.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace davy::peers {
namespace {

/// z such that a standard normal exceeds it with probability `above`, by bisection.
double normal_quantile(double above) {
  double low = 0, high = 10;
  for (int i = 0; i < 80; ++i) {
    double middle = (low + high) / 2;
    (0.5 * std::erfc(middle / std::sqrt(2.0)) > above ? low : high) = middle;
  }
  return low;
}

/// The z-score of the rank sum of x - d among x - d and y, both sorted.
double z_score(const std::vector<double>& x, const std::vector<double>& y, double d) {
  double n = static_cast<double>(x.size()), m = static_cast<double>(y.size()), all = n + m;
  double u = 0, ties = 0;  // U = pairs with x - d > y, ties count half
  std::size_t j = 0;
  for (std::size_t i = 0; i < x.size();) {
    // Differences are compared as x - y against d, so that a jump is met exactly.
    std::size_t same_x = i;
    while (same_x < x.size() && x[same_x] == x[i]) ++same_x;
    while (j < y.size() && x[i] - y[j] > d) ++j;
    std::size_t same_y = j;
    while (same_y < y.size() && x[i] - y[same_y] == d) ++same_y;
    double a = static_cast<double>(same_x - i), b = static_cast<double>(same_y - j);
    u += a * (static_cast<double>(j) + b / 2);
    double group = a + b;
    ties += group * group * group - group;
    // What the y's of this group would add by themselves is taken off again below.
    ties -= b * b * b - b;
    i = same_x;
  }
  for (std::size_t i = 0; i < y.size();) {
    std::size_t same = i;
    while (same < y.size() && y[same] == y[i]) ++same;
    double b = static_cast<double>(same - i);
    ties += b * b * b - b;
    i = same;
  }
  double deviation = u - n * m / 2;
  double continuity = deviation == 0 ? 0 : std::copysign(0.5, deviation);
  double variance = n * m / 12 * (all + 1 - ties / (all * (all - 1)));
  if (variance <= 0) return 0;
  return (deviation - continuity) / std::sqrt(variance);
}

/// Places to evaluate z at: every difference, and between every two neighbours.
class Places {
 public:
  Places(const std::vector<double>& x, const std::vector<double>& y) {
    for (double a : x)
      for (double b : y) differences_.push_back(a - b);
    std::sort(differences_.begin(), differences_.end());
    differences_.erase(std::unique(differences_.begin(), differences_.end()), differences_.end());
  }

  std::size_t size() const { return 2 * differences_.size() - 1; }
  double at(std::size_t i) const {
    double here = differences_[i / 2];
    return i % 2 == 0 ? here : (here + differences_[i / 2 + 1]) / 2;
  }
  /// The jump at or next before place `i`, where z was still too high.
  double jump(std::size_t i) const { return differences_[i / 2]; }

 private:
  std::vector<double> differences_;
};

/// Where z falls to `target` or below.
double crossing(const std::vector<double>& x, const std::vector<double>& y, const Places& places,
                double target) {
  std::size_t low = 0, high = places.size() - 1;
  if (z_score(x, y, places.at(low)) <= target) return places.at(low);
  if (z_score(x, y, places.at(high)) >= target) return places.at(high);
  while (high - low > 1) {
    std::size_t middle = (low + high) / 2;
    (z_score(x, y, places.at(middle)) > target ? low : high) = middle;
  }
  return places.jump(high);
}

std::vector<double> sorted(std::span<const double> values) {
  std::vector<double> all(values.begin(), values.end());
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace

ShiftInterval shift_interval(std::span<const double> x_points, std::span<const double> y_points,
                             double confidence) {
  std::vector<double> x = sorted(x_points), y = sorted(y_points);
  Places places(x, y);
  double q = normal_quantile((1 - confidence) / 2);
  return {crossing(x, y, places, q), crossing(x, y, places, 0), crossing(x, y, places, -q)};
}

bool kayenta_says_high(std::span<const double> canary, std::span<const double> baseline,
                       const KayentaRule& rule) {
  if (canary.empty() || baseline.empty()) return false;
  std::vector<double> x = sorted(canary), y = sorted(baseline);
  if (x == y) return false;
  if (x.front() == x.back() && y.front() == y.back()) return x.front() > y.front();
  ShiftInterval shift = shift_interval(canary, baseline, rule.confidence);
  return shift.low > rule.tolerance * std::fabs(shift.estimate);
}

}  // namespace davy::peers
