#include "stats/foreign_histograms.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <limits>

namespace davy::stats {
namespace {

constexpr double kFrom = 0x1p-20;  // seconds
constexpr double kTo = 0x1p13;
constexpr int kCoarsest = -4;
constexpr int kFinest = 8;

bool is_count(double n) {
  return std::isfinite(n) && n >= 0;
}

/// 2^(index / 2^schema).
double bound(int schema, std::int64_t index) {
  if (schema <= 0) return std::ldexp(1.0, static_cast<int>(index << -schema));
  std::int64_t octave = index >> schema;
  double step = static_cast<double>(index - (octave << schema));
  return std::ldexp(std::exp2(std::ldexp(step, -schema)), static_cast<int>(octave));
}

/// The least index whose bound is not below `least`, a positive number.
std::int64_t first_index(int schema, double least) {
  auto index = static_cast<std::int64_t>(std::floor(std::ldexp(std::log2(least), schema))) - 1;
  while (bound(schema, index) < least) ++index;
  return index;
}

template <typename Number, typename Count>
Result<std::vector<NativeHistogram::Bucket>> laid_out(
    const std::vector<NativeHistogram::Span>& spans, const std::vector<Number>& numbers,
    Count count) {
  std::vector<NativeHistogram::Bucket> buckets;
  std::int64_t index = 0;
  std::size_t next = 0;
  for (const NativeHistogram::Span& span : spans) {
    if (&span != &spans.front() && span.offset < 0)
      return Error{"a native histogram whose spans go back"};
    index += span.offset;
    if (span.length > numbers.size() - next)
      return Error{fmt::format(
          "a native histogram with {} counts, fewer than its spans have buckets", numbers.size())};
    for (std::uint32_t i = 0; i < span.length; ++i, ++index)
      buckets.push_back({index, count(numbers[next++])});
  }
  if (next != numbers.size())
    return Error{
        fmt::format("a native histogram with {} counts for {} buckets", numbers.size(), next)};
  for (const NativeHistogram::Bucket& bucket : buckets) {
    if (!is_count(bucket.count))
      return Error{fmt::format("a native histogram with {} in a bucket", bucket.count)};
  }
  return buckets;
}

std::string wrong(const NativeHistogram& native) {
  if (native.schema < kCoarsest || native.schema > kFinest)
    return fmt::format("a native histogram of schema {} (from {} to {} would be right)",
                       native.schema, kCoarsest, kFinest);
  if (!is_count(native.zero_threshold) || !is_count(native.zero_count))
    return "a native histogram whose zero bucket makes no sense";
  for (std::size_t i = 0; i < native.buckets.size(); ++i) {
    const NativeHistogram::Bucket& bucket = native.buckets[i];
    if (!is_count(bucket.count) || (i > 0 && bucket.index <= native.buckets[i - 1].index))
      return "a native histogram whose buckets do not ascend, or hold no counts";
    if (std::abs(bucket.index) > std::int64_t{1} << 40)
      return "a native histogram with a bucket beyond all numbers";
  }
  return "";
}

}  // namespace

Result<Histogram> from_classic(const std::vector<double>& le, const std::vector<double>& cumulative,
                               double unit) {
  if (le.empty() || le.size() != cumulative.size())
    return Error{
        fmt::format("a histogram with {} counts for {} bounds", cumulative.size(), le.size())};
  if (le.back() != std::numeric_limits<double>::infinity())
    return Error{"a histogram without a bucket for +Inf"};
  Histogram h;
  double below = 0;
  for (std::size_t i = 0; i < le.size(); ++i) {
    bool ascends = i == 0 ? !std::isnan(le[i]) : le[i] > le[i - 1];
    if (!ascends || !is_count(cumulative[i]) || (i > 0 && cumulative[i] < cumulative[i - 1]))
      return Error{"a histogram whose buckets do not ascend, or are not cumulative"};
    if (le[i] <= 0) continue;
    if (std::isfinite(le[i])) h.bounds.push_back(le[i] * unit);
    h.counts.push_back(cumulative[i] - below);
    below = cumulative[i];
  }
  return h;
}

Result<std::vector<NativeHistogram::Bucket>> NativeHistogram::from_deltas(
    const std::vector<Span>& spans, const std::vector<std::int64_t>& deltas) {
  double count = 0;
  return laid_out(spans, deltas,
                  [&](std::int64_t delta) { return count += static_cast<double>(delta); });
}

Result<std::vector<NativeHistogram::Bucket>> NativeHistogram::from_counts(
    const std::vector<Span>& spans, const std::vector<double>& counts) {
  return laid_out(spans, counts, [](double count) { return count; });
}

NativeHistogram NativeHistogram::at_schema(int coarser) const {
  NativeHistogram wider = *this;
  wider.schema = coarser;
  wider.buckets.clear();
  for (const Bucket& bucket : buckets) {
    // base^index of the finer is base^(index / 2^steps) of the coarser, rounded up to a bound.
    std::int64_t index = ((bucket.index - 1) >> (schema - coarser)) + 1;
    if (wider.buckets.empty() || wider.buckets.back().index != index)
      wider.buckets.push_back({index, 0});
    wider.buckets.back().count += bucket.count;
  }
  return wider;
}

Result<Histogram> from_native(const NativeHistogram& native, double unit, int finest) {
  if (std::string what = wrong(native); !what.empty()) return Error{what};
  NativeHistogram wide = native.at_schema(std::clamp(finest, kCoarsest, native.schema));
  // Requests within the zero threshold took anything up to it: no bound below tells of them.
  std::int64_t index = first_index(wide.schema, std::max(kFrom / unit, wide.zero_threshold));
  Histogram h{{}, {wide.zero_count}};
  auto bucket = wide.buckets.begin();
  for (double le = bound(wide.schema, index); le * unit <= kTo; le = bound(wide.schema, ++index)) {
    for (; bucket != wide.buckets.end() && bucket->index <= index; ++bucket)
      h.counts.back() += bucket->count;
    h.bounds.push_back(le * unit);
    h.counts.push_back(0);
  }
  for (; bucket != wide.buckets.end(); ++bucket) h.counts.back() += bucket->count;
  if (h.bounds.empty()) return Error{"a native histogram without a bound within 2.3 hours"};
  return h;
}

}  // namespace davy::stats
