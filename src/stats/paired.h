// Paired values: is V2's memory (CPU, queue, ...) above V1's by more than tolerated?
//
// Why: a gauge has no counts, so the tests of sequential.h do not fit, and nothing is known of its
// variance. What is known: both versions are looked at in the same intervals, so D = V2's value
// minus what is tolerated is one number per interval, and whatever moves both alike cancels.
// The test (de la Pena 1999; Howard, Ramdas, McAuliffe, Sekhon 2020, arXiv 1808.03204): if D is
// symmetric about a centre that is not above 0, given the past, then for every y = D / s with s
// known before and every bet b > 0
//   E[exp(b y - b^2 y^2 / 2)] <= 1,
// whatever the variance, also when it changes. One interval never counts for more than 1/2 nat, so
// a single outlier decides nothing. Bets 1/4, 1/2, 1, 2; s = root mean square of the past.
// Values that linger (memory does) make neighbouring D alike: the evidence is divided by how many
// times more D's averages vary over long stretches than over short ones (Autocorrelation).
// Shapes: one D per interval, any unit; `dt` = seconds. Threading: plain values. Failure: none;
// REQUIRES finite D.
#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "davy/sequential.h"

namespace davy {
class Archive;
}

namespace davy::stats {

/// How many times more the averages of neighbouring values vary than independent ones would.
/// Dyadic: at each scale neighbouring averages are compared, up to 16 values against the next 16. A
/// step, which is what a regression that begins late looks like, spoils one comparison of a scale
/// only, so the largest of each is left out.
class Autocorrelation {
 public:
  void see(double value);
  /// At least 1; 1.5 while nothing is known.
  double factor() const;
  void archive(Archive& a);

 private:
  static constexpr std::size_t kScales = 5;
  std::array<std::optional<double>, kScales> waiting_;
  std::array<double, kScales> sum_{};  // of (a - b)^2 / 2 of neighbouring averages
  std::array<double, kScales> largest_{};
  std::array<int, kScales> count_{};
};

/// "The values D are above 0."
class PairedTest {
 public:
  void begin_stage() { wealth_.stake_for_stage(); }
  /// `divide` = what the evidence is divided by.
  void see(double d, double dt, double divide = 1);
  double log_e() const { return wealth_.log(); }
  void archive(Archive& a);

  static constexpr std::array<double, 4> kBets{0.25, 0.5, 1, 2};

 private:
  Wealth wealth_{kBets.size()};
  double weights_ = 0;  // exponentially forgotten: of what is in square_sum_
  double square_sum_ = 0;
};

/// An interval for the difference of two versions' values that holds at every look, by inverting
/// the same bet both ways (b = 1/2): all differences that it does not rule out, among those within
/// 8 standard deviations of the mean.
class DifferenceInterval {
 public:
  void see(double difference, double divide = 1);
  struct Range {
    double low;
    double high;
  };
  /// Nothing until there is enough to exclude anything. `level` = miss probability.
  std::optional<Range> range(double level = 0.05) const;
  void archive(Archive& a);

 private:
  // Sums over intervals of w a^i D^j; w = 1/divide, a = 1/(the past's standard deviation).
  double a0_ = 0, a1_ = 0;           // w a, w a D
  double b0_ = 0, b1_ = 0, b2_ = 0;  // w a^2, w a^2 D, w a^2 D^2
  // Of the past, for the next interval's a.
  double n_ = 0, mean_ = 0, squares_ = 0;
};

}  // namespace davy::stats
