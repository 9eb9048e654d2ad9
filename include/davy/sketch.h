// Sketch: the latencies of any number of requests in 7 kB, with quantiles that are 1% off at most.
//
// Why: a histogram's own bounds are chosen before the latencies are known, and too coarse ones
// prove nothing. These buckets grow by 2% each (DDSketch: Masson, Rim, Lee 2019, arXiv 1908.10693),
// so a quantile between 0.95 microseconds and 2.3 hours is at most 1% off.
// How: log2 is the exponent and, for the mantissa 1 + s, DDSketch's cubic: (6s^3 - 21s^2 + 50s)/35.
// With 35 buckets to the octave none grows by more than e^0.02 = 1.0202, an error of tanh(0.01).
// All in integers, so that every machine has the same bounds. A bucket holds what is at most its
// upper bound and more than its lower one, as in davy::Histogram.
// Not in a bucket: zero and what is below the first bound counts as `underflow`, what is above the
// last (and infinity) as `overflow`: both are part of count() and of quantiles. What is no duration
// (negative, NaN) is `rejected` and part of nothing.
// Counts have 48 bits: at a million a second one bucket is full after 9 years. Then it stays full,
// and `saturated()` says so for good.
// Merging is exact: a merged sketch is the sketch of all the values. Threading: a plain value.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "davy/block.h"
#include "davy/result.h"

namespace davy {

class Sketch {
 public:
  static constexpr double kSmallest = 0x1p-20;  // seconds: what is not above it is underflow
  static constexpr double kLargest = 0x1p13;    // what is above it is overflow
  static constexpr std::size_t kBuckets = 33 * 35;

  void insert(double seconds) {
    // The bits of positive doubles order as they do; less 1, a bound belongs to what is below it.
    std::uint64_t above = std::bit_cast<std::uint64_t>(seconds) - kSmallestBits - 1;
    if (above >= kRange) [[unlikely]] {
      insert_outside(seconds, 1);
    } else if (std::size_t i = bucket(above); ++low_[i] == 0) [[unlikely]] {
      carry(i);
    }
  }
  /// The same value `times` over.
  void insert(double seconds, std::uint64_t times);
  void merge(const Sketch& more);

  /// All values but the rejected ones.
  std::uint64_t count() const;
  std::uint64_t underflow() const { return underflow_; }
  std::uint64_t overflow() const { return overflow_; }
  std::uint64_t rejected() const { return rejected_; }
  bool saturated() const { return is_saturated_; }

  /// The value with the share `q` of the others below it (0 the least, 1 the largest), 1% off at
  /// most; kSmallest for underflow, kLargest for overflow. Nothing when there are no values.
  /// REQUIRES: 0 <= q <= 1.
  std::optional<double> quantile(double q) const;

  /// All buckets, the same bounds for every sketch.
  Histogram histogram() const;

  /// A version, then runs of buckets that are not empty, in varints: some bytes for each.
  std::string bytes() const;
  /// An Error for what `bytes` cannot have written; then it says where.
  static Result<Sketch> from_bytes(std::string_view bytes);

  friend bool operator==(const Sketch&, const Sketch&) = default;

 private:
  static constexpr std::uint64_t kSmallestBits = std::bit_cast<std::uint64_t>(kSmallest);
  static constexpr std::uint64_t kRange =
      std::bit_cast<std::uint64_t>(kLargest) - kSmallestBits;  // both have an empty mantissa

  /// 35 times the cubic, of the mantissa's upper 26 bits.
  static constexpr std::uint64_t steps(std::uint64_t s) {
    constexpr std::uint64_t one = 1 << 26;
    return (s * (50 * one - ((s * (21 * one - 6 * s)) >> 26))) >> 52;
  }
  static constexpr std::size_t bucket(std::uint64_t above) {
    constexpr std::uint64_t mantissa = (std::uint64_t{1} << 52) - 1;
    return (above >> 52) * 35 + steps((above & mantissa) >> 26);
  }
  static const std::array<double, kBuckets + 1>& bounds();

  std::uint64_t at(std::size_t i) const { return std::uint64_t{high_[i]} << 32 | low_[i]; }
  void insert_outside(double seconds, std::uint64_t times);
  void carry(std::size_t i);
  void fill_up(const Sketch& added);
  void fill(std::size_t i);

  std::array<std::uint32_t, kBuckets> low_{};
  std::array<std::uint16_t, kBuckets> high_{};
  std::uint64_t underflow_ = 0;
  std::uint64_t overflow_ = 0;
  std::uint64_t rejected_ = 0;
  bool is_saturated_ = false;
};

static_assert(sizeof(Sketch) <= 8000);

}  // namespace davy
