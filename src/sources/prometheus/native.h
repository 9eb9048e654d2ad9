// A native histogram as Prometheus' API shows it -> stats::NativeHistogram.
//
// Why: the API shows bounds and counts of the buckets that are not empty, not the schema they come
// from. But the bounds of one bucket give it away: upper = lower * 2^(2^-schema).
// Threading: pure.
// Failure: an Error for what no schema has (custom bounds), and for negative values.
#pragma once

#include "davy/result.h"
#include "sources/prometheus/json.h"
#include "stats/foreign_histograms.h"

namespace davy::source {

Result<stats::NativeHistogram> native_of(const PromHistogram& histogram);

}  // namespace davy::source
