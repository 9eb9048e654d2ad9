// Exchange clock: the time that everybody at one exchange shares: its Redis' own.
//
// Why: blocks of different machines are compared span by span, and machines' clocks differ. All of
// them talk to one Redis, so that one's clock it is, whatever time it may be elsewhere. It answered
// at some moment between question and answer: that bounds how far it is from our steady clock, and
// the last distance is kept as long as it lies within those bounds. So a slow answer teaches little
// and disturbs nothing, and a wall clock that is set here moves nothing.
// Threading: not thread-safe. Failure: before the first answer there is no time.
#pragma once

#include <cstdint>
#include <optional>

#include "davy/time.h"

namespace davy {
class Archive;
}

namespace davy::source {

/// Milliseconds since 1970 by the exchange.
using ExchangeMillis = std::int64_t;

class ExchangeClock {
 public:
  /// It said `answer` to what was asked at `sent` and answered at `received`. Returns by how much
  /// that moved the clock, in milliseconds; 0 for the first answer.
  std::int64_t learn(ExchangeMillis answer, Time sent, Time received);
  std::optional<ExchangeMillis> at(Time now) const;

  /// The steady clock began anew: the machine was started again.
  void forget() { ahead_.reset(); }
  void archive(Archive& state);

 private:
  std::optional<std::int64_t> ahead_;  // of our steady clock, milliseconds
};

/// The boundary between slots that is nearest: a multiple of `every`. REQUIRES: both above 0.
ExchangeMillis nearest_boundary(ExchangeMillis now, std::int64_t every);

}  // namespace davy::source
