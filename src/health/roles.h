// Roles: from checks to the four answers that callers ask for.
//
// Why: a container runtime, a load balancer and a pipeline ask different questions of the same
// checks.
//   startup    has everything passed once? latches, until another instance answers
//   liveness   should this process be restarted? never because of a dependency
//   readiness  should traffic come here now? does not follow a failure that all peers share
//   deploy     may a release start here? strict: whatever is not known to be well fails
// Rules and their reasons: docs/checks.md. Pure: time and the peers' answers are handed in.
// Threading: not thread-safe; owned by whoever publishes the Board.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "davy/board.h"
#include "health/check_state.h"
#include "health/fail_open.h"
#include "health/liveness_budget.h"

namespace davy::health {

class Roles {
 public:
  Roles() = default;
  explicit Roles(config::FailOpen fail_open, config::LivenessBudget budget = {})
      : fail_open_(fail_open), budget_(budget) {}

  /// Marks the checks that fail open, and sets `roles`, `has_started` and `liveness_suppressed`.
  void evaluate(Board& board, const Census& peers, Moment now);
  /// A davy before this one had seen startup pass.
  void restore_started(const std::string& instance);

  void configure(const config::FailOpen& fail_open, const config::LivenessBudget& budget);
  /// Who was up when startup latched.
  const std::string& instance() const { return instance_; }

 private:
  FailOpenRule fail_open_;
  LivenessBudget budget_;
  bool started_ = false;  // startup has passed once
  std::string instance_;  // of whom; "" = no check can tell
};

/// The same without memory, from what the Board says: for views that leave checks out.
std::vector<RoleView> evaluate_roles(const Board& board);
/// Before the first look at any check: alive, and nothing else.
std::vector<RoleView> nothing_known();

/// What a check counts as now, staleness and muting included.
CheckStatus effective(const CheckView& check);
/// The same for a role: liveness does not go by staleness.
CheckStatus effective(const CheckView& check, Role role);
bool has_role(const CheckView& check, Role role);
/// The identity of the instance that answers, of all checks that can tell.
std::string instance_of(const std::vector<CheckView>& checks);

}  // namespace davy::health
