#include "sources/prometheus/native.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "stats/foreign_histograms.h"

using namespace davy;
using namespace davy::source;

namespace {

PromHistogram with(std::vector<PromHistogram::Bucket> buckets) {
  return {.t = 1, .count = 1, .sum = 1, .buckets = std::move(buckets)};
}

/// As the API writes a bucket of this schema and index.
PromHistogram::Bucket bucket(int schema, int index, double count) {
  return {0, std::exp2(std::ldexp(index - 1, -schema)), std::exp2(std::ldexp(index, -schema)),
          count};
}

Result<Histogram> read(std::vector<PromHistogram::Bucket> buckets, double unit = 1) {
  Result<stats::NativeHistogram> native = native_of(with(std::move(buckets)));
  if (!native) return native.error();
  return stats::from_native(*native, unit);
}

}  // namespace

TEST_CASE("the schema is found in the bounds, for every schema there is") {
  for (int schema = -4; schema <= 8; ++schema) {
    CAPTURE(schema);
    int index = schema < 0 ? 0 : -(2 << schema) + 1;
    Result<Histogram> found = read({bucket(schema, index, 3), bucket(schema, index + 1, 4)});
    REQUIRE(found);
    stats::NativeHistogram native{.schema = schema, .buckets = {{index, 3}, {index + 1, 4}}};
    CHECK(*found == *stats::from_native(native));
  }
}

TEST_CASE("the zero bucket's width is its threshold, in the series' own unit") {
  Result<Histogram> found = read({{3, -0.5, 0.5, 5}, bucket(0, 1, 2)}, 1e-3);
  REQUIRE(found);
  CHECK(*found ==
        *stats::from_native(
            {.schema = 0, .zero_threshold = 0.5, .zero_count = 5, .buckets = {{1, 2}}}, 1e-3));
  CHECK(read({{3, 0, 0, 5}}));
}

TEST_CASE("a histogram without buckets has the finest bounds and no counts") {
  Result<Histogram> found = read({});
  REQUIRE(found);
  CHECK(*found == *stats::from_native({.schema = stats::kFinestSchema}));
}

TEST_CASE("histograms that no schema has are refused") {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  CHECK_FALSE(read({{0, 0.1, 0.25, 1}}));                 // custom bounds
  CHECK_FALSE(read({{0, 0.1, 0.2, 1}}));                  // the right width
  CHECK_FALSE(read({bucket(0, 1, 1), bucket(1, 3, 1)}));  // two schemas
  CHECK_FALSE(read({{1, -0.5, -0.25, 1}}));               // negative
  CHECK_FALSE(read({{3, -1, 1, 1}, {3, -1, 1, 1}}));      // two zeros
  CHECK_FALSE(read({{0, 1, kInf, 1}}));
  CHECK_FALSE(read({{0, std::nan(""), 2, 1}}));
  CHECK_FALSE(read({bucket(0, 1, -1)}));
  CHECK_FALSE(read({bucket(0, 1, std::nan(""))}));
  CHECK_FALSE(read({bucket(0, 1, 1), bucket(0, 1, 1)}));  // the same twice
}
