#include "stats/foreign_histograms.h"

#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "davy/sketch.h"
#include "stats/buckets.h"

using namespace davy;
using namespace davy::stats;
using Bucket = NativeHistogram::Bucket;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// As a client would count them, at this schema.
NativeHistogram counted(const std::vector<double>& values, int schema, double zero_threshold) {
  NativeHistogram h{.schema = schema, .zero_threshold = zero_threshold};
  std::map<std::int64_t, double> counts;
  for (double value : values) {
    if (value <= zero_threshold) {
      ++h.zero_count;
    } else {
      ++counts[static_cast<std::int64_t>(std::ceil(std::ldexp(std::log2(value), schema)))];
    }
  }
  for (const auto& [index, count] : counts) h.buckets.push_back({index, count});
  return h;
}

std::vector<double> latencies() {
  std::mt19937_64 random(3);
  std::lognormal_distribution<double> draw(-4, 3);
  std::vector<double> values;
  for (int i = 0; i < 3000; ++i) values.push_back(draw(random));
  return values;
}

double share_above(const std::vector<double>& values, double bound) {
  return static_cast<double>(
      std::count_if(values.begin(), values.end(), [&](double value) { return value > bound; }));
}

std::string wrong(const NativeHistogram& native) {
  Result<Histogram> h = from_native(native);
  return h ? "" : h.error().what;
}

}  // namespace

TEST_CASE("a classic histogram keeps its bounds, and counts per bucket") {
  CHECK(*from_classic({0.1, 0.5, kInfinity}, {3, 10, 12}) == Histogram{{0.1, 0.5}, {3, 7, 2}});
  CHECK(*from_classic({100, 500, kInfinity}, {3, 10, 12}, 1e-3) ==
        Histogram{{100 * 1e-3, 500 * 1e-3}, {3, 7, 2}});
  CHECK(*from_classic({kInfinity}, {5}) == Histogram{{}, {5}});
  CHECK(*from_classic({-1, 0, 0.5, kInfinity}, {1, 2, 5, 5}) == Histogram{{0.5}, {5, 0}});
}

TEST_CASE("a classic histogram that contradicts itself is refused") {
  CHECK_FALSE(from_classic({}, {}));
  CHECK_FALSE(from_classic({0.1, 0.5}, {1, 2}));
  CHECK_FALSE(from_classic({0.1, kInfinity}, {1}));
  CHECK_FALSE(from_classic({0.1, kInfinity}, {2, 1}));
  CHECK_FALSE(from_classic({0.5, 0.1, kInfinity}, {1, 2, 3}));
  CHECK_FALSE(from_classic({0.5, 0.5, kInfinity}, {1, 2, 3}));
  CHECK_FALSE(from_classic({std::nan(""), kInfinity}, {1, 2}));
  CHECK_FALSE(from_classic({0.1, kInfinity}, {-1, 2}));
  CHECK_FALSE(from_classic({0.1, kInfinity}, {1, kInfinity}));
}

TEST_CASE("spans and deltas lay out a native histogram's buckets") {
  // The example of the Prometheus documentation's data model, made shorter.
  auto buckets = NativeHistogram::from_deltas({{-2, 2}, {1, 1}, {0, 1}, {3, 0}}, {5, -2, 4, -7});
  REQUIRE(buckets);
  CHECK(*buckets == std::vector<Bucket>{{-2, 5}, {-1, 3}, {1, 7}, {2, 0}});
  CHECK(*NativeHistogram::from_counts({{7, 2}}, {0.5, 2}) == std::vector<Bucket>{{7, 0.5}, {8, 2}});
  CHECK_FALSE(NativeHistogram::from_deltas({{0, 2}}, {1}));
  CHECK_FALSE(NativeHistogram::from_deltas({{0, 1}}, {1, 1}));
  CHECK_FALSE(NativeHistogram::from_deltas({{0, 2}}, {1, -2}));
  CHECK_FALSE(NativeHistogram::from_deltas({{0, 2}, {-1, 1}}, {1, 1, 1}));
  CHECK_FALSE(NativeHistogram::from_deltas({{0, 4294967295}}, {1}));
  CHECK_FALSE(NativeHistogram::from_counts({{0, 1}}, {std::nan("")}));
}

