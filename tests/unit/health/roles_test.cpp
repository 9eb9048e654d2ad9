#include "health/roles.h"

#include <doctest/doctest.h>

using namespace davy;

namespace {

CheckView check(std::string name, CheckStatus status, std::vector<Role> roles,
                Severity severity = Severity::Critical) {
  CheckView v;
  v.name = std::move(name);
  v.status = status;
  v.roles = std::move(roles);
  v.severity = severity;
  return v;
}

Board board_of(std::vector<CheckView> checks, bool draining = false) {
  Board board;
  board.checks = std::move(checks);
  board.draining = draining;
  return board;
}

RoleView at(const Board& board, Role role) {
  return board.roles[static_cast<std::size_t>(role)];
}

RoleView ask(Role role, const std::vector<CheckView>& checks, bool draining = false) {
  Board board = board_of(checks, draining);
  health::Roles().evaluate(board, {}, {});
  return at(board, role);
}

}  // namespace

TEST_CASE("a role without checks passes") {
  for (Role role : kRoles) CHECK(ask(role, {}).ok);
}

TEST_CASE("readiness is not ready while a check has no result yet") {
  RoleView view = ask(Role::Readiness, {check("db", CheckStatus::Pending, {Role::Readiness})});
  CHECK_FALSE(view.ok);
  CHECK(view.reason == "db");
}

TEST_CASE("liveness does not restart for what is not known yet") {
  CHECK(ask(Role::Liveness, {check("app", CheckStatus::Pending, {Role::Liveness})}).ok);
}

TEST_CASE("a failing check of another role does not matter") {
  CHECK(ask(Role::Liveness, {check("db", CheckStatus::Fail, {Role::Readiness})}).ok);
}

TEST_CASE("severity decides what a failure means") {
  CHECK_FALSE(ask(Role::Readiness, {check("db", CheckStatus::Fail, {Role::Readiness})}).ok);
  RoleView degraded = ask(Role::Readiness,
                          {check("db", CheckStatus::Fail, {Role::Readiness}, Severity::Degrading)});
  CHECK(degraded.ok);
  CHECK(degraded.status == CheckStatus::Warn);
  CHECK(ask(Role::Readiness, {check("db", CheckStatus::Fail, {Role::Readiness}, Severity::Info)})
            .status == CheckStatus::Pass);
}

TEST_CASE("a stale pass fails, warns or holds as configured, and always fails a deployment") {
  CheckView stale = check("db", CheckStatus::Pass, {Role::Readiness, Role::Deploy});
  stale.stale = true;
  CHECK_FALSE(ask(Role::Readiness, {stale}).ok);
  stale.when_stale = WhenStale::Warn;
  CHECK(ask(Role::Readiness, {stale}).status == CheckStatus::Warn);
  stale.when_stale = WhenStale::Hold;
  CHECK(ask(Role::Readiness, {stale}).status == CheckStatus::Pass);
  CHECK_FALSE(ask(Role::Deploy, {stale}).ok);
}

TEST_CASE("a running migration leaves traffic alone and stops a deployment") {
  CheckView marker = check("schema", CheckStatus::Warn, {Role::Readiness, Role::Deploy});
  marker.blocks_deploy = true;
  CHECK(ask(Role::Readiness, {marker}).ok);
  CHECK_FALSE(ask(Role::Deploy, {marker}).ok);
}

TEST_CASE("draining leaves rotation at once and restarts nothing") {
  std::vector<CheckView> checks{check("app", CheckStatus::Fail, {Role::Liveness, Role::Readiness})};
  CHECK_FALSE(ask(Role::Readiness, {}, true).ok);
  CHECK(ask(Role::Readiness, {}, true).reason == "draining");
  CHECK_FALSE(ask(Role::Deploy, {}, true).ok);
  CHECK(ask(Role::Liveness, checks, true).ok);
}

TEST_CASE("startup gates readiness and liveness, and latches") {
  health::Roles roles;
  Board board = board_of({check("boot", CheckStatus::Fail, {Role::Startup}),
                          check("app", CheckStatus::Fail, {Role::Liveness})});
  roles.evaluate(board, {}, {});
  CHECK_FALSE(at(board, Role::Startup).ok);
  CHECK_FALSE(at(board, Role::Readiness).ok);
  CHECK(at(board, Role::Liveness).ok);  // not restarted while it starts
  board.checks[0].status = CheckStatus::Pass;
  roles.evaluate(board, {}, {});
  CHECK(at(board, Role::Readiness).ok);
  board.checks[0].status = CheckStatus::Fail;
  roles.evaluate(board, {}, {});
  CHECK(at(board, Role::Startup).ok);
  CHECK_FALSE(at(board, Role::Liveness).ok);
}

