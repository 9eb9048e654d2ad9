#include "davy/sketch.h"

#include <algorithm>
#include <cmath>

#include "base/packed.h"

namespace davy {
namespace {

constexpr unsigned char kVersion = 1;
constexpr std::uint64_t kFull = (std::uint64_t{1} << 48) - 1;  // of one bucket
constexpr std::uint64_t kMost = (std::uint64_t{1} << 62);      // of what is in none

}  // namespace

/// The upper bound of bucket i stands at i + 1, the lower one at i.
const std::array<double, Sketch::kBuckets + 1>& Sketch::bounds() {
  static const std::array<double, kBuckets + 1> all = [] {
    std::array<double, kBuckets + 1> bounds{};
    for (std::size_t i = 0; i < bounds.size(); ++i) {
      // The least s that reaches the step, by halving: steps() only grows.
      std::uint64_t below = 0;
      std::uint64_t reaches = 1 << 26;
      while (i % 35 != 0 && reaches - below > 1) {
        std::uint64_t middle = (below + reaches) / 2;
        (steps(middle) >= i % 35 ? reaches : below) = middle;
      }
      double s = i % 35 == 0 ? 0.0 : static_cast<double>(reaches) * 0x1p-26;
      bounds[i] = std::ldexp(kSmallest * (1 + s), static_cast<int>(i / 35));
    }
    return bounds;
  }();
  return all;
}

void Sketch::insert(double seconds, std::uint64_t times) {
  std::uint64_t above = std::bit_cast<std::uint64_t>(seconds) - kSmallestBits - 1;
  if (above >= kRange) return insert_outside(seconds, times);
  std::size_t i = bucket(above);
  if (times > kFull - at(i)) return fill(i);
  std::uint64_t n = at(i) + times;
  low_[i] = static_cast<std::uint32_t>(n);
  high_[i] = static_cast<std::uint16_t>(n >> 32);
}

void Sketch::insert_outside(double seconds, std::uint64_t times) {
  bool is_none = std::isnan(seconds) || seconds < 0;
  std::uint64_t& n = is_none ? rejected_ : seconds <= kSmallest ? underflow_ : overflow_;
  is_saturated_ |= times > kMost - n;
  n += std::min(times, kMost - n);
}

/// The low half has just gone round.
void Sketch::carry(std::size_t i) {
  if (++high_[i] == 0) fill(i);
}

void Sketch::merge(const Sketch& more) {
  if (&more == this) return merge(Sketch(more));
  std::uint32_t highest = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    std::uint32_t low = low_[i] + more.low_[i];
    std::uint32_t carried = low < more.low_[i] ? 1 : 0;
    std::uint32_t high = std::uint32_t{high_[i]} + more.high_[i] + carried;
    low_[i] = low;
    high_[i] = static_cast<std::uint16_t>(high);
    highest |= high;
  }
  is_saturated_ |= more.is_saturated_;
  if (highest > 0xffff) fill_up(more);
  for (auto n : {&Sketch::underflow_, &Sketch::overflow_, &Sketch::rejected_}) {
    this->*n += more.*n;
    is_saturated_ |= this->*n > kMost;
    this->*n = std::min(this->*n, kMost);
  }
}

/// Sums that went round are less than what was added.
void Sketch::fill_up(const Sketch& added) {
  for (std::size_t i = 0; i < kBuckets; ++i) {
    if (at(i) < added.at(i)) fill(i);
  }
}

void Sketch::fill(std::size_t i) {
  high_[i] = 0xffff;
  low_[i] = 0xffffffff;
  is_saturated_ = true;
}

std::uint64_t Sketch::count() const {
  std::uint64_t n = underflow_ + overflow_;
  for (std::size_t i = 0; i < kBuckets; ++i) n += at(i);
  return n;
}

std::optional<double> Sketch::quantile(double q) const {
  std::uint64_t n = count();
  if (n == 0) return std::nullopt;
  auto rank = static_cast<std::uint64_t>(q * static_cast<double>(n - 1));
  if (rank < underflow_) return kSmallest;
  std::uint64_t below = underflow_;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    below += at(i);
    if (rank >= below) continue;
    // The point with the same relative distance to both bounds.
    double a = bounds()[i];
    double b = bounds()[i + 1];
    return 2 * a * b / (a + b);
  }
  return kLargest;
}

Histogram Sketch::histogram() const {
  Histogram h{{bounds().begin(), bounds().end()}, {}};
  h.counts.reserve(kBuckets + 2);
  h.counts.push_back(static_cast<double>(underflow_));
  for (std::size_t i = 0; i < kBuckets; ++i) h.counts.push_back(static_cast<double>(at(i)));
  h.counts.push_back(static_cast<double>(overflow_));
  return h;
}

std::string Sketch::bytes() const {
  std::string out;
  packed::put(out, kVersion);
  packed::put(out, is_saturated_ ? 1 : 0);
  for (std::uint64_t n : {underflow_, overflow_, rejected_}) packed::put(out, std::min(n, kMost));
  // Runs: how many empty buckets, how many that are not, and what these hold.
  std::size_t i = 0;
  while (i < kBuckets) {
    std::size_t begin = i;
    while (begin < kBuckets && at(begin) == 0) ++begin;
    std::size_t end = begin;
    while (end < kBuckets && at(end) != 0) ++end;
    if (begin == end) break;
    packed::put(out, begin - i);
    packed::put(out, end - begin);
    for (; begin < end; ++begin) packed::put(out, at(begin));
    i = end;
  }
  return out;
}

Result<Sketch> Sketch::from_bytes(std::string_view bytes) {
  packed::Reader in(bytes);
  Sketch sketch;
  if (in.take(0x7f) != kVersion) return Error{"no sketch of version 1 (of another davy, or none)"};
  sketch.is_saturated_ = in.take(1) == 1;
  for (std::uint64_t* n : {&sketch.underflow_, &sketch.overflow_, &sketch.rejected_})
    *n = in.take(kMost);
  std::size_t i = 0;
  while (!in.failed() && !in.at_end()) {
    std::uint64_t gap = in.take(kBuckets);
    std::uint64_t length = in.take(kBuckets);
    bool is_sound = length > 0 && (gap > 0 || i == 0) && i + gap + length <= kBuckets;
    if (!is_sound) in.fail();
    i += gap;
    for (std::uint64_t k = 0; k < length && !in.failed(); ++k, ++i) {
      std::uint64_t n = in.take(kFull);
      if (n == 0) in.fail();
      sketch.low_[i] = static_cast<std::uint32_t>(n);
      sketch.high_[i] = static_cast<std::uint16_t>(n >> 32);
    }
  }
  if (in.failed()) return Error{"a sketch that makes no sense at byte " + std::to_string(in.at())};
  return sketch;
}

}  // namespace davy
