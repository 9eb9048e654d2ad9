#include "sources/exchange/block.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>

#include "base/checksum.h"
#include "base/packed.h"
#include "davy/sketch.h"
#include "sources/tally.h"
#include "stats/counter.h"

namespace davy::source {
namespace {

constexpr std::string_view kMagic = "DX";
constexpr std::uint64_t kForm = 1;
constexpr std::size_t kChecksum = 8;  // bytes
constexpr std::size_t kLongestName = 128;
constexpr std::size_t kMostValues = 64;
constexpr std::size_t kMostBounds = 4096;
constexpr double kMostCount = 0x1p53;          // beyond it doubles no longer count one by one
constexpr std::uint64_t kLatest = 1ULL << 50;  // ms; in 35,000 years

// What is there, and how.
constexpr std::uint64_t kIsLast = 1;
constexpr std::uint64_t kHasAge = 2;
constexpr std::uint64_t kHasLatency = 4;
constexpr std::uint64_t kSketchBounds = 8;
constexpr std::uint64_t kAllFlags = 15;

const std::vector<double>& sketch_bounds() {
  static const std::vector<double> bounds = Sketch().histogram().bounds;
  return bounds;
}

bool is_whole(double n) {
  return n <= kMostCount && n == std::floor(n);
}

/// Zero has one form.
void put_real(std::string& out, double x) {
  packed::put_double(out, x + 0.0);
}
double take_real(packed::Reader& in) {
  double x = in.take_double();
  if (x == 0 && std::signbit(x)) in.fail();
  return x;
}

/// Even: half of it. 1: a double follows, as no whole number says it.
void put_count(std::string& out, double n) {
  if (is_whole(n)) return packed::put(out, static_cast<std::uint64_t>(n) * 2);
  packed::put(out, 1);
  put_real(out, n);
}
double take_count(packed::Reader& in) {
  std::uint64_t twice = in.take(static_cast<std::uint64_t>(kMostCount) * 2);
  if (twice % 2 == 0) return static_cast<double>(twice / 2);
  double n = twice == 1 ? take_real(in) : 0;
  if (twice != 1 || !stats::is_count(n) || is_whole(n)) in.fail();
  return n;
}

/// Runs: how many are 0, how many are not, and what these are. Zeros at the end are left out.
void put_counts(std::string& out, const std::vector<double>& counts) {
  std::size_t end = counts.size();
  while (end > 0 && counts[end - 1] == 0) --end;
  std::string runs;
  std::size_t number = 0;
  for (std::size_t i = 0; i < end; ++number) {
    std::size_t begin = i;
    while (counts[begin] == 0) ++begin;
    std::size_t after = begin;
    while (after < end && counts[after] != 0) ++after;
    packed::put(runs, begin - i);
    packed::put(runs, after - begin);
    for (i = begin; i < after; ++i) put_count(runs, counts[i]);
  }
  packed::put(out, number);
  out += runs;
}
std::vector<double> take_counts(packed::Reader& in, std::size_t size) {
  std::vector<double> counts(size, 0.0);
  std::uint64_t number = in.take(size);
  std::size_t i = 0;
  for (std::uint64_t run = 0; run < number && !in.failed(); ++run) {
    std::uint64_t gap = in.take(size);
    std::uint64_t length = in.take(size);
    bool is_sound = length > 0 && (gap > 0 || run == 0) && i + gap + length <= size;
    if (!is_sound) in.fail();
    i += gap;
    for (std::uint64_t k = 0; k < length && !in.failed(); ++k, ++i) {
      counts[i] = take_count(in);
      if (counts[i] == 0) in.fail();
    }
  }
  return counts;
}

void put_latency(std::string& out, const Histogram& latency, bool has_sketch_bounds) {
  if (!has_sketch_bounds) {
    packed::put(out, latency.bounds.size());
    for (double bound : latency.bounds) put_real(out, bound);
  }
  put_counts(out, latency.counts);
}
Histogram take_latency(packed::Reader& in, bool has_sketch_bounds) {
  Histogram latency;
  if (has_sketch_bounds) {
    latency.bounds = sketch_bounds();
  } else {
    std::uint64_t n = in.take(std::min(kMostBounds, in.left() / sizeof(double)));
    for (std::uint64_t i = 0; i < n && !in.failed(); ++i) latency.bounds.push_back(take_real(in));
    if (latency.bounds == sketch_bounds()) in.fail();  // they are never written out
  }
  latency.counts = take_counts(in, latency.bounds.size() + 1);
  return latency;
}

void put_values(std::string& out, const std::vector<ExchangeValue>& values) {
  packed::put(out, values.size());
  for (const ExchangeValue& value : values) {
    packed::put_text(out, value.name);
    packed::put(out,
                static_cast<std::uint64_t>(value.kind) * 2 + static_cast<std::uint64_t>(value.per));
    put_real(out, value.value);
  }
}
std::vector<ExchangeValue> take_values(packed::Reader& in) {
  std::vector<ExchangeValue> values(in.take(kMostValues));
  for (ExchangeValue& value : values) {
    value.name = in.take_text(kLongestName);
    std::uint64_t what = in.take(3);
    value.kind = static_cast<ValueSeries::Kind>(what / 2);
    value.per = static_cast<ValueSeries::Per>(what % 2);
    value.value = take_real(in);
  }
  return values;
}

/// What no publisher can mean, whatever the bytes.
std::optional<std::string> wrong_with(const ExchangeBlock& block) {
  for (const std::string* name : {&block.deployment, &block.version, &block.instance}) {
    if (auto wrong = wrong_exchange_name(*name)) return "a name in it " + *wrong;
  }
  if (block.incarnation == 0 || block.sequence == 0) return "it has no number";
  bool is_span =
      block.from >= 0 && block.from < block.to && static_cast<std::uint64_t>(block.to) <= kLatest;
  if (!is_span) return "its span is none";
  bool are_counts = stats::is_count(block.requests) && stats::is_count(block.errors) &&
                    stats::is_count(block.restarts) && stats::is_count(block.age.value_or(0));
  if (!are_counts) return "its counts are none";
  if (block.errors > block.requests) return "it has more errors than requests";
  if (block.latency &&
      (block.latency->bounds.empty() || block.latency->bounds.size() > kMostBounds ||
       !is_histogram(block.latency->bounds, block.latency->counts)))
    return "its latencies are no histogram";
  if (block.values.size() > kMostValues) return "it has too many values";
  for (const ExchangeValue& value : block.values) {
    if (wrong_exchange_name(value.name) || !std::isfinite(value.value))
      return "one of its values is none";
  }
  return std::nullopt;
}

ExchangeBlock take_block(packed::Reader& in) {
  ExchangeBlock block;
  std::uint64_t flags = in.take(kAllFlags);
  block.is_last = (flags & kIsLast) != 0;
  for (std::string* name : {&block.deployment, &block.version, &block.instance})
    *name = in.take_text(kLongestName);
  block.incarnation = in.take_word();
  block.sequence = in.take(kLatest);
  block.from = static_cast<std::int64_t>(in.take(kLatest));
  block.to = block.from + static_cast<std::int64_t>(in.take(kLatest));
  for (double* count : {&block.requests, &block.errors, &block.restarts}) *count = take_count(in);
  if ((flags & kHasAge) != 0) block.age = take_real(in);
  block.values = take_values(in);
  bool has_sketch_bounds = (flags & kSketchBounds) != 0;
  if ((flags & kHasLatency) != 0) {
    block.latency = take_latency(in, has_sketch_bounds);
  } else if (has_sketch_bounds) {
    in.fail();
  }
  return block;
}

}  // namespace

std::optional<std::string> wrong_exchange_name(std::string_view name) {
  if (name.empty()) return "is empty (a word of 1 to 128 characters)";
  if (name.size() > kLongestName) return fmt::format("is longer than {} characters", kLongestName);
  bool is_plain = std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c <= '~'; });
  if (!is_plain) return "has characters that are not plain (ASCII without spaces)";
  return std::nullopt;
}

