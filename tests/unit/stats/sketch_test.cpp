#include "davy/sketch.h"

#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "stats/buckets.h"

using namespace davy;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Sketch of(const std::vector<double>& values) {
  Sketch sketch;
  for (double value : values) sketch.insert(value);
  return sketch;
}

std::vector<double> drawn(int n, const std::function<double(std::mt19937_64&)>& draw) {
  std::mt19937_64 random(7);
  std::vector<double> values;
  for (int i = 0; i < n; ++i) values.push_back(draw(random));
  return values;
}

double lognormal(std::mt19937_64& random) {
  return std::lognormal_distribution<double>(-3, 1.5)(random);
}

/// In which of a histogram's buckets a lone value is.
std::size_t bucket_of(double value) {
  Histogram h = of({value}).histogram();
  return static_cast<std::size_t>(std::find(h.counts.begin(), h.counts.end(), 1) -
                                  h.counts.begin());
}

/// A sketch with `count` in the bucket below 1 s, otherwise out of reach.
Sketch holding(std::uint64_t count) {
  std::string bytes = of({1}).bytes();
  bytes.pop_back();
  for (; count >= 0x80; count >>= 7) bytes.push_back(static_cast<char>(count | 0x80));
  bytes.push_back(static_cast<char>(count));
  return *Sketch::from_bytes(bytes);
}

}  // namespace

TEST_CASE("no bucket of a sketch is wider than 1% to both sides") {
  std::vector<double> bounds = Sketch().histogram().bounds;
  REQUIRE(bounds.size() == Sketch::kBuckets + 1);
  CHECK(bounds.front() == Sketch::kSmallest);
  CHECK(bounds.back() == Sketch::kLargest);
  double widest = 0;
  for (std::size_t i = 1; i < bounds.size(); ++i)
    widest = std::max(widest, (bounds[i] - bounds[i - 1]) / (bounds[i] + bounds[i - 1]));
  CHECK(widest <= 0.01);
  CHECK(widest > 0.0099);
}

TEST_CASE("a value at a bucket's bound belongs to it and the next double to the next") {
  std::vector<double> bounds = Sketch().histogram().bounds;
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    CAPTURE(i);
    CHECK(bucket_of(bounds[i]) == i);
    CHECK(bucket_of(std::nextafter(bounds[i], kInfinity)) == i + 1);
  }
}

TEST_CASE("a sketch's bounds are the same on every machine") {
  std::vector<double> bounds = Sketch().histogram().bounds;
  CHECK(bounds[700] == 1);
  CHECK(bounds[701] == 0x1.0529da8p+0);
  CHECK(bounds[734] == 0x1.f633504p+0);
  CHECK(bounds[735] == 2);
}

TEST_CASE("quantiles are 1% off at most") {
  std::vector<std::function<double(std::mt19937_64&)>> draws = {
      lognormal,
      [](auto& random) {
        return 0.001 * std::pow(1 - std::uniform_real_distribution<double>()(random), -1 / 1.5);
      },
      [](auto& random) { return std::uniform_real_distribution<double>(1e-6, 3600)(random); },
      [](auto& random) {
        return std::exp(
            std::uniform_real_distribution<double>(std::log(1e-6), std::log(8000))(random));
      }};
  for (const auto& draw : draws) {
    std::vector<double> values = drawn(100000, draw);
    Sketch sketch = of(values);
    std::sort(values.begin(), values.end());
    for (double q : {0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0}) {
      CAPTURE(q);
      double exact = values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
      CHECK(std::abs(*sketch.quantile(q) / exact - 1) <= 0.01);
    }
  }
}

TEST_CASE("merged sketches of parts are the sketch of the whole") {
  std::vector<double> values = drawn(30000, lognormal);
  values.insert(values.end(), {0, -1, kInfinity, 1e-9, 1e9});
  Sketch merged;
  for (std::size_t part = 0; part < 3; ++part) {
    Sketch sketch;
    for (std::size_t i = part; i < values.size(); i += 3) sketch.insert(values[i]);
    merged.merge(sketch);
  }
  CHECK(merged == of(values));
  CHECK(merged.count() == 30004);
}

TEST_CASE("what is in no bucket counts below, above, or not at all") {
  Sketch sketch = of({0, -0.0, 1e-9, std::numeric_limits<double>::denorm_min(), Sketch::kSmallest});
  CHECK(sketch.underflow() == 5);
  CHECK(sketch.count() == 5);
  CHECK(*sketch.quantile(0.5) == Sketch::kSmallest);
  sketch = of({kInfinity, 8193, std::numeric_limits<double>::max()});
  CHECK(sketch.overflow() == 3);
  CHECK(*sketch.quantile(0.5) == Sketch::kLargest);
  sketch = of({std::nan(""), -std::nan(""), -1, -kInfinity, -1e-300});
  CHECK(sketch.rejected() == 5);
  CHECK(sketch.count() == 0);
  CHECK_FALSE(sketch.quantile(0.5));
  CHECK_FALSE(Sketch().quantile(0));
}

TEST_CASE("a sketch's histogram counts what lies between its bounds") {
  std::vector<double> values = drawn(2000, lognormal);
  values.insert(values.end(), {0, 1e-9, 1e9, 1e9, 1e9});
  Histogram h = of(values).histogram();
  REQUIRE(h.counts.size() == h.bounds.size() + 1);
  CHECK(stats::total(h) == 2005);
  CHECK(h.counts.front() == 2);
  CHECK(h.counts.back() == 3);
  for (std::size_t i = 0; i < h.bounds.size(); i += 50) {
    auto above = std::count_if(values.begin(), values.end(),
                               [&](double value) { return value > h.bounds[i]; });
    CHECK(stats::above(h, i) == static_cast<double>(above));
  }
}