TEST_CASE("every bound of a native histogram tells exactly what is above it") {
  std::vector<double> values = latencies();
  for (int schema : {-2, 0, 3, 5, 8}) {
    for (double zero_threshold : {0x1p-128, 0.0, 0.003}) {
      CAPTURE(schema);
      CAPTURE(zero_threshold);
      Result<Histogram> h = from_native(counted(values, schema, zero_threshold));
      REQUIRE(h);
      CHECK(total(*h) == static_cast<double>(values.size()));
      CHECK(h->bounds.front() >= zero_threshold);
      for (std::size_t i = 0; i < h->bounds.size(); ++i)
        CHECK(above(*h, i) == share_above(values, h->bounds[i]));
    }
  }
}

TEST_CASE("a native histogram has bounds where it has no requests") {
  Result<Histogram> h = from_native({.schema = 3, .buckets = {{-8, 5}}});
  REQUIRE(h);
  CHECK(h->bounds.size() == 33 * 8 + 1);
  CHECK(h->bounds.front() == 0x1p-20);
  CHECK(h->bounds.back() == 0x1p13);
  CHECK(from_native({.schema = 8})->bounds.size() == 33 * 32 + 1);
}

TEST_CASE("two native histograms of different schemas meet at the bounds of the coarser") {
  std::vector<double> values = latencies();
  Histogram fine = *from_native(counted(values, 5, 0));
  Histogram coarse = *from_native(counted(values, 2, 0));
  std::vector<double> both = common_bounds(fine.bounds, coarse.bounds);
  CHECK(both == coarse.bounds);
  CHECK(project(fine, both) == coarse);
}

TEST_CASE("a finer native histogram merged down is the coarser one") {
  std::vector<double> values = latencies();
  NativeHistogram fine = counted(values, 6, 0.001);
  for (int schema = -4; schema <= 6; ++schema) {
    CAPTURE(schema);
    CHECK(fine.at_schema(schema).buckets == counted(values, schema, 0.001).buckets);
  }
}

TEST_CASE("a native histogram and a sketch meet at the powers of two") {
  std::vector<double> bounds =
      common_bounds(from_native({.schema = 3})->bounds, Sketch().histogram().bounds);
  CHECK(bounds.size() == 34);
  CHECK(bounds[20] == 1);
}

TEST_CASE("a native histogram in milliseconds comes out in seconds") {
  Result<Histogram> h = from_native({.schema = 0, .buckets = {{7, 5}}}, 1e-3);  // 64 to 128 ms
  REQUIRE(h);
  CHECK(h->bounds.front() == 0x1p-10 * 1e-3);
  auto bucket = std::find(h->counts.begin(), h->counts.end(), 5) - h->counts.begin();
  CHECK(h->bounds[static_cast<std::size_t>(bucket)] == 128 * 1e-3);
}

TEST_CASE("buckets beyond the range go below the first bound and above the last") {
  Result<Histogram> h = from_native(
      {.schema = 0, .zero_count = 1, .buckets = {{-1000, 2}, {-20, 4}, {14, 8}, {1024, 16}}});
  REQUIRE(h);
  CHECK(h->counts.front() == 7);
  CHECK(h->counts.back() == 24);
}

TEST_CASE("a native histogram that contradicts itself is refused") {
  CHECK(wrong({.schema = 9}) == "a native histogram of schema 9 (from -4 to 8 would be right)");
  CHECK(wrong({.schema = -53}) == "a native histogram of schema -53 (from -4 to 8 would be right)");
  CHECK(wrong({.zero_count = -1}) == "a native histogram whose zero bucket makes no sense");
  CHECK(wrong({.zero_threshold = std::nan("")}) ==
        "a native histogram whose zero bucket makes no sense");
  CHECK(wrong({.zero_threshold = 1e300}) == "a native histogram without a bound within 2.3 hours");
  CHECK(wrong({.buckets = {{1, 1}, {1, 1}}}) ==
        "a native histogram whose buckets do not ascend, or hold no counts");
  CHECK(wrong({.buckets = {{1, -1}}}) ==
        "a native histogram whose buckets do not ascend, or hold no counts");
  CHECK(wrong({.buckets = {{std::int64_t{1} << 50, 1}}}) ==
        "a native histogram with a bucket beyond all numbers");
}
