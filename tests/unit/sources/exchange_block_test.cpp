#include "sources/exchange/block.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>

#include "base/checksum.h"
#include "base/packed.h"
#include "davy/sketch.h"

using namespace davy;
using namespace davy::source;

namespace {

ExchangeBlock plain() {
  return {.deployment = "shop",
          .version = "v2",
          .instance = "web-1",
          .incarnation = 77,
          .sequence = 3,
          .from = 1'800'000'000'000,
          .to = 1'800'000'005'000,
          .requests = 1200,
          .errors = 3};
}

ExchangeBlock full() {
  ExchangeBlock block = plain();
  block.is_last = true;
  block.restarts = 2;
  block.age = 12.5;
  block.latency = Histogram{{0.005, 0.1, 2.5}, {0, 1100, 0, 100}};
  block.values = {{"memory", ValueSeries::Kind::Gauge, ValueSeries::Per::Instance, 1.5e8},
                  {"reads", ValueSeries::Kind::Rate, ValueSeries::Per::Request, -0.25}};
  return block;
}

ExchangeBlock with_sketch(int values) {
  Sketch sketch;
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> latency(-3, 1);
  for (int i = 0; i < values; ++i) sketch.insert(latency(random));
  ExchangeBlock block = plain();
  block.latency = sketch.histogram();
  return block;
}

ExchangeBlock drawn(std::mt19937_64& random) {
  auto below = [&](std::uint64_t n) { return random() % n; };
  ExchangeBlock block = plain();
  block.version = std::string(1 + below(128), static_cast<char>('!' + below(90)));
  block.incarnation = 1 + below(std::numeric_limits<std::uint64_t>::max());
  block.sequence = 1 + below(1ULL << (1 + below(49)));
  block.from = static_cast<std::int64_t>(below(1ULL << 48));
  block.to = block.from + 1 + static_cast<std::int64_t>(below(1ULL << (1 + below(40))));
  block.is_last = below(2) == 0;
  block.requests = static_cast<double>(below(1ULL << (1 + below(53))));
  block.errors = static_cast<double>(below(static_cast<std::uint64_t>(block.requests) + 1));
  if (below(4) == 0) block.requests += 0.5;
  block.restarts = static_cast<double>(below(3));
  if (below(2) == 0) block.age = static_cast<double>(below(10'000)) / 7;
  if (below(2) == 0) {
    Histogram latency;
    double bound = 0;
    for (std::uint64_t i = 1 + below(40); i > 0; --i)
      latency.bounds.push_back(bound += static_cast<double>(1 + below(1000)) / 1000);
    for (std::size_t i = 0; i <= latency.bounds.size(); ++i)
      latency.counts.push_back(below(2) == 0 ? 0 : static_cast<double>(below(100'000)));
    block.latency = std::move(latency);
  }
  for (std::uint64_t i = below(4); i > 0; --i) {
    block.values.push_back({"metric" + std::to_string(i), static_cast<ValueSeries::Kind>(below(2)),
                            static_cast<ValueSeries::Per>(below(2)),
                            static_cast<double>(below(1000)) - 500});
  }
  return block;
}

std::string with_right_checksum(std::string bytes) {
  bytes.resize(bytes.size() - 8);
  packed::put_word(bytes, checksum(bytes));
  return bytes;
}

/// What decode says of these bytes: "" when it takes them.
std::string refusal(const std::string& bytes) {
  Result<ExchangeBlock> block = decode(bytes);
  return block ? "" : block.error().what;
}

/// It is refused, or it is a block whose encoding these bytes are.
bool is_sound(const std::string& bytes) {
  Result<ExchangeBlock> block = decode(bytes);
  if (!block) return true;
  Result<std::string> again = encode(*block);
  return again && *again == bytes;
}

}  // namespace

TEST_CASE("a block reads back to the same, in the same bytes") {
  std::mt19937_64 random(7);
  for (int i = 0; i < 2000; ++i) {
    ExchangeBlock block = drawn(random);
    Result<std::string> bytes = encode(block);
    REQUIRE(bytes);
    Result<ExchangeBlock> read = decode(*bytes);
    REQUIRE(read);
    REQUIRE(*read == block);
    REQUIRE(*encode(*read) == *bytes);
  }
  REQUIRE(*decode(*encode(full())) == full());
}

TEST_CASE("a block is small: a hundred bytes, and some for each bucket that is not empty") {
  CHECK(encode(plain())->size() < 60);
  CHECK(encode(full())->size() < 130);
  ExchangeBlock sketch = with_sketch(5000);
  Result<std::string> bytes = encode(sketch);
  REQUIRE(bytes);
  CHECK(bytes->size() < 700);
  CHECK(*decode(*bytes) == sketch);
}

TEST_CASE("a block with any one byte changed is refused") {
  for (const ExchangeBlock& block : {plain(), full(), with_sketch(100)}) {
    const std::string bytes = *encode(block);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      for (int change = 1; change < 256; ++change) {
        std::string hit = bytes;
        hit[i] = static_cast<char>(hit[i] ^ change);
        if (refusal(hit).empty()) FAIL("byte " << i << " changed by " << change << " is taken");
      }
    }
  }
}

TEST_CASE("a block that is cut short, or has something behind it, is refused") {
  const std::string bytes = *encode(full());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    CAPTURE(i);
    CHECK(refusal(bytes.substr(0, i)) != "");
  }
  CHECK(refusal(bytes + "x") != "");
  CHECK(refusal(bytes + bytes) != "");
}

TEST_CASE("with a checksum that is right, changed bytes are refused or another block's") {
  std::mt19937_64 random(3);
  std::size_t refused = 0;
  for (const ExchangeBlock& block : {plain(), full(), with_sketch(100)}) {
    const std::string bytes = *encode(block);
    for (int i = 0; i < 20'000; ++i) {
      std::string hit = bytes;
      for (std::uint64_t n = 1 + random() % 3; n > 0; --n)
        hit[random() % (hit.size() - 8)] = static_cast<char>(random());
      hit = with_right_checksum(hit);
      REQUIRE(is_sound(hit));
      refused += !refusal(hit).empty();
    }
  }
  CHECK(refused > 20'000);
}

TEST_CASE("what is refused is refused with a reason") {
  CHECK(refusal("") == "it is no davy block");
  CHECK(refusal("hello, world") == "it is no davy block");
  CHECK(refusal(std::string(70'000, 'D')) == "70000 bytes are no davy block (at most 65536)");
  std::string bytes = *encode(plain());
  bytes[2] = 2;
  CHECK(refusal(bytes) == "it is a block of another davy's form (this one knows form 1)");
  bytes = *encode(plain());
  bytes[5] = 'X';
  CHECK(refusal(bytes) == "it is damaged (wrong checksum)");
  bytes = *encode(plain());
  bytes[3] = 16;  // a flag that means nothing
  CHECK(refusal(with_right_checksum(bytes)).starts_with("it makes no sense at byte 4"));
}

TEST_CASE("what no instance can have counted is not encoded") {
  auto refusal_of = [](auto&& change) {
    ExchangeBlock block = full();
    change(block);
    Result<std::string> bytes = encode(block);
    return bytes ? "" : bytes.error().what;
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(refusal_of([](ExchangeBlock&) {}) == "");
  CHECK(refusal_of([](ExchangeBlock& b) { b.instance = ""; }).starts_with("a name in it is empty"));
  CHECK(refusal_of([](ExchangeBlock& b) { b.version = "v 2"; }).find("not plain") !=
        std::string::npos);
  CHECK(refusal_of([](ExchangeBlock& b) { b.deployment = std::string(129, 'x'); }) != "");
  CHECK(refusal_of([](ExchangeBlock& b) { b.sequence = 0; }) == "it has no number");
  CHECK(refusal_of([](ExchangeBlock& b) { b.to = b.from; }) == "its span is none");
  CHECK(refusal_of([&](ExchangeBlock& b) { b.requests = nan; }) == "its counts are none");
  CHECK(refusal_of([](ExchangeBlock& b) { b.restarts = -1; }) == "its counts are none");
  CHECK(refusal_of([](ExchangeBlock& b) { b.errors = 1201; }) ==
        "it has more errors than requests");
  CHECK(refusal_of([](ExchangeBlock& b) { b.latency->counts.pop_back(); }) ==
        "its latencies are no histogram");
  CHECK(refusal_of([](ExchangeBlock& b) { b.latency->bounds[0] = 7; }) ==
        "its latencies are no histogram");
  CHECK(refusal_of([&](ExchangeBlock& b) { b.values[0].value = nan; }) ==
        "one of its values is none");
  CHECK(refusal_of([](ExchangeBlock& b) { b.values.resize(65, b.values[0]); }) ==
        "it has too many values");
}

TEST_CASE("a zero that is negative is written as zero") {
  ExchangeBlock block = full();
  block.values[0].value = -0.0;
  block.latency->bounds[0] = -0.0;
  block.errors = -0.0;
  Result<std::string> bytes = encode(block);
  REQUIRE(bytes);
  Result<ExchangeBlock> read = decode(*bytes);
  REQUIRE(read);
  CHECK_FALSE(std::signbit(read->values[0].value));
  CHECK_FALSE(std::signbit(read->latency->bounds[0]));
  CHECK(*encode(*read) == *bytes);
}
