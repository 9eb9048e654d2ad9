#include "health/roles.h"

#include <algorithm>

namespace davy::health {
namespace {

/// What one check means for one role.
CheckStatus counts_as(const CheckView& check, Role role) {
  CheckStatus status = effective(check);
  if (role == Role::Deploy && (check.blocks_deploy || check.stale)) status = CheckStatus::Fail;
  // Nothing is known yet: no reason to restart, none to send traffic.
  if (role == Role::Liveness && status == CheckStatus::Pending) status = CheckStatus::Pass;
  switch (check.severity) {
    case Severity::Critical: return status;
    case Severity::Degrading:
      return status == CheckStatus::Pass || status == CheckStatus::Pending ? CheckStatus::Pass
                                                                           : CheckStatus::Warn;
    case Severity::Info: return CheckStatus::Pass;
  }
  return status;
}

int badness(CheckStatus status) {
  switch (status) {
    case CheckStatus::Pass: return 0;
    case CheckStatus::Warn: return 1;
    case CheckStatus::Pending: return 2;
    case CheckStatus::Fail: return 3;
  }
  return 3;
}

RoleView worst_of(const std::vector<CheckView>& checks, Role role) {
  RoleView view;
  view.role = role;
  for (const CheckView& check : checks) {
    if (!has_role(check, role)) continue;
    CheckStatus status = counts_as(check, role);
    if (badness(status) > badness(view.status)) view.status = status;
    if (badness(status) >= badness(CheckStatus::Pending)) {
      view.reason += (view.reason.empty() ? "" : ", ") + check.name;
    }
  }
  view.ok = badness(view.status) < badness(CheckStatus::Pending);
  return view;
}

void answer(RoleView& view, CheckStatus status, std::string reason) {
  view.status = status;
  view.ok = status == CheckStatus::Pass || status == CheckStatus::Warn;
  view.reason = std::move(reason);
}

}  // namespace

CheckStatus effective(const CheckView& check) {
  if (!check.stale) return check.status;
  switch (check.when_stale) {
    case WhenStale::Fail: return CheckStatus::Fail;
    case WhenStale::Warn:
      return check.status == CheckStatus::Fail ? CheckStatus::Fail : CheckStatus::Warn;
    case WhenStale::Hold: return check.status;
  }
  return CheckStatus::Fail;
}

bool has_role(const CheckView& check, Role role) {
  return std::find(check.roles.begin(), check.roles.end(), role) != check.roles.end();
}

std::vector<RoleView> Roles::evaluate(const std::vector<CheckView>& checks, bool draining) {
  started_ = started_ || worst_of(checks, Role::Startup).ok;
  return evaluate_roles(checks, draining, started_);
}

std::vector<RoleView> evaluate_roles(const std::vector<CheckView>& checks, bool draining,
                                     bool has_started) {
  std::vector<RoleView> views;
  for (Role role : kRoles) views.push_back(worst_of(checks, role));
  RoleView& startup = views[static_cast<std::size_t>(Role::Startup)];
  RoleView& liveness = views[static_cast<std::size_t>(Role::Liveness)];
  RoleView& readiness = views[static_cast<std::size_t>(Role::Readiness)];
  RoleView& deploy = views[static_cast<std::size_t>(Role::Deploy)];

  if (has_started) {
    answer(startup, CheckStatus::Pass, "");
  } else {
    answer(readiness, CheckStatus::Pending, "startup has not passed");
    answer(liveness, CheckStatus::Pass, "");
  }
  if (draining) {
    // Out of rotation at once, but not restarted while in-flight requests finish.
    answer(startup, CheckStatus::Pass, "");
    answer(liveness, CheckStatus::Pass, "");
    answer(readiness, CheckStatus::Fail, "draining");
    answer(deploy, CheckStatus::Fail, "draining");
  }
  return views;
}

std::vector<RoleView> nothing_known() {
  std::vector<RoleView> views;
  for (Role role : kRoles) {
    RoleView& view = views.emplace_back();
    view.role = role;
    if (role != Role::Liveness) answer(view, CheckStatus::Pending, "starting");
  }
  return views;
}

}  // namespace davy::health
