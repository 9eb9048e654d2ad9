#include "stats/robust.h"

#include <algorithm>
#include <cmath>

#include "base/archive.h"

namespace davy::stats {
namespace {

constexpr double kBurstHalfLife = 300;  // seconds
constexpr double kInformationHalfLife = 60;
constexpr double kPriorCoefficients = 8;  // the prior "no overdispersion" weighs as much as these
constexpr int kFewestCoefficients = 4;
constexpr double kCellVariance = 1;  // a cell closes when it can say something

double weight_of_new(double dt, double half_life) {
  return 1 - std::exp2(-dt / half_life);
}

}  // namespace

double BurstLimit::share(double events, double dt) const {
  double h = std::max(usual(), 0.0) * dt;
  double most = h + 2 * std::sqrt(h) + 1;
  return events > most ? most / events : 1;
}

void BurstLimit::see(double events, double dt) {
  if (!usual_) {
    usual_ = events / dt;
    return;
  }
  double rate = std::min(events, 4 * (*usual_ * dt + 1)) / dt;
  *usual_ += weight_of_new(dt, kBurstHalfLife) * (rate - *usual_);
}

void InformationRate::see(const Sample& s, double share, double dt) {
  double n = s.n1 + s.n2;
  double k = s.k1 + s.k2;
  double information = n > 0 ? k * share * (1 - k / n) * s.n1 * s.n2 / (n * n) * 60 / dt : 0;
  per_minute_ = per_minute_ ? *per_minute_ + weight_of_new(dt, kInformationHalfLife) *
                                                 (information - *per_minute_)
                            : information;
}

Overdispersion::Deviation Overdispersion::deviation(const Cell& cell, double ratio) {
  double k = cell.k_a + cell.k_b;
  if (k <= 0) return {0, 0};
  double w = cell.expected_b / k;
  double pi = w * ratio / (1 - w + w * ratio);
  double variance = k * std::max(0.02, 1 - k / std::max(cell.n, k)) * pi * (1 - pi);
  return {variance, cell.k_b - k * pi};
}

void Overdispersion::see(const Sample& s, double share) {
  double n = s.n1 + s.n2;
  double k = s.k1 + s.k2;
  if (s.n1 <= 0 || s.n2 <= 0 || k <= 0) return;
  open_ = open_ + Cell{s.k1 * share, s.k2 * share, k * share * s.n2 / n, n};
  if (deviation(open_, 1).variance >= kCellVariance) {
    push(0, open_);
    open_ = {};
  }
}

void Overdispersion::push(std::size_t scale, const Cell& cell) {
  if (scale >= kScales) return;
  if (!waiting_[scale]) {
    waiting_[scale] = cell;
    return;
  }
  Cell first = *waiting_[scale];
  waiting_[scale].reset();
  double w1 = first.expected_b / (first.k_a + first.k_b);
  double w2 = cell.expected_b / (cell.k_a + cell.k_b);
  // Mantel-Haenszel: the ratio that both cells share.
  double ratio =
      (first.k_b * (1 - w1) + cell.k_b * (1 - w2) + 0.5) / (first.k_a * w1 + cell.k_a * w2 + 0.5);
  Deviation d1 = deviation(first, ratio);
  Deviation d2 = deviation(cell, ratio);
  if (d1.variance > 0 && d2.variance > 0) {
    double difference = d1.excess / d1.variance - d2.excess / d2.variance;
    sum_[scale] += difference * difference / (1 / d1.variance + 1 / d2.variance);
    ++count_[scale];
  }
  push(scale + 1, first + cell);
}

double Overdispersion::factor() const {
  auto estimate = [this](std::size_t scale) {
    return (kPriorCoefficients * prior_ + sum_[scale]) / (kPriorCoefficients + count_[scale]);
  };
  double most = prior_ > 1 ? std::max(1.0, estimate(0)) : 1;
  for (std::size_t scale = 0; scale < kScales; ++scale) {
    if (count_[scale] < kFewestCoefficients) continue;
    most = std::max(most, estimate(scale));
  }
  return most;
}

void NoiseFloor::learn(const Sample& s, double dt) {
  constexpr double kMinute = 60;
  double minutes = 1;
  for (Scale& scale : scales_) {
    scale.open += s;
    scale.seconds += dt;
    if (scale.seconds >= minutes * kMinute) {
      const Sample& cell = scale.open;
      double n = cell.n1 + cell.n2;
      double k = cell.k1 + cell.k2;
      double pi = n > 0 ? cell.n2 / n : 0;
      double v = n > 0 ? k * pi * (1 - pi) * (1 - k / n) : 0;
      double z = cell.k2 - k * pi;
      if (v > 0) {
        scale.excess += z * z - v;
        scale.information += v * v;
        ++scale.cells;
      }
      scale.open = {};
      scale.seconds = 0;
    }
    minutes *= 2;
  }
}

double NoiseFloor::sigma() const {
  constexpr int kFewestMinutes = 4;
  constexpr int kFewestCells = 3;
  if (scales_[0].cells < kFewestMinutes) return 0;
  double most = 0;
  double minutes = 1;
  for (const Scale& scale : scales_) {
    if (scale.cells >= kFewestCells && scale.information > 0) {
      double chance = std::sqrt(2 * scale.information);  // one standard error without noise
      double variance = (scale.excess - chance) / scale.information;
      most = std::max(most, variance * minutes * (1 + std::sqrt(2.0 / scale.cells)));
    }
    minutes *= 2;
  }
  return std::sqrt(most);
}

double pod_margin(std::span<const Pod> baseline, std::size_t canary_pods, double phi) {
  if (baseline.size() < 2 || canary_pods == 0) return 1;
  auto m1 = static_cast<double>(baseline.size());
  double n = 0;
  double k = 0;
  for (const Pod& pod : baseline) {
    n += pod.n;
    k += pod.k;
  }
  if (k <= 0) return 1;
  double x = 0;  // Pearson's statistic of equal rates
  for (const Pod& pod : baseline) {
    if (pod.n <= 0) continue;
    double mu = pod.n * k / n;
    x += (pod.k - mu) * (pod.k - mu) / mu;
  }
  double nu = m1 - 1;
  double tau = std::sqrt(std::max(0.0, (x / nu - phi) / (k / m1)));
  double t = 1.96 + 2.37 / nu + 2.82 / (nu * nu);  // Student's 97.5 % quantile, fitted
  return std::exp(t * tau * std::sqrt(1 / m1 + 1 / static_cast<double>(canary_pods)));
}

Tempering Discount::of(const Sample& s, double p1, double dt, double phi_split) {
  if (!robustness_.on) return {};
  if (!bursts_.started()) bursts_.start(p1 * (s.n1 + s.n2) / dt);
  share_ = bursts_.share(s.k1 + s.k2, dt);
  double sigma = std::max(robustness_.sigma, noise_.sigma());
  double floor = 1 + sigma * sigma * information_.per_minute();
  overdispersion_factor_ = std::max({overdispersion_.factor(), phi_split, robustness_.attempts});
  last_ = {.phi = std::max(overdispersion_factor_, floor) / share_, .cap = robustness_.cap_of(dt)};
  return last_;
}

void Discount::see(const Sample& s, double dt) {
  overdispersion_.see(s, share_);
  bursts_.see(s.k1 + s.k2, dt);
  information_.see(s, share_, dt);
}

void BurstLimit::archive(Archive& a) {
  a(usual_);
}

void InformationRate::archive(Archive& a) {
  a(per_minute_);
}

void Overdispersion::Cell::archive(Archive& a) {
  a(k_a, k_b, expected_b, n);
}

void Overdispersion::archive(Archive& a) {
  a(waiting_, sum_, count_, open_);
}

void NoiseFloor::Scale::archive(Archive& a) {
  a(open.n1, open.k1, open.n2, open.k2, seconds, excess, information, cells);
}

void NoiseFloor::archive(Archive& a) {
  a(scales_);
}

void Pod::archive(Archive& a) {
  a(n, k);
}

void Discount::archive(Archive& a) {
  a(bursts_, information_, overdispersion_, noise_, share_, overdispersion_factor_, last_.phi,
    last_.cap);
}

}  // namespace davy::stats
