#include "sources/exchange/clock.h"

#include <algorithm>

#include "base/archive.h"

namespace davy::source {
namespace {

std::int64_t millis(Time t) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(t.since_boot).count();
}

}  // namespace

std::int64_t ExchangeClock::learn(ExchangeMillis answer, Time sent, Time received) {
  // Both clocks are cut off to whole milliseconds.
  std::int64_t least = answer - millis(received) - 1;
  std::int64_t most = answer - millis(sent) + 1;
  if (!ahead_) {
    ahead_ = least + (most - least) / 2;
    return 0;
  }
  std::int64_t before = *ahead_;
  ahead_ = std::clamp(before, least, most);
  return *ahead_ - before;
}

std::optional<ExchangeMillis> ExchangeClock::at(Time now) const {
  if (!ahead_) return std::nullopt;
  return millis(now) + *ahead_;
}

void ExchangeClock::archive(Archive& state) {
  state(ahead_);
}

ExchangeMillis nearest_boundary(ExchangeMillis now, std::int64_t every) {
  return (now + every / 2) / every * every;
}

}  // namespace davy::source
