// Process start: is it still the same process that a target's metrics come from?
//
// Why: a process that crashed counts from 0 again, and where its counters have overtaken the old
// ones already, only its start time (`process_start_time_seconds`) tells. A start time may also
// move without a restart: clients compute it from the time of day, which is set now and then.
// Threading: not thread-safe; owned by the collecting thread. Failure: none.
#pragma once

#include <optional>

#include "davy/time.h"

namespace davy {
class Archive;
}

namespace davy::source {

class ProcessStart {
 public:
  enum class Change {
    Unknown,      // not told, now or the last time
    Same,         // moved by 1 s at most
    Moved,        // to a time at which the old process still answered: a clock was set
    New,          // another process
    NewAfterLong  // the same, but the old one was watched for more than 100 times this gap:
                  // counters that have overtaken the old ones would be a wonder
  };

  /// `start` is in seconds since 1970, as the target says it; `now` does not go back.
  Change see(std::optional<double> start, Time now);
  /// Another process has been seen by other means, and does not tell its start.
  void forget() { start_.reset(); }

  void archive(Archive& state);

 private:
  std::optional<double> start_;
  Time since_;  // it was seen first
  Time last_;   // and last
};

}  // namespace davy::source