Result<std::string> encode(const ExchangeBlock& block) {
  if (auto wrong = wrong_with(block)) return Error{*wrong};
  bool has_sketch_bounds = block.latency && block.latency->bounds == sketch_bounds();
  std::string out(kMagic);
  packed::put(out, kForm);
  packed::put(out, (block.is_last ? kIsLast : 0) | (block.age ? kHasAge : 0) |
                       (block.latency ? kHasLatency : 0) | (has_sketch_bounds ? kSketchBounds : 0));
  for (const std::string* name : {&block.deployment, &block.version, &block.instance})
    packed::put_text(out, *name);
  packed::put_word(out, block.incarnation);
  packed::put(out, block.sequence);
  packed::put(out, static_cast<std::uint64_t>(block.from));
  packed::put(out, static_cast<std::uint64_t>(block.to - block.from));
  for (double count : {block.requests, block.errors, block.restarts}) put_count(out, count);
  if (block.age) put_real(out, *block.age);
  put_values(out, block.values);
  if (block.latency) put_latency(out, *block.latency, has_sketch_bounds);
  packed::put_word(out, checksum(out));
  if (out.size() > kLongestBlock)
    return Error{fmt::format("it takes {} bytes ({} at most)", out.size(), kLongestBlock)};
  return out;
}

Result<ExchangeBlock> decode(std::string_view bytes) {
  if (bytes.size() > kLongestBlock)
    return Error{
        fmt::format("{} bytes are no davy block (at most {})", bytes.size(), kLongestBlock)};
  if (!bytes.starts_with(kMagic) || bytes.size() < kMagic.size() + 1 + kChecksum)
    return Error{"it is no davy block"};
  packed::Reader form(bytes.substr(kMagic.size(), 1));
  if (std::uint64_t number = form.take(127); form.failed() || number != kForm)
    return Error{"it is a block of another davy's form (this one knows form 1)"};
  std::string_view content = bytes.substr(0, bytes.size() - kChecksum);
  packed::Reader sum(bytes.substr(content.size()));
  if (sum.take_word() != checksum(content)) return Error{"it is damaged (wrong checksum)"};
  std::size_t head = kMagic.size() + 1;
  packed::Reader in(content.substr(head));
  ExchangeBlock block = take_block(in);
  if (in.failed() || !in.at_end())
    return Error{fmt::format("it makes no sense at byte {}", head + in.at())};
  if (auto wrong = wrong_with(block)) return Error{*wrong};
  return block;
}

}  // namespace davy::source
