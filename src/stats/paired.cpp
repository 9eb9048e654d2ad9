#include "stats/paired.h"

#include <algorithm>
#include <cmath>

#include "base/archive.h"

namespace davy::stats {
namespace {

constexpr double kKeep = 0.97;  // of the past's weight, per interval
// Before any comparison values are thought to linger a little; that is worth one comparison.
constexpr double kPriorFactor = 1.5;
constexpr double kPriorCount = 1;

}  // namespace

void Autocorrelation::see(double value) {
  for (std::size_t scale = 0; scale < kScales; ++scale) {
    if (!waiting_[scale]) {
      waiting_[scale] = value;
      return;
    }
    double before = *waiting_[scale];
    waiting_[scale].reset();
    double difference = (value - before) * (value - before) / 2;
    sum_[scale] += difference;
    largest_[scale] = std::max(largest_[scale], difference);
    ++count_[scale];
    value = (value + before) / 2;
  }
}

double Autocorrelation::factor() const {
  if (count_[1] == 0 || sum_[0] <= 0) return kPriorFactor;
  double alone = sum_[0] / count_[0];  // the variance of single values, seen from their neighbours
  double most = 1;
  double length = 2;
  for (std::size_t scale = 1; scale < kScales && count_[scale] > 0; ++scale, length *= 2) {
    int left_out = count_[scale] > 1 ? 1 : 0;  // the largest may be a step
    double ratio_sum = (sum_[scale] - left_out * largest_[scale]) * length / alone;
    double count = kPriorCount + count_[scale] - left_out;
    most = std::max(most, (kPriorCount * kPriorFactor + ratio_sum) / count);
  }
  return most;
}

void Autocorrelation::archive(Archive& a) {
  a(waiting_, sum_, largest_, count_);
}

void PairedTest::see(double d, double dt, double divide) {
  if (weights_ > 0 && square_sum_ > 0) {
    double y = d / std::sqrt(square_sum_ / weights_);
    wealth_.stake_for_block(dt);
    for (std::size_t j = 0; j < kBets.size(); ++j) {
      double by = kBets[j] * y;
      wealth_.multiply(j, (by - by * by / 2) / divide);
    }
  }
  weights_ = weights_ * kKeep + 1;
  square_sum_ = square_sum_ * kKeep + d * d;
}

void PairedTest::archive(Archive& a) {
  a(wealth_, weights_, square_sum_);
}

void DifferenceInterval::see(double difference, double divide) {
  if (n_ >= 2 && squares_ > 0) {
    double w = 1 / divide;
    double scale = 1 / std::sqrt(squares_ / n_);
    a0_ += w * scale;
    a1_ += w * scale * difference;
    b0_ += w * scale * scale;
    b1_ += w * scale * scale * difference;
    b2_ += w * scale * scale * difference * difference;
  }
  n_ += 1;
  double step = difference - mean_;
  mean_ += step / n_;
  squares_ += step * (difference - mean_);
}

/// With x = mean - delta, log e(delta) = b A0 x - b^2/2 (B2' + B0 x^2), B2' about the same mean. A
/// difference is ruled out from the smaller root of log e = log(2 / level) on.
std::optional<DifferenceInterval::Range> DifferenceInterval::range(double level) const {
  constexpr double kBet = 0.5;
  if (a0_ <= 0) return std::nullopt;
  double limit = std::log(2 / level);
  double mean = a1_ / a0_;
  // Both bets share the linear part; the square is centred on the same mean.
  double centred = std::max(0.0, b2_ - 2 * mean * b1_ + mean * mean * b0_);
  double skew = b1_ - mean * b0_;  // zero when the scale did not change
  auto first_root = [&](double sign) -> std::optional<double> {
    double a = kBet * kBet / 2 * b0_;
    double b = -(kBet * a0_ - sign * kBet * kBet * skew);
    double c = limit + kBet * kBet / 2 * centred;
    double root = b * b - 4 * a * c;
    if (root < 0 || b >= 0) return std::nullopt;
    return (-b - std::sqrt(root)) / (2 * a);
  };
  std::optional<double> below = first_root(1);
  std::optional<double> above = first_root(-1);
  if (!below || !above) return std::nullopt;
  return Range{mean - *below, mean + *above};
}

void DifferenceInterval::archive(Archive& a) {
  a(a0_, a1_, b0_, b1_, b2_, n_, mean_, squares_);
}

}  // namespace davy::stats
