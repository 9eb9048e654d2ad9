#include "sources/formats/protobuf.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>

#include "sources/formats/page_reader.h"

using namespace davy;
using namespace davy::source;

namespace {

constexpr const char* kProtobuf =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// A page that a Go program wrote with client_golang 1.14: a counter with two series, 1000
/// observations of 1 ms to 1 s in a classic, a native, and a both classic and native histogram, a
/// summary; the native one also observed 0.
std::string recorded(const std::string& extension) {
  std::ifstream file(DAVY_SOURCE_DIR "/tests/data/clients/go_client." + extension,
                     std::ios::binary);
  std::string page{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  REQUIRE(!page.empty());
  return page;
}

Rules rules(const std::string& histogram) {
  return *Rules::compile({.counter = {"http_requests_total"},
                          .error_when = {"code=~\"5..\""},
                          .errors = {},
                          .histogram = {histogram}},
                         {{.name = "queue", .series = "queue_depth"}});
}

Result<Reading> read(std::string_view page, const std::string& type, const Rules& rules) {
  PageReader reader(rules, {{Side::Canary}}, 1000);
  reader.begin(type);
  reader.feed(page);
  return reader.finish();
}

// Messages, written by hand.
std::string varint(std::uint64_t n) {
  std::string out;
  for (; n >= 0x80; n >>= 7) out += static_cast<char>(n | 0x80);
  return out + static_cast<char>(n);
}
std::string field(unsigned number, const std::string& bytes) {
  return varint(number << 3 | 2) + varint(bytes.size()) + bytes;
}
std::string field(unsigned number, std::uint64_t n) {
  return varint(number << 3) + varint(n);
}
std::string field(unsigned number, double x) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &x, 8);
  return varint(number << 3 | 1) + bytes;
}
std::string message(const std::string& family) {
  return varint(family.size()) + family;
}
std::string counter(const std::string& name, double value) {
  return message(field(1, name) + field(3, std::uint64_t{0}) + field(4, field(3, field(1, value))));
}

}  // namespace

TEST_CASE("what a Go client writes as protobuf, text and OpenMetrics says the same") {
  Rules classic = rules("classic_seconds");
  Reading protobuf = *read(recorded("pb"), kProtobuf, classic);
  for (const auto& [extension, type] :
       {std::pair{"txt", "text/plain; version=0.0.4"},
        std::pair{"om", "application/openmetrics-text; version=0.0.1"}}) {
    Reading text = *read(recorded(extension), type, classic);
    REQUIRE(text.counters.size() == 2);
    REQUIRE(protobuf.counters.size() == 2);
    for (std::size_t i = 0; i < 2; ++i) {
      CHECK(protobuf.counters[i].series == text.counters[i].series);
      CHECK(protobuf.counters[i].value == text.counters[i].value);
      CHECK(protobuf.counters[i].is_error == text.counters[i].is_error);
    }
    REQUIRE(text.histograms.size() == 1);
    REQUIRE(protobuf.histograms.size() == 1);
    CHECK(protobuf.histograms[0].series == text.histograms[0].series);
    CHECK(protobuf.histograms[0].bounds == text.histograms[0].bounds);
    CHECK(protobuf.histograms[0].cumulative == text.histograms[0].cumulative);
    CHECK(protobuf.values[index(Side::Canary)][0].gauge == -3.5);
    CHECK(text.values[index(Side::Canary)][0].gauge == -3.5);
  }
}

TEST_CASE("a native histogram's buckets hold what was observed") {
  for (const char* name : {"native_seconds", "both_seconds"}) {
    CAPTURE(name);
    Result<Reading> reading = read(recorded("pb"), kProtobuf, rules(name));
    REQUIRE(reading);
    REQUIRE(reading->histograms.size() == 1);
    const Reading::Buckets& buckets = reading->histograms[0];
    CHECK(buckets.bounds.size() > 100);
    double zeros = name == std::string("native_seconds") ? 1 : 0;
    CHECK(buckets.cumulative.back() == 1000 + zeros);
    for (std::size_t i = 0; i < buckets.bounds.size(); ++i) {
      // 1 ms, 2 ms, ... 1 s, of which so many are at most the bound; rounding may move one.
      double expected = std::min(1000.0, std::floor(buckets.bounds[i] * 1000 + 1e-9)) + zeros;
      REQUIRE(std::abs(buckets.cumulative[i] - expected) <= 1);
    }
  }
}

