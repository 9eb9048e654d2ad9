// Exchange block: what one instance of one version served in one span, as bytes for others to read.
//
// Why: instances publish what they counted, and judges elsewhere merge it. Other people's Redis
// stands between them, so what is read is trusted in nothing: it is these bytes, whole, or refused.
// Shapes: davy's own binary form 1 ('D' 'X' 1, fields in src/base/packed.h's encoding, an FNV-1a
// checksum): 60 bytes and what the latencies need, two bytes or so for each bucket that is not
// empty. The bounds of a sketch (davy/sketch.h) are not written out. A block has one encoding only.
// Threading: plain values, pure functions. Failure: an Error that says what is wrong.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "davy/block.h"
#include "davy/result.h"
#include "davy/source.h"

namespace davy::source {

/// One of the deployment's own metrics, with what it is: only like is merged with like.
struct ExchangeValue {
  std::string name;
  ValueSeries::Kind kind = ValueSeries::Kind::Gauge;
  ValueSeries::Per per = ValueSeries::Per::Instance;
  double value = 0;  // its mean over the span

  friend bool operator==(const ExchangeValue&, const ExchangeValue&) = default;
};

struct ExchangeBlock {
  std::string deployment;
  std::string version;
  std::string instance;
  // A name for the publisher's memory: one that lost it counts its blocks from 1 again.
  std::uint64_t incarnation = 0;
  std::uint64_t sequence = 0;  // 1, 2, ...: no number is left out, none is used twice
  // The span, (from, to], in milliseconds since 1970 by the exchange's clock.
  std::int64_t from = 0;
  std::int64_t to = 0;
  bool is_last = false;  // the instance leaves: nothing is to be waited for after this

  double requests = 0;
  double errors = 0;
  double restarts = 0;
  std::optional<double> age;  // seconds since the youngest process started, at the end of the span
  std::optional<Histogram> latency;
  std::vector<ExchangeValue> values;

  friend bool operator==(const ExchangeBlock&, const ExchangeBlock&) = default;
};

/// More than this is no block.
inline constexpr std::size_t kLongestBlock = 64 << 10;  // bytes

/// Why this cannot be the name of a version or an instance, or nothing.
std::optional<std::string> wrong_exchange_name(std::string_view name);

/// An Error when it is no block that could be decoded again, such as one with half an instance.
Result<std::string> encode(const ExchangeBlock& block);
Result<ExchangeBlock> decode(std::string_view bytes);

}  // namespace davy::source
