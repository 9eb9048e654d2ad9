#include "sources/prometheus/native.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <optional>

namespace davy::source {
namespace {

constexpr double kSlack = 1e-9;  // bounds are written with all their digits

bool is_near(double a, double b) {
  return std::abs(a - b) <= kSlack * std::abs(b);
}

/// The only one whose buckets are that wide, or nothing.
std::optional<int> schema_of(const PromHistogram::Bucket& bucket) {
  double schema = -std::log2(std::log2(bucket.upper / bucket.lower));
  if (!(schema > -4.5 && schema < 8.5)) return std::nullopt;
  return static_cast<int>(std::lround(schema));
}

Error wrong_bounds(const PromHistogram::Bucket& bucket) {
  return Error{
      fmt::format("a native histogram with a bucket from {} to {} (custom bounds and "
                  "negative values cannot be read)",
                  bucket.lower, bucket.upper)};
}

}  // namespace

Result<stats::NativeHistogram> native_of(const PromHistogram& histogram) {
  stats::NativeHistogram native{.schema = stats::kFinestSchema};
  bool has_schema = false;
  bool has_zero = false;
  for (const PromHistogram::Bucket& bucket : histogram.buckets) {
    if (bucket.upper >= 0 && bucket.lower == -bucket.upper && !has_zero) {
      has_zero = true;
      native.zero_threshold = bucket.upper;
      native.zero_count = bucket.count;
      continue;
    }
    std::optional<int> schema;
    if (bucket.lower > 0 && bucket.upper > bucket.lower) schema = schema_of(bucket);
    if (!schema || (has_schema && *schema != native.schema)) return wrong_bounds(bucket);
    native.schema = *schema;
    has_schema = true;
    double index = std::round(std::ldexp(std::log2(bucket.upper), *schema));
    bool is_in_place = is_near(std::exp2(std::ldexp(index, -*schema)), bucket.upper) &&
                       is_near(std::exp2(std::ldexp(index - 1, -*schema)), bucket.lower);
    if (!is_in_place) return wrong_bounds(bucket);
    native.buckets.push_back({static_cast<std::int64_t>(index), bucket.count});
  }
  std::sort(native.buckets.begin(), native.buckets.end(),
            [](const auto& a, const auto& b) { return a.index < b.index; });
  return native;
}

}  // namespace davy::source