TEST_CASE("protobuf is asked for until a target shows that it has nothing native") {
  Rules classic = rules("classic_seconds");
  PageReader reader(classic, {{Side::Canary}}, 1000);
  CHECK(reader.accept().starts_with("application/vnd.google.protobuf"));
  std::string page = recorded("pb");
  reader.begin(kProtobuf);
  reader.feed(page);
  REQUIRE(reader.finish());
  CHECK(reader.accept().starts_with("application/openmetrics-text"));
  reader.forget_format();
  CHECK(reader.accept().starts_with("application/vnd.google.protobuf"));

  Rules native = rules("native_seconds");
  PageReader of_native(native, {{Side::Canary}}, 1000);
  of_native.begin(kProtobuf);
  of_native.feed(page);
  REQUIRE(of_native.finish());
  CHECK(of_native.accept().starts_with("application/vnd.google.protobuf"));
}

TEST_CASE("a protobuf page in pieces of any length is the same page") {
  Rules both = rules("both_seconds");
  std::string page = recorded("pb");
  Reading whole = *read(page, kProtobuf, both);
  for (std::size_t piece : {1UL, 2UL, 3UL, 7UL, 50UL}) {
    PageReader reader(both, {{Side::Canary}}, 1000);
    reader.begin(kProtobuf);
    for (std::size_t at = 0; at < page.size(); at += piece)
      reader.feed(std::string_view(page).substr(at, piece));
    Result<Reading> reading = reader.finish();
    REQUIRE(reading);
    CHECK(reading->histograms[0].cumulative == whole.histograms[0].cumulative);
    CHECK(reading->counters.size() == whole.counters.size());
  }
}

TEST_CASE("a protobuf page that was cut anywhere is not counted, or ends between two families") {
  Rules both = rules("both_seconds");
  std::string page = recorded("pb");
  std::size_t between = 0;
  for (std::size_t size = 0; size < page.size(); ++size)
    between += static_cast<bool>(read(std::string_view(page).substr(0, size), kProtobuf, both));
  CHECK(between == 6);  // at the start, and behind each family but the last
}

TEST_CASE("bytes that are no protobuf are refused") {
  Rules all = rules("h");
  Result<Reading> text = read("# HELP n Things.\nn 1\n", kProtobuf, all);
  REQUIRE_FALSE(text);
  CHECK(read(std::string(20, '\xff'), kProtobuf, all).error().what ==
        "the answer is no protobuf at byte 0 (no message, or one of more than 16 MiB)");
}

TEST_CASE("a family that contradicts itself is left out and told") {
  Rules all = rules("h");
  std::string good = counter("http_requests_total", 5);
  auto remark = [&](const std::string& family) {
    Result<Reading> reading = read(message(family) + good, kProtobuf, all);
    REQUIRE(reading);
    CHECK(reading->counters.size() == 1);
    REQUIRE(reading->remarks.size() == 1);
    return reading->remarks[0];
  };
  CHECK(remark("\x0a\xff") ==
        "1 malformed lines left out (the family at byte 0 is no metric family)");
  CHECK(remark(field(2, "help")) ==
        "1 malformed lines left out (the family at byte 0 has no name)");
  CHECK(remark(field(1, "\xff")) ==
        "1 malformed lines left out (the family at byte 0 has a name that is not UTF-8)");
  CHECK(remark(field(1, "x") + field(4, field(1, field(1, "")))) ==
        "1 malformed lines left out (the family at byte 0 has a metric that is none)");
  // Spans that promise four billion buckets.
  std::string spans = field(12, field(1, std::uint64_t{0}) + field(2, std::uint64_t{0xffffffff}));
  CHECK(remark(field(1, "h") + field(4, field(7, field(5, std::uint64_t{6}) + spans))) ==
        "1 malformed lines left out (the family at byte 0 has a native histogram whose buckets "
        "contradict each other)");
}
