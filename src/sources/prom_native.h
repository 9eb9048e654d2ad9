// A native histogram as Prometheus' API shows it -> davy::Histogram.
//
// Why: the API shows bounds and counts of the buckets that are not empty, not the schema they come
// from. But the bounds of one bucket give it away: upper = lower * 2^(2^-schema).
// Threading: pure.
// Failure: an Error for what no schema has (custom bounds), for negative values, for wrong counts.
#pragma once

#include "davy/block.h"
#include "davy/result.h"
#include "sources/promjson.h"

namespace davy::source {

/// `unit` is in seconds.
Result<Histogram> from_prom(const PromHistogram& histogram, double unit = 1);

}  // namespace davy::source
