// Roles: from checks to the four answers that callers ask for.
//
// Why: a container runtime, a load balancer and a pipeline ask different questions of the same
// checks.
//   startup    has everything passed once? latches
//   liveness   should this process be restarted? never because of a dependency
//   readiness  should traffic come here now?
//   deploy     may a release start here? strict: whatever is not known to be well fails
// Threading: not thread-safe; owned by whoever publishes the Board.
#pragma once

#include <vector>

#include "davy/board.h"

namespace davy::health {

class Roles {
 public:
  /// One view per kRoles, in that order.
  std::vector<RoleView> evaluate(const std::vector<CheckView>& checks, bool draining);

 private:
  bool started_ = false;  // startup has passed once
};

/// The same with startup's latch given: for views that leave checks out.
std::vector<RoleView> evaluate_roles(const std::vector<CheckView>& checks, bool draining,
                                     bool has_started);
/// Before the first look at any check: alive, and nothing else.
std::vector<RoleView> nothing_known();

/// What a check counts as now, staleness included.
CheckStatus effective(const CheckView& check);
bool has_role(const CheckView& check, Role role);

}  // namespace davy::health
