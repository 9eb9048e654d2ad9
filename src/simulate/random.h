// Random: a generator and samplers that give the same numbers on every machine.
//
// Why: seeds are printed, so that a surprising run can be looked at again. The distributions of
// <random> differ from one standard library to the next; these do not (up to the last bit of the C
// library's log and exp). All are exact, none is a normal approximation, and none gets slower with
// the mean: about 50 ns a draw.
// Shapes: probabilities 0..1, means >= 0. Counts are returned as doubles, as blocks hold them.
// Threading: not thread-safe; one per trial. Failure: none.
// Sources: xoshiro256++ and splitmix64 (Blackman, Vigna 2021); transformed rejection PTRS and BTRS
// for Poisson and binomial (Hoermann 1993); polar method for the normal (Marsaglia, Bray 1964);
// gamma (Marsaglia, Tsang 2000).
#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace davy::simulate {

/// A well-mixed seed from two numbers: trial `index` of a run must not resemble its neighbour.
std::uint64_t mix_seed(std::uint64_t seed, std::uint64_t index);

class Random {
 public:
  explicit Random(std::uint64_t seed);

  std::uint64_t bits();
  /// In (0, 1): never 0, so that its logarithm exists.
  double uniform();
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  double normal();
  double exponential(double mean);
  double gamma(double shape, double scale);
  double poisson(double mean);
  double binomial(double n, double p);

 private:
  std::array<std::uint64_t, 4> state_;
  std::optional<double> spare_normal_;
};

}  // namespace davy::simulate
