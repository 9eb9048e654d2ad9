#include "health/roles.h"

#include <fmt/format.h>
#include <algorithm>

namespace davy::health {
namespace {

/// What one check means for one role.
CheckStatus counts_as(const CheckView& check, Role role) {
  CheckStatus status = effective(check, role);
  if (check.muted) return status;
  bool is_unproven = check.stale || check.restored || !check.waits_for.empty();
  if (role == Role::Deploy && (check.blocks_deploy || is_unproven)) status = CheckStatus::Fail;
  // Nothing is known yet: no reason to restart, none to send traffic.
  if (role == Role::Liveness && status == CheckStatus::Pending) status = CheckStatus::Pass;
  if (role == Role::Readiness) {
    if (check.flapping && check.worst_while_flapping == CheckStatus::Fail)
      status = CheckStatus::Fail;
    if (check.fail_open && status == CheckStatus::Fail) status = CheckStatus::Warn;
  }
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
  if (check.muted) return CheckStatus::Pass;
  if (!check.stale) return check.status;
  switch (check.when_stale) {
    case WhenStale::Fail: return CheckStatus::Fail;
    case WhenStale::Warn:
      return check.status == CheckStatus::Fail ? CheckStatus::Fail : CheckStatus::Warn;
    case WhenStale::Hold: return check.status;
  }
  return CheckStatus::Fail;
}

CheckStatus effective(const CheckView& check, Role role) {
  // Stale is what we could not ask, and that is our own trouble: a hung probe counts as failed and
  // is not stale. Our trouble must not be able to restart anything.
  bool holds = role == Role::Liveness && check.stale && !check.muted;
  return holds ? check.status : effective(check);
}

bool has_role(const CheckView& check, Role role) {
  return std::find(check.roles.begin(), check.roles.end(), role) != check.roles.end();
}

std::string instance_of(const std::vector<CheckView>& checks) {
  std::string all;
  for (const CheckView& check : checks) {
    if (check.instance.empty()) continue;
    all += (all.empty() ? "" : "; ") + check.instance;
  }
  return all;
}

void Roles::evaluate(Board& board, const Census& peers, Moment now) {
  fail_open_.apply(board.checks, peers, now.steady);
  std::string instance = instance_of(board.checks);
  if (started_ && !instance.empty() && instance != instance_) started_ = instance_.empty();
  if (started_) instance_ = instance.empty() ? instance_ : instance;
  if (!started_ && worst_of(board.checks, Role::Startup).ok) {
    started_ = true;
    instance_ = instance;
  }
  board.has_started = started_;
  board.liveness_suppressed = false;
  board.roles = evaluate_roles(board);
  bool is_dead = !board.roles[static_cast<std::size_t>(Role::Liveness)].ok;
  board.liveness_suppressed = budget_.suppresses(is_dead, instance, now.steady);
  if (board.liveness_suppressed) board.roles = evaluate_roles(board);
  RoleView& readiness = board.roles[static_cast<std::size_t>(Role::Readiness)];
  for (const CheckView& check : board.checks) {
    if (!readiness.ok || !check.fail_open || !has_role(check, Role::Readiness)) continue;
    readiness.note += fmt::format("{}{} ({})", readiness.note.empty() ? "fail open: " : ", ",
                                  check.name, fail_open_.why(check.name));
  }
}

void Roles::restore_started(const std::string& instance) {
  started_ = true;
  instance_ = instance;
}

void Roles::configure(const config::FailOpen& fail_open, const config::LivenessBudget& budget) {
  fail_open_.configure(fail_open);
  budget_.configure(budget);
}

std::vector<RoleView> evaluate_roles(const Board& board) {
  std::vector<RoleView> views;
  for (Role role : kRoles) views.push_back(worst_of(board.checks, role));
  RoleView& startup = views[static_cast<std::size_t>(Role::Startup)];
  RoleView& liveness = views[static_cast<std::size_t>(Role::Liveness)];
  RoleView& readiness = views[static_cast<std::size_t>(Role::Readiness)];
  RoleView& deploy = views[static_cast<std::size_t>(Role::Deploy)];

  if (board.has_started) {
    answer(startup, CheckStatus::Pass, "");
  } else {
    answer(readiness, CheckStatus::Pending, "startup has not passed");
    answer(liveness, CheckStatus::Pass, "");
  }
  if (board.liveness_suppressed) {
    std::string failing = liveness.reason;
    answer(liveness, CheckStatus::Warn, "");
    liveness.note = "liveness suppressed: restarts do not help (" + failing + ")";
  }
  if (board.draining) {
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
