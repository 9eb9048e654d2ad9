// CheckState: what a check's outcomes mean.
//
// Why: a probe says what happened; thresholds, hard failures, age and single flight decide what
// that makes of the check. Rules: docs/checks.md. Threading: not thread-safe; owned by the
// scheduler. Time is handed in.
#pragma once

#include "config/config.h"
#include "davy/board.h"
#include "davy/probe.h"
#include "davy/time.h"

namespace davy::health {

/// A moment on both clocks.
struct Moment {
  Time steady;
  WallMillis wall = 0;
};

class CheckState {
 public:
  CheckState(const config::Check& check, Moment now);

  /// A run came back in time, or was given up at its deadline (then `outcome` says timeout).
  void see(const Outcome& outcome, Duration took, Moment now);
  /// The run given up earlier has still not come back; counts as one more failure per period.
  void still_stuck(Duration since, Moment now);
  void set_stuck(bool stuck) { view_.stuck = stuck; }
  /// Time passes: a result that is too old is stale.
  void tick(Time now);

  const CheckView& view() const { return view_; }

 private:
  void count_failure(bool hard, Moment now);
  void count_success(CheckStatus status, Moment now);
  void become(CheckStatus status, Moment now);

  config::Schedule schedule_;
  CheckView view_;
  int consecutive_successes_ = 0;
};

}  // namespace davy::health
