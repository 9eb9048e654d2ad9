// Liveness budget: after so many would-be restarts in so long, restarts are not what helps.
//
// Why: a container runtime restarts whenever liveness fails, for ever. When the fifth restart in a
// quarter of an hour has changed nothing, the sixth only takes what still works (and its caches)
// away once more. Monit has had the rule for long ("if 5 restarts within 5 cycles then unmonitor").
// A would-be restart is liveness beginning to fail, or another instance failing in turn.
// Threading: not thread-safe. Pure.
#pragma once

#include <deque>
#include <string>

#include "config/config.h"
#include "davy/time.h"

namespace davy::health {

class LivenessBudget {
 public:
  explicit LivenessBudget(config::LivenessBudget limit = {}) : limit_(limit) {}

  void configure(const config::LivenessBudget& limit) { limit_ = limit; }
  /// Whether a failing liveness is to be suppressed now. REQUIRES: `now` does not go back.
  bool suppresses(bool fails, const std::string& instance, Time now);

 private:
  config::LivenessBudget limit_;
  std::deque<Time> restarts_;
  bool was_failing_ = false;
  bool suppressing_ = false;
  std::string failing_instance_;
};

}  // namespace davy::health
