// Latency thresholds on a histogram's bounds.
//
// Why: "slower" is judged as "a larger share of requests above a threshold", so thresholds must lie
// on bounds that both versions count at; interpolating inside a bucket would understate the tail.
// Shapes: davy::Histogram, per-bucket counts. Seconds.
// Threading: pure functions. Failure: none; nullopt where nothing fits.
#pragma once

#include <optional>
#include <vector>

#include "davy/block.h"

namespace davy::stats {

double total(const Histogram& h);
/// Requests above bounds[i].
double above(const Histogram& h, std::size_t i);

std::vector<double> common_bounds(const std::vector<double>& a, const std::vector<double>& b);
/// The same counts in fewer buckets. REQUIRES: `bounds` is a subset of h.bounds, ascending.
Histogram project(const Histogram& h, const std::vector<double>& bounds);
/// Adds `more` at the bounds that both have.
void add(Histogram& to, const Histogram& more);
/// Takes `part` away; false, and nothing done, when it is no part of `from`.
bool subtract(Histogram& from, const Histogram& part);
void scale(Histogram& h, double factor);

/// A histogram's requests above each of its bounds, counted once for all who ask.
struct Tails {
  explicit Tails(const Histogram& h);

  double total = 0;
  std::vector<double> above;  // above[i] = requests above bounds[i]
};

/// The smallest bound with at most the share `u` of the requests above it (the last one, if none
/// has). REQUIRES: at least one bound.
std::size_t quantile_bound(const Tails& tails, double u);

/// V2's threshold for "slower than (1 + tolerance) times bound i": rounded so that the claim gets
/// harder to prove, never easier.
struct Threshold {
  std::size_t bound;
  double tolerance;  // after rounding
};
/// For proving worse: the smallest bound >= (1 + tolerance) * bounds[i].
std::optional<Threshold> rounded_up(const std::vector<double>& bounds, std::size_t i,
                                    double tolerance);
/// For proving not worse: the largest bound <= (1 + tolerance) * bounds[i]; i itself if none is
/// larger.
Threshold rounded_down(const std::vector<double>& bounds, std::size_t i, double tolerance);

}  // namespace davy::stats
