// Levels: what a measured value makes of an outcome, with separate set and clear levels.
//
// Why: a disk at 89.9 % and 90.1 % in turn must not alternate. A state that a level set clears only
// beyond the level by the check's margin, a share of the level. The levels are the probe's own
// (Outcome::clear_of_fail) and those of the check (warn_above, fail_above, ...).
// Threading: not thread-safe; belongs to one check's state. Pure.
#pragma once

#include "config/config.h"
#include "davy/board.h"
#include "davy/probe.h"

namespace davy::health {

class LevelJudge {
 public:
  explicit LevelJudge(const config::Schedule& schedule)
      : levels_(schedule.levels), margin_(schedule.clear_margin) {}

  /// The outcome with the levels applied to it; `now` is the check's state before it. Errors pass
  /// through and change nothing.
  Outcome judge(Outcome seen, CheckStatus now);

 private:
  config::Levels levels_;
  double margin_;
  bool failed_by_level_ = false;  // the present failure
  bool warned_by_level_ = false;
};

/// How far `value` is on the good side of a level, as a share of it; of a level of 0, in its unit.
double clearance_above(double value, double level);  // the level is a most
double clearance_below(double value, double level);  // the level is a least

}  // namespace davy::health
