// Prometheus' answers to queries: JSON of a known shape, read series by series.
//
// Why: an answer may hold a million samples, and a tree of them would cost fifty times their bytes.
// So nothing is kept here: each series goes to a sink as soon as it has been read.
// Shapes: instant vectors, matrices, scalars and strings, with samples or native histograms, of any
// server that speaks this API. Keys may come in any order; unknown ones are skipped.
// Threading: pure.
// Failure: an Error with the byte at which the text is no JSON, not UTF-8, cut, or not this shape.
// What the sink has taken by then is worthless. It goes on from "the answer ...".
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "davy/result.h"
#include "sources/selector.h"

namespace davy::source {

/// Seconds since 1970 that are no time of day any more (the year 2223): nanoseconds end soon after.
inline constexpr double kLatestTime = 8e9;

struct PromSample {
  double t = 0;  // seconds since 1970
  double value = 0;

  friend bool operator==(const PromSample&, const PromSample&) = default;
};

/// A native histogram as the API shows it: the buckets that are not empty.
struct PromHistogram {
  struct Bucket {
    int rule = 0;  // which bounds belong to it: 0 the upper, 1 the lower, 2 none, 3 both
    double lower = 0;
    double upper = 0;
    double count = 0;
  };
  double t = 0;
  double count = 0;
  double sum = 0;
  std::vector<Bucket> buckets{};
};

struct PromSeries {
  Labels labels;  // with __name__
  std::span<const PromSample> samples;
  std::span<const PromHistogram> histograms;
};

class PromSink {
 public:
  virtual ~PromSink() = default;
  /// An answer begins: what was taken before is worthless.
  virtual void begin() = 0;
  /// One series. The views last for this call.
  virtual void take(const PromSeries& series) = 0;
};

struct PromAnswer {
  enum class Type { Vector, Matrix, Scalar, String };

  bool is_success = false;
  std::optional<Type> type{};           // of a success always there
  std::optional<PromSample> scalar{};   // of the type Scalar
  std::string error_type{};             // "bad_data", "timeout", ...; of a failure
  std::string error{};                  //
  std::vector<std::string> warnings{};  // the answer may lack something
  bool is_partial = false;              // the same, said by VictoriaMetrics
};

Result<PromAnswer> read_prom_answer(std::string_view body, PromSink& sink);

/// "2024.5", "1e+06", "NaN", "-Inf", all of it: how values are written.
std::optional<double> parse_prom_value(std::string_view text);

}  // namespace davy::source
