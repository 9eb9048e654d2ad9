#include "health/fail_open.h"

#include <doctest/doctest.h>
#include <random>

#include "health/roles.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

CheckView failing(Scope scope = Scope::Shared) {
  CheckView db;
  db.name = "db";
  db.status = CheckStatus::Fail;
  db.scope = scope;
  db.roles = {Role::Startup, Role::Readiness, Role::Deploy};
  db.has_passed = true;
  return db;
}

/// `sharing` of `all` peers see the same failure.
health::Census census(int all, int sharing) {
  health::Census census;
  for (int i = 0; i < all; ++i) {
    health::Census::Peer peer{"peer-" + std::to_string(i), {}};
    if (i < sharing) peer.failing.insert("db");
    census.peers.push_back(peer);
  }
  return census;
}

struct Bench {
  health::Roles roles{config::FailOpen{}};
  Board board;
  Time now{1h};

  explicit Bench(std::vector<CheckView> checks = {failing()}) {
    board.checks = std::move(checks);
    board.has_started = true;
    roles.restore_started("");
  }
  RoleView ask(Role role, const health::Census& peers) {
    roles.evaluate(board, peers, {now, 0});
    return board.roles[static_cast<std::size_t>(role)];
  }
};

}  // namespace

TEST_CASE("readiness stays when the peers share a shared dependency's failure, and says so") {
  Bench b;
  RoleView view = b.ask(Role::Readiness, census(11, 11));
  CHECK(view.ok);
  CHECK(view.status == CheckStatus::Warn);
  CHECK(view.note == "fail open: db (11 of 11 peers share it)");
}

TEST_CASE("readiness fails when it is only here") {
  Bench b;
  CHECK_FALSE(b.ask(Role::Readiness, census(11, 0)).ok);
  CHECK_FALSE(b.ask(Role::Readiness, census(11, 5)).ok);
  CHECK(b.ask(Role::Readiness, census(11, 6)).ok);
}

TEST_CASE("readiness stays when too few peers answer to tell") {
  Bench b;
  CHECK(b.ask(Role::Readiness, census(0, 0)).ok);
  CHECK(b.ask(Role::Readiness, census(2, 0)).ok);
  CHECK_FALSE(b.ask(Role::Readiness, census(3, 0)).ok);
}

TEST_CASE("one lying peer decides nothing") {
  Bench b;
  CHECK_FALSE(b.ask(Role::Readiness, census(4, 1)).ok);
  CHECK(b.ask(Role::Readiness, census(4, 3)).ok);
}

TEST_CASE("it is not held for ever") {
  Bench b;
  CHECK(b.ask(Role::Readiness, census(5, 5)).ok);
  b.now = b.now + 10min - 1s;
  CHECK(b.ask(Role::Readiness, census(5, 5)).ok);
  b.now = b.now + 1s;
  CHECK_FALSE(b.ask(Role::Readiness, census(5, 5)).ok);
  b.board.checks[0].status = CheckStatus::Pass;
  CHECK(b.ask(Role::Readiness, census(5, 5)).ok);
  b.board.checks[0].status = CheckStatus::Fail;
  CHECK(b.ask(Role::Readiness, census(5, 5)).ok);  // a new outage, held anew
}

TEST_CASE("a stale result of a shared dependency fails open like a failure") {
  CheckView db = failing();
  db.status = CheckStatus::Pass;
  db.stale = true;
  Bench b({db});
  CHECK(b.ask(Role::Readiness, census(5, 5)).ok);
  CHECK_FALSE(b.ask(Role::Readiness, census(5, 0)).ok);
}

TEST_CASE("never for a local check, a check that never passed, a drain, startup or deploy") {
  health::Census all = census(11, 11);
  CHECK_FALSE(Bench({failing(Scope::Local)}).ask(Role::Readiness, all).ok);
  CheckView never = failing();
  never.has_passed = false;
  CHECK_FALSE(Bench({never}).ask(Role::Readiness, all).ok);
  CHECK_FALSE(Bench().ask(Role::Deploy, all).ok);
  Bench draining;
  draining.board.draining = true;
  CHECK_FALSE(draining.ask(Role::Readiness, all).ok);
  Bench starting;
  starting.roles = health::Roles(config::FailOpen{});
  CHECK_FALSE(starting.ask(Role::Startup, all).ok);
}

TEST_CASE("fail open never touches drain, local checks or deploy, whatever the board looks like") {
  std::mt19937 random(17);
  const CheckStatus kAll[] = {CheckStatus::Pending, CheckStatus::Pass, CheckStatus::Warn,
                              CheckStatus::Fail};
  for (int round = 0; round < 3000; ++round) {
    std::vector<CheckView> checks;
    for (std::size_t i = 0; i < 1 + random() % 4; ++i) {
      CheckView check = failing(random() % 2 ? Scope::Shared : Scope::Local);
      check.name = "c" + std::to_string(i);
      check.status = kAll[random() % 4];
      check.has_passed = random() % 2;
      check.stale = random() % 5 == 0;
      check.flapping = random() % 5 == 0;
      check.severity = static_cast<Severity>(random() % 3);
      checks.push_back(check);
    }
    Bench open(checks);
    open.board.draining = random() % 4 == 0;
    Bench closed = open;
    health::Census peers = census(static_cast<int>(random() % 6), static_cast<int>(random() % 6));
    health::Census nobody_shares = census(5, 0);
    CHECK(open.ask(Role::Deploy, peers).ok == closed.ask(Role::Deploy, nobody_shares).ok);
    RoleView ready = open.ask(Role::Readiness, peers);
    RoleView strict = closed.ask(Role::Readiness, nobody_shares);
    if (strict.ok) CHECK(ready.ok);
    if (open.board.draining) CHECK_FALSE(ready.ok);
    for (const CheckView& check : open.board.checks) {
      if (check.fail_open) CHECK((check.scope == Scope::Shared && check.has_passed));
    }
  }
}

TEST_CASE("excluding a check never turns a pass into a failure") {
  std::mt19937 random(23);
  const CheckStatus kAll[] = {CheckStatus::Pending, CheckStatus::Pass, CheckStatus::Warn,
                              CheckStatus::Fail};
  for (int round = 0; round < 3000; ++round) {
    std::vector<CheckView> checks;
    for (int i = 0; i < 4; ++i) {
      CheckView check = failing(random() % 2 ? Scope::Shared : Scope::Local);
      check.name = "c" + std::to_string(i);
      check.status = kAll[random() % 4];
      checks.push_back(check);
    }
    Bench b(checks);
    for (Role role : kRoles) {
      RoleView before = b.ask(role, census(5, 3));
      Board without = b.board;
      without.checks.erase(without.checks.begin() + static_cast<std::ptrdiff_t>(random() % 4));
      RoleView after = health::evaluate_roles(without)[static_cast<std::size_t>(role)];
      if (before.ok) CHECK(after.ok);
    }
  }
}