TEST_CASE("a count goes on beyond 32 bits") {
  Sketch sketch = holding(0xffffffff);
  sketch.insert(1);
  CHECK(sketch.count() == 0x100000000);
  sketch.insert(1);
  CHECK(sketch.count() == 0x100000001);
  sketch.merge(sketch);
  CHECK(sketch.count() == 0x200000002);
  CHECK_FALSE(sketch.saturated());
}

TEST_CASE("a full bucket stays full and the sketch says so for good") {
  constexpr std::uint64_t full = (std::uint64_t{1} << 48) - 1;
  Sketch inserted = holding(full);
  CHECK_FALSE(inserted.saturated());
  inserted.insert(1);
  CHECK(inserted.count() == full);
  CHECK(inserted.saturated());
  Sketch merged = holding(full - 1);
  merged.merge(of({1}));
  CHECK_FALSE(merged.saturated());
  merged.merge(of({1}));
  CHECK(merged.count() == full);
  CHECK(merged.saturated());
  CHECK(Sketch::from_bytes(merged.bytes())->saturated());
  Sketch doubled = holding(full - 7);
  doubled.merge(doubled);
  CHECK(doubled.count() == full);
  CHECK(doubled.saturated());
  Sketch other;
  other.merge(merged);
  CHECK(other.saturated());
}

TEST_CASE("a sketch that is written reads back the same, and takes little room when sparse") {
  std::vector<double> values = drawn(30000, lognormal);
  values.insert(values.end(), {0, -1, kInfinity});
  for (const Sketch& sketch :
       {Sketch(), of({0.1}), of(values), of({1e-6, 8000}), holding(1 << 20)}) {
    Result<Sketch> back = Sketch::from_bytes(sketch.bytes());
    REQUIRE(back);
    CHECK(*back == sketch);
  }
  CHECK(Sketch().bytes().size() == 5);
  CHECK(of({0.1}).bytes().size() == 9);
  CHECK(of(values).bytes().size() < 1200);
}

TEST_CASE("bytes that are cut or changed are refused, or another sketch that reads back the same") {
  std::string bytes = of(drawn(300, lognormal)).bytes();
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    CAPTURE(length);
    Result<Sketch> cut = Sketch::from_bytes(bytes.substr(0, length));
    if (cut) CHECK(cut->bytes() == bytes.substr(0, length));
  }
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
      Result<Sketch> back = Sketch::from_bytes(changed);
      if (back) CHECK(back->bytes() == changed);
    }
  }
}

TEST_CASE("random bytes never make a sketch that would not write them") {
  std::mt19937_64 random(11);
  int taken = 0;
  for (int i = 0; i < 200000; ++i) {
    // Small numbers, so that many get far.
    std::string bytes = {1, 0, 0, 0, 0};
    if (i % 4 == 0) bytes.clear();
    std::size_t length = random() % 40;
    for (std::size_t k = 0; k < length; ++k)
      bytes.push_back(static_cast<char>(random() % (i % 3 == 0 ? 256 : 8)));
    Result<Sketch> sketch = Sketch::from_bytes(bytes);
    if (!sketch) continue;
    ++taken;
    CHECK(sketch->bytes() == bytes);
  }
  CHECK(taken > 100);
}

TEST_CASE("bytes that no sketch writes are told") {
  auto wrong = [](std::string bytes) {
    Result<Sketch> sketch = Sketch::from_bytes(bytes);
    return sketch ? "" : sketch.error().what;
  };
  CHECK(wrong("") == "no sketch of version 1 (of another davy, or none)");
  CHECK(wrong({2, 0, 0, 0, 0}) == "no sketch of version 1 (of another davy, or none)");
  CHECK(wrong({1, 0, 0, 0}) == "a sketch that makes no sense at byte 4");
  CHECK(wrong({1, 0, 0, 0, 0}) == "");
  CHECK(wrong({1, 0, 0, 0, 0, 3, 1, 0}) == "a sketch that makes no sense at byte 8");  // count 0
  CHECK(wrong({1, 0, 0, 0, 0, 3, 0}) == "a sketch that makes no sense at byte 7");     // no buckets
  CHECK(wrong({1, 0, 0, 0, 0, 3, 1, 1, 0, 1, 1}) ==
        "a sketch that makes no sense at byte 10");  // two runs that are one
  CHECK(wrong({1, 0, '\x80', 0, 0, 0}) ==
        "a sketch that makes no sense at byte 4");  // 0 in 2 bytes
}

TEST_CASE("a value inserted many times at once is that value inserted as often") {
  for (double value : {0.0, 1e-7, 0.012, 1.0, 9000.0, kInfinity, -1.0, std::nan("")}) {
    Sketch once = of({value, 0.5, value, value});
    Sketch many = of({0.5});
    many.insert(value, 3);
    CAPTURE(value);
    CHECK(once == many);
    many.insert(value, 0);
    CHECK(once == many);
  }
}

TEST_CASE("a value inserted more often than a sketch can count fills its place, and says so") {
  constexpr std::uint64_t full = (std::uint64_t{1} << 48) - 1;
  Sketch sketch;
  sketch.insert(0.5, full);
  CHECK_FALSE(sketch.saturated());
  CHECK(sketch.count() == full);
  sketch.insert(0.5, 2);
  CHECK(sketch.saturated());
  CHECK(sketch.count() == full);
  Sketch outside;
  outside.insert(0, std::uint64_t{1} << 62);
  CHECK_FALSE(outside.saturated());
  outside.insert(0, 1);
  CHECK(outside.saturated());
  CHECK(outside.underflow() == std::uint64_t{1} << 62);
}
