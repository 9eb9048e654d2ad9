// Prometheus' two kinds of histograms -> davy::Histogram.
//
// Why: "slower" is judged as a larger share above a bound (stats/buckets.h), so only true bucket
// bounds may come out, and nothing is ever spread inside a bucket. Classic histograms have theirs
// written out. Native ones have base^i with base = 2^(2^-schema), and say only which buckets are
// not empty: here all bounds of a fixed range come out, so that V2 has bounds where V1 has no
// requests. A coarser schema's bounds are every second of the finer one's: going down loses nothing
// but resolution. Powers of two are bounds of every native histogram and of every Sketch.
// Threading: pure. Failure: an Error when the histogram contradicts itself.
#pragma once

#include <cstdint>
#include <vector>

#include "davy/block.h"
#include "davy/result.h"

namespace davy::stats {

/// `cumulative[i]` requests took at most `le[i]`; the last `le` is +Inf. `unit` is in seconds.
/// Buckets at or below 0 are part of the first one above.
Result<Histogram> from_classic(const std::vector<double>& le, const std::vector<double>& cumulative,
                               double unit = 1);

/// A native histogram without its sum. Negative latencies are none: negative buckets must be empty.
struct NativeHistogram {
  struct Span {
    std::int32_t offset = 0;  // empty buckets before it; of the first one, its bucket's index
    std::uint32_t length = 0;
  };
  struct Bucket {
    std::int64_t index = 0;  // more than base^(index - 1), at most base^index
    double count = 0;

    friend bool operator==(const Bucket&, const Bucket&) = default;
  };

  int schema = 0;             // -4 to 8
  double zero_threshold = 0;  // what is at most this counts as zero
  double zero_count = 0;
  std::vector<Bucket> buckets{};  // by index, ascending

  /// As exposed by integer histograms: the first count, then differences.
  static Result<std::vector<Bucket>> from_deltas(const std::vector<Span>& spans,
                                                 const std::vector<std::int64_t>& deltas);
  /// As exposed by float histograms.
  static Result<std::vector<Bucket>> from_counts(const std::vector<Span>& spans,
                                                 const std::vector<double>& counts);

  /// The same requests in wider buckets. REQUIRES: -4 <= coarser <= schema.
  NativeHistogram at_schema(int coarser) const;
};

/// The bounds that come out: those of the schema, or of `finest` when it is coarser, from about a
/// microsecond to 2.3 hours. Above what the zero threshold hides.
inline constexpr int kFinestSchema = 5;  // 2.2% a bucket
Result<Histogram> from_native(const NativeHistogram& native, double unit = 1,
                              int finest = kFinestSchema);

}  // namespace davy::stats
