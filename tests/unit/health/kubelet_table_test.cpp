// The rows of the kubelet's prober tests, as promises of ours, on a clock moved by hand.
//
// From its unit tests, and where each is:
//   failure threshold, success threshold, flakes     the table of scripts below
//   prober error and panic leave the result as is    the same table, E; that an exception becomes
//                                                    E is in integration/scheduler_test.cpp
//   initial delay, initial value per role            "before the initial delay ..."
//   on hold after a failure until a new container    "a dead instance stays dead until another ..."
//   stop() ten times, result removed                 "a check may be removed ten times ..."
//   startup disables the others, then itself         "until startup has passed ..."
//   startup's failure threshold kills                "a startup that fails for good ..."; the kill
//                                                    is the kubelet's own, by its own count
//   no status, not found, waiting, terminated        not applicable: nobody tells us of containers;
//                                                    what we see of one is its `instance`
// From its end-to-end tests:
//   never ready before the delay, no restarts        "before the initial delay ..."
//   failing readiness, no restarts                   "readiness that always fails ..."
//   ready soon after startup at a period of 30 s     "ready within seconds of startup ..."
//   terminating: not ready, and liveness passes      "who is drained ..."
//   exec past its timeout, a lingering child         fault/exec_test.cpp
//   TCP passes although the application answers 500  fault/bad_peer_test.cpp
//   grace period of a probe, restart counts          not applicable: the kubelet's own; instead we
//                                                    have unit/health/liveness_budget_test.cpp
#include <doctest/doctest.h>

#include <string>

#include "health/roles.h"
#include "schedule/plan.h"
#include "unit/fakes/clock.h"
#include "unit/fakes/probe.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

/// Checks that are asked, and the roles that follow from them.
struct Bench {
  fakes::HandClock clock;
  schedule::Plan plan{1};
  health::Roles roles;
  bool is_draining = false;

  explicit Bench(const std::vector<config::Check>& checks) {
    plan.set_checks(checks, clock.moment());
  }

  /// Lets time pass in slots and answers every run at once. How often `counted` was asked.
  template <typename Answer>
  int pass(Duration time, const Answer& answer, const std::string& counted = "") {
    int asked = 0;
    for (Time end = clock.now() + time; clock.now() < end; clock.advance(schedule::kSlot)) {
      for (const schedule::Run& run : plan.advance(clock.moment())) {
        asked += run.check() == counted ? 1 : 0;
        plan.came_back(run.id, answer(run.check()), clock.moment());
      }
    }
    return asked;
  }
  /// One run, whenever it is due.
  CheckStatus next(const Outcome& outcome) {
    std::vector<schedule::Run> runs = plan.advance(clock.moment());
    while (runs.empty()) {
      clock.time = plan.next();
      runs = plan.advance(clock.moment());
    }
    plan.came_back(runs.at(0).id, outcome, clock.moment());
    return plan.views().at(0).status;
  }
  RoleView ask(Role role) {
    Board board;
    board.checks = plan.views();
    board.draining = is_draining;
    roles.evaluate(board, {}, clock.moment());
    return board.roles.at(static_cast<std::size_t>(role));
  }
};

Outcome outcome(char letter) {
  switch (letter) {
    case 'S': return Outcome::passed();
    case 'F': return Outcome::failed("refused", "refused");
    case 'E': return Outcome::unable("defect", "a probe threw");
    default: FAIL("no outcome has the letter " << letter);
  }
  return {};
}

char letter(CheckStatus status) {
  return status == CheckStatus::Pending ? '0' : status == CheckStatus::Fail ? '-' : '+';
}

config::Check with_thresholds(int failure, int success) {
  config::Check check = fakes::check("db");
  check.schedule.failure_threshold = failure;
  check.schedule.success_threshold = success;
  return check;
}

Outcome passes(const std::string&) {
  return Outcome::passed();
}
Outcome fails(const std::string&) {
  return Outcome::failed("refused", "refused");
}

}  // namespace

