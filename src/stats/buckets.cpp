#include "stats/buckets.h"

#include <algorithm>
#include <iterator>
#include <numeric>

namespace davy::stats {

namespace {

// Bounds are decimal fractions read from text: 1.2 * 0.1 must equal 0.12.
constexpr double kRounding = 1e-12;

}  // namespace

double total(const Histogram& h) {
  return std::accumulate(h.counts.begin(), h.counts.end(), 0.0);
}

double above(const Histogram& h, std::size_t i) {
  return std::accumulate(h.counts.begin() + static_cast<std::ptrdiff_t>(i) + 1, h.counts.end(),
                         0.0);
}

std::vector<double> common_bounds(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  return both;
}

Histogram project(const Histogram& h, const std::vector<double>& bounds) {
  if (h.bounds == bounds) return h;
  Histogram out{bounds, std::vector<double>(bounds.size() + 1, 0.0)};
  std::size_t to = 0;
  for (std::size_t i = 0; i < h.counts.size(); ++i) {
    while (to < bounds.size() && (i == h.bounds.size() || h.bounds[i] > bounds[to])) ++to;
    out.counts[to] += h.counts[i];
  }
  return out;
}

void add(Histogram& to, const Histogram& more) {
  if (to.bounds != more.bounds) {
    std::vector<double> bounds = common_bounds(to.bounds, more.bounds);
    to = project(to, bounds);
    add(to, project(more, bounds));
    return;
  }
  for (std::size_t i = 0; i < to.counts.size(); ++i) to.counts[i] += more.counts[i];
}

bool subtract(Histogram& from, const Histogram& part) {
  if (common_bounds(from.bounds, part.bounds) != from.bounds) return false;
  Histogram fitting = project(part, from.bounds);
  for (std::size_t i = 0; i < from.counts.size(); ++i) {
    if (fitting.counts[i] > from.counts[i]) return false;
  }
  for (std::size_t i = 0; i < from.counts.size(); ++i) from.counts[i] -= fitting.counts[i];
  return true;
}

void scale(Histogram& h, double factor) {
  for (double& count : h.counts) count *= factor;
}

Tails::Tails(const Histogram& h) : above(h.bounds.size()) {
  double sum = h.counts.back();
  for (std::size_t i = h.bounds.size(); i-- > 0; sum += h.counts[i]) above[i] = sum;
  total = sum;
}

std::size_t quantile_bound(const Tails& tails, double u) {
  auto first = std::partition_point(tails.above.begin(), tails.above.end(),
                                    [&](double above) { return above > u * tails.total; });
  return std::min(static_cast<std::size_t>(first - tails.above.begin()), tails.above.size() - 1);
}

std::optional<Threshold> rounded_up(const std::vector<double>& bounds, std::size_t i,
                                    double tolerance) {
  double wanted = (1 + tolerance) * bounds[i] * (1 - kRounding);
  auto at = std::lower_bound(bounds.begin() + static_cast<std::ptrdiff_t>(i), bounds.end(), wanted);
  if (at == bounds.end()) return std::nullopt;
  return Threshold{static_cast<std::size_t>(at - bounds.begin()), *at / bounds[i] - 1};
}

Threshold rounded_down(const std::vector<double>& bounds, std::size_t i, double tolerance) {
  double wanted = (1 + tolerance) * bounds[i] * (1 + kRounding);
  auto after =
      std::upper_bound(bounds.begin() + static_cast<std::ptrdiff_t>(i), bounds.end(), wanted);
  auto at = std::max(bounds.begin() + static_cast<std::ptrdiff_t>(i), after - 1);
  return {static_cast<std::size_t>(at - bounds.begin()), *at / bounds[i] - 1};
}

}  // namespace davy::stats
