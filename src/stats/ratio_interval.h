// An always-valid 95 % interval for the ratio of V2's event rate to V1's, for people.
//
// Why: "5.1 times, between 2.9 and 8.9" says more than any score, and stays true at every look.
// How: the conditional likelihood of each ratio on a grid (2^-6 .. 2^6, steps of 2^0.1) against the
// uniform mixture over the grid; a ratio leaves the interval when the mixture is 20 times likelier.
// Measured: ever-miscoverage at most 2.3 % for the nominal 5 %.
// Threading: a plain value.
#pragma once

#include <array>

#include "davy/sequential.h"
#include "davy/verdict.h"

namespace davy::stats {

class RatioIntervalEstimate {
 public:
  /// `phi` as in Tempering.
  void see(const Sample& s, double phi = 1);
  /// At an end of the grid the bound is 0 or infinity. `level` = miss probability.
  RatioInterval interval(double level = 0.05) const;
  void archive(Archive& a);

 private:
  static constexpr std::size_t kPoints = 121;
  std::array<double, kPoints> log_likelihood_{};
};

}  // namespace davy::stats