TEST_CASE("results, thresholds and the state after each, row by row") {
  struct Row {
    std::string what;
    int failure, success;
    const char* results;  // S success, F failure, E the prober's own error
    const char* states;   // + passes, - fails, 0 not known
  };
  const Row rows[] = {
      {"one success is known at once", 1, 1, "S", "+"},
      {"one failure at a threshold of one", 1, 1, "F", "-"},
      {"a threshold of one alternates", 1, 1, "SFSF", "+-+-"},
      {"two failures keep, the third flips, and the cycle repeats", 3, 1, "SSSFFFSSSFFF",
       "+++++-+++++-"},
      {"a success in between begins the count anew", 3, 1, "SFFSFFSFFF", "+++++++++-"},
      {"failures only: not known until the threshold, never up", 3, 1, "FFFF", "00--"},
      {"a first success is not held back by the success threshold", 1, 3, "S", "+"},
      {"the success threshold, after a failure", 1, 3, "FSSS", "---+"},
      {"one flake begins the run of successes anew", 1, 3, "FSSFSSS", "------+"},
      {"both thresholds", 2, 2, "SFSFFSFSS", "++++----+"},
      {"an error leaves a success", 1, 1, "SEEE", "++++"},
      {"an error leaves a failure", 1, 1, "FEEE", "----"},
      {"an error leaves what is not known", 3, 1, "EEEE", "0000"},
      {"an error is no failure in the count, and no success either", 3, 1, "SFEFEF", "+++++-"},
      {"an error does not break a run of successes", 1, 2, "FSES", "---+"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    Bench b({with_thresholds(row.failure, row.success)});
    std::string states;
    for (const char* result = row.results; *result != '\0'; ++result)
      states += letter(b.next(outcome(*result)));
    CHECK(states == row.states);
  }
}

TEST_CASE("before the initial delay nothing is asked, nothing is ready and nothing restarts") {
  struct Row {
    Role role;
    bool is_ok_at_first;
  };
  for (Row row : {Row{Role::Liveness, true}, Row{Role::Readiness, false}, Row{Role::Startup, false},
                  Row{Role::Deploy, false}}) {
    Role role = row.role;
    CAPTURE(word(role));
    config::Check app = fakes::check("app", {role});
    app.schedule.initial_delay = 30s;
    Bench b({app});
    for (int i = 0; i < 29; ++i) {
      CHECK(b.pass(1s, fails, "app") == 0);
      CHECK(b.ask(role).ok == row.is_ok_at_first);
      CHECK(b.ask(Role::Liveness).ok);
    }
    CHECK(b.pass(2s, passes, "app") == 1);
    CHECK(b.ask(role).ok);
  }
}

TEST_CASE("readiness that always fails is never ready and restarts nothing") {
  Bench b({fakes::check("db", {Role::Readiness}), fakes::check("app", {Role::Liveness})});
  for (int i = 0; i < 300; ++i) {
    b.pass(1s, [](const std::string& name) { return outcome(name == "db" ? 'F' : 'S'); });
    CHECK_FALSE(b.ask(Role::Readiness).ok);
    CHECK(b.ask(Role::Liveness).ok);
  }
}

TEST_CASE("until startup has passed the others do not count, and afterwards startup does not") {
  Bench b({fakes::check("boot", {Role::Startup}), fakes::check("app", {Role::Liveness}),
           fakes::check("db", {Role::Readiness})});
  auto boot_fails = [](const std::string& name) { return outcome(name == "boot" ? 'F' : 'S'); };
  auto app_fails = [](const std::string& name) { return outcome(name == "app" ? 'F' : 'S'); };
  b.pass(60s, [](const std::string& name) { return outcome(name == "db" ? 'S' : 'F'); });
  CHECK(b.ask(Role::Liveness).ok);
  CHECK_FALSE(b.ask(Role::Readiness).ok);
  b.pass(60s, passes);
  CHECK(b.ask(Role::Startup).ok);
  CHECK(b.ask(Role::Readiness).ok);
  b.pass(60s, boot_fails);
  CHECK(b.ask(Role::Startup).ok);
  CHECK(b.ask(Role::Readiness).ok);
  b.pass(60s, app_fails);
  CHECK_FALSE(b.ask(Role::Liveness).ok);
}

TEST_CASE("a startup that fails for good says so, and leaves the restart to whoever counts") {
  Bench b({fakes::check("boot", {Role::Startup}), fakes::check("app", {Role::Liveness})});
  for (int i = 0; i < 100; ++i) {
    b.pass(10s, fails);
    CHECK_FALSE(b.ask(Role::Startup).ok);
    CHECK(b.ask(Role::Liveness).ok);
  }
  CHECK(b.ask(Role::Startup).status == CheckStatus::Fail);
}

TEST_CASE("a dead instance stays dead until another one answers, which must start up anew") {
  Bench b({fakes::check("app", {Role::Liveness}), fakes::check("boot", {Role::Startup})});
  std::string instance = "pid 7";
  bool is_dead = false;
  bool has_booted = true;
  auto answer = [&](const std::string& name) {
    Outcome seen = outcome(name == "app" ? (is_dead ? 'F' : 'S') : (has_booted ? 'S' : 'F'));
    if (name == "app") seen.instance = instance;
    return seen;
  };
  b.pass(30s, answer);
  CHECK(b.ask(Role::Liveness).ok);
  is_dead = true;
  b.pass(60s, answer);
  for (int i = 0; i < 10; ++i) {
    b.pass(10s, answer);
    CHECK_FALSE(b.ask(Role::Liveness).ok);  // on hold: nothing but another instance changes that
  }
  instance = "pid 8";
  has_booted = false;
  b.pass(30s, answer);
  CHECK_FALSE(b.ask(Role::Startup).ok);
  CHECK(b.ask(Role::Liveness).ok);  // not killed for what the one before it was
  is_dead = false;
  has_booted = true;
  b.pass(30s, answer);
  CHECK(b.ask(Role::Startup).ok);
  CHECK(b.ask(Role::Liveness).ok);
}

TEST_CASE("a check may be removed ten times, also while it runs, and nothing of it is left") {
  Bench b({fakes::check("db")});
  schedule::Run run = b.plan.advance(b.clock.moment()).at(0);
  for (int i = 0; i < 10; ++i) {
    b.plan.set_checks({}, b.clock.moment());
    CHECK(b.plan.views().empty());
    CHECK(b.plan.next() == Time::never());
    b.plan.came_back(run.id, outcome('F'), b.clock.moment());
  }
  b.plan.take_news();
  b.plan.set_checks({fakes::check("db")}, b.clock.moment());
  CHECK(b.plan.views().at(0).status == CheckStatus::Pending);
  CHECK(b.plan.views().at(0).consecutive_failures == 0);
}

TEST_CASE("ready within seconds of startup although readiness has a period of 30 s") {
  config::Check boot = fakes::check("boot", {Role::Startup});
  config::Check db = fakes::check("db", {Role::Readiness});
  db.schedule.period = db.schedule.period_fast = db.schedule.period_down = 30s;
  db.schedule.stale_after = 92s;
  db.schedule.failure_threshold = 1;
  Bench b({boot, db});
  bool is_up = false;
  auto answer = [&](const std::string&) { return outcome(is_up ? 'S' : 'F'); };
  b.pass(31s, answer);  // readiness was asked a second ago, and failed
  CHECK_FALSE(b.ask(Role::Readiness).ok);
  is_up = true;
  Time began = b.clock.now();
  while (!b.ask(Role::Startup).ok) b.pass(100ms, answer);
  CHECK(b.clock.now() - began < 20s);
  began = b.clock.now();
  // Its threshold is two successes after a failure: one at once, the other a period later.
  b.pass(100ms, answer);
  CHECK(b.plan.views().at(1).consecutive_successes == 1);
}

TEST_CASE("who is drained is not ready at once, and alive until the end whatever its checks say") {
  Bench b({fakes::check("app", {Role::Liveness, Role::Readiness})});
  b.pass(30s, passes);
  CHECK(b.ask(Role::Readiness).ok);
  b.is_draining = true;
  CHECK_FALSE(b.ask(Role::Readiness).ok);
  for (int i = 0; i < 30; ++i) {
    b.pass(10s, fails);
    CHECK(b.ask(Role::Liveness).ok);
    CHECK(b.ask(Role::Startup).ok);
    CHECK_FALSE(b.ask(Role::Readiness).ok);
  }
}

TEST_CASE("a machine that was suspended has stale results when it wakes, not green ones") {
  Bench b({fakes::check("db", {Role::Readiness, Role::Deploy})});
  b.pass(30s, passes);
  CHECK(b.ask(Role::Readiness).ok);
  b.clock.advance(8h);  // the steady clock counts the sleep
  std::vector<schedule::Run> runs = b.plan.advance(b.clock.moment());
  CHECK(b.plan.views().at(0).stale);
  CHECK_FALSE(b.ask(Role::Readiness).ok);
  CHECK_FALSE(b.ask(Role::Deploy).ok);
  REQUIRE(runs.size() == 1);  // one, not the thousands that were missed
  b.plan.came_back(runs[0].id, Outcome::passed(), b.clock.moment());
  CHECK(b.ask(Role::Readiness).ok);
}

TEST_CASE("a run that was out while the machine slept is late, and its answer no longer counts") {
  Bench b({fakes::check("db")});
  b.pass(10ms, passes);
  b.clock.time = b.plan.next();
  std::vector<schedule::Run> runs = b.plan.advance(b.clock.moment());
  REQUIRE(runs.size() == 1);
  b.clock.advance(8h);
  b.plan.advance(b.clock.moment());
  CHECK(b.plan.views().at(0).reason == "timeout");
  int failures = b.plan.views().at(0).consecutive_failures;
  CHECK(failures <= 2);  // not one for each period that it slept
  b.plan.came_back(runs[0].id, Outcome::passed(), b.clock.moment());
  CHECK(b.plan.views().at(0).consecutive_failures == failures);
  CHECK_FALSE(b.plan.views().at(0).stuck);
}
