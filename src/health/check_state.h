// CheckState: what a check's outcomes mean.
//
// Why: a probe says what happened; thresholds, levels, hard failures, age, flapping and single
// flight decide what that makes of the check. Rules: docs/checks.md. Threading: not thread-safe;
// owned by the scheduler. Time is handed in.
#pragma once

#include <optional>

#include "config/config.h"
#include "davy/board.h"
#include "davy/probe.h"
#include "davy/time.h"
#include "health/flapping.h"
#include "health/levels.h"

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
  /// A run given up has still not come back; counts as one more failure per period.
  void still_stuck(Duration since, Moment now);
  void set_stuck(bool stuck);
  /// Not run while a check that it depends on fails: keeps its state, and does not get stale.
  void wait_for(const std::string& check, Moment now);
  /// Time passes: a result that is too old is stale.
  void tick(Time now);
  /// Takes up the state of a davy before this one: shown and counted, until the first result.
  void restore(const CheckView& before);

  /// The time between runs in the present state: quick while it is about to change.
  Duration period() const;
  /// When it gets stale if nothing comes; never while it has no result.
  Time stale_at() const;

  const CheckView& view() const { return view_; }

 private:
  void count(const Outcome& seen, Moment now);
  void count_failure(bool hard, Moment now);
  void count_success(CheckStatus status, Moment now);
  void become(CheckStatus status, Moment now);
  void remember(const Outcome& raw, Duration took, Moment now);
  void watch_flapping(bool good);

  config::Schedule schedule_;
  LevelJudge levels_;
  Flapping flapping_;
  std::optional<Time> failing_since_;  // of the failures in a row
  CheckView view_;
};

}  // namespace davy::health
