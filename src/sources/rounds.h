// Rounds: the answers of all targets, round by round -> blocks.
//
// Why: both versions of a block must cover the same span, or a slow minute of the one is compared
// with a quick one of the other. So deltas are committed only in a round in which every live target
// answered, for both versions together; otherwise the next block covers the longer span
// (Lindon-Malek style tests need this alignment: statistics, section 2). A target that is new, or
// back, begins to count at a commit, never within a span.
// A target that failed 3 rounds in a row is no longer waited for. A side without any is blind.
// Where somebody else does the asking (a Prometheus), he says which targets are to be waited for.
// Saved and loaded it goes on where it was: the next block covers the time in between as well. Not
// after a reboot of the machine: its clocks then disagree about how long ago that was.
// Threading: not thread-safe; owned by the deployment's thread. No I/O: tests drive it with texts.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "davy/source.h"
#include "sources/counters.h"
#include "sources/reading.h"
#include "sources/tally.h"

namespace davy::source {

/// One target in one round.
struct Answer {
  std::string key;   // the same target, the same key
  std::string name;  // for messages: "canary http://v2:9102/metrics"
  std::string pod;   // for PodCounts; "" when the target is not one instance of one version
  std::vector<Side> sides;
  Result<Reading> reading;
  // Readings between the last round's and this one, in their order, where something begins anew.
  std::vector<Reading> earlier{};
  bool is_waited_for = true;    // while it does not answer
  bool counts_requests = true;  // false: it tells of the deployment's own metrics only
};

class Rounds {
 public:
  /// `one_version` = all targets are the canary's, and that is not worth a word.
  explicit Rounds(const Rules& rules, bool one_version = false);

  /// REQUIRES: `answers` holds every target once; those of earlier rounds that are not in it are
  /// forgotten. `now` does not go back.
  /// `canary_alone` = V1 may be gone: then a block needs V2 only.
  Collected finish_round(const std::vector<Answer>& answers, Time now, WallMillis wall,
                         bool canary_alone = false);

  /// What was saved under other rules, or makes no sense, makes the archive fail.
  void archive(Archive& state);

 private:
  struct Target {
    TargetCounters counters;
    bool is_counting = false;  // it has a base: what it adds belongs to the present span
    int failures = 0;          // in a row
    void archive(Archive& state);
  };

  struct Round;
  void check_clocks(Time now, WallMillis wall);
  void see(const Answer& answer, Round& round);
  void judge_sides(const std::vector<Answer>& answers, Round& round) const;
  std::optional<Block> commit(const std::vector<Answer>& answers, Round& round);
  Portion portion_of(const Answer& answer, Side side) const;

  const std::string rules_text_;
  const std::string counter_names_;
  const std::string error_labels_;
  const bool one_version_;
  const std::vector<Rules::Value> values_;
  std::map<std::string, Target> targets_;
  std::optional<Time> span_start_;  // of the block that is being counted
  Time now_;                        // of the last round
  WallMillis wall_ = 0;
  bool is_loaded_ = false;  // and has finished no round since
};

}  // namespace davy::source