TEST_CASE("another instance must start up anew") {
  health::Roles roles;
  Board board = board_of({check("app", CheckStatus::Pass, {Role::Startup})});
  board.checks[0].instance = "pid 7 since 100";
  roles.evaluate(board, {}, {});
  CHECK(at(board, Role::Startup).ok);
  board.checks[0].instance = "pid 8 since 200";
  board.checks[0].status = CheckStatus::Pending;
  roles.evaluate(board, {}, {});
  CHECK_FALSE(at(board, Role::Startup).ok);
  CHECK_FALSE(at(board, Role::Readiness).ok);
  CHECK(at(board, Role::Liveness).ok);
  board.checks[0].status = CheckStatus::Pass;
  roles.evaluate(board, {}, {});
  CHECK(at(board, Role::Readiness).ok);
}

TEST_CASE("a startup passed before davy's own restart stays passed for the same instance") {
  health::Roles roles;
  roles.restore_started("pid 7 since 100");
  Board board = board_of({check("app", CheckStatus::Pending, {Role::Startup})});
  roles.evaluate(board, {}, {});
  CHECK(at(board, Role::Startup).ok);
  board.checks[0].instance = "pid 8 since 200";
  roles.evaluate(board, {}, {});
  CHECK_FALSE(at(board, Role::Startup).ok);
}

TEST_CASE("davy's own inability to ask never restarts anything") {
  CheckView app = check("app", CheckStatus::Pass, {Role::Liveness, Role::Readiness});
  app.stale = true;
  CHECK(ask(Role::Liveness, {app}).ok);
  CHECK_FALSE(ask(Role::Readiness, {app}).ok);
  app.status = CheckStatus::Fail;  // that is what was seen last
  CHECK_FALSE(ask(Role::Liveness, {app}).ok);
}

TEST_CASE("a muted check counts for no role until it is unmuted") {
  CheckView db = check("db", CheckStatus::Fail, {Role::Readiness, Role::Deploy});
  db.muted = Mute{"ann", "known", 0};
  CHECK(ask(Role::Readiness, {db}).ok);
  CHECK(ask(Role::Deploy, {db}).ok);
  db.muted.reset();
  CHECK_FALSE(ask(Role::Readiness, {db}).ok);
}

TEST_CASE("while a check flaps, readiness counts the worst of it") {
  CheckView db = check("db", CheckStatus::Pass, {Role::Readiness, Role::Liveness});
  db.flapping = true;
  CHECK(ask(Role::Readiness, {db}).ok);
  db.worst_while_flapping = CheckStatus::Fail;
  CHECK_FALSE(ask(Role::Readiness, {db}).ok);
  CHECK(ask(Role::Liveness, {db}).ok);
}

TEST_CASE("what was known before a restart serves readiness and proves nothing to a deployment") {
  CheckView db = check("db", CheckStatus::Pass, {Role::Readiness, Role::Deploy});
  db.restored = true;
  CHECK(ask(Role::Readiness, {db}).ok);
  CHECK_FALSE(ask(Role::Deploy, {db}).ok);
}

TEST_CASE("a check that waits for another proves nothing to a deployment") {
  CheckView lag = check("lag", CheckStatus::Pass, {Role::Readiness, Role::Deploy});
  lag.waits_for = "db";
  CHECK(ask(Role::Readiness, {lag}).ok);
  CHECK_FALSE(ask(Role::Deploy, {lag}).ok);
}

TEST_CASE("adding an info check never changes a role") {
  for (CheckStatus status :
       {CheckStatus::Pending, CheckStatus::Pass, CheckStatus::Warn, CheckStatus::Fail}) {
    for (CheckStatus other :
         {CheckStatus::Pending, CheckStatus::Pass, CheckStatus::Warn, CheckStatus::Fail}) {
      for (Role role : kRoles) {
        std::vector<CheckView> checks{check("a", other, {role})};
        RoleView without = ask(role, checks);
        checks.push_back(check("b", status, {role}, Severity::Info));
        RoleView with = ask(role, checks);
        CHECK(without.ok == with.ok);
        CHECK(without.status == with.status);
      }
    }
  }
}
