// The rows of Envoy's health checker tests, as promises of ours, on a clock moved by hand.
//
//   first success counts at once                     the table of scripts below
//   bad status at once, retriable and network later  the same table: H is hard, F soft
//   a change that is pending uses the edge interval  "while it is about to change ..."
//   timeout, disconnect, late answer ignored         "an answer after the deadline ..."
//   host removed inside its own callback             "a check that is dropped while ..."
//   zero interval forced to something                "no period ...": and the config refuses less
//                                                    than 100 ms, data/config/bad
//   jitter bounds                                    "first runs ..."; later ones have no jitter:
//                                                    fleets stay spread as they began
//   degraded set and clear                           "a warning ..."
// Elsewhere, as they need a real peer:
//   connection closed between checks, reuse off      integration/probe_http_test.cpp, "every run
//                                                    makes a connection of its own ..."
//   custom Host header                               the same, "the request has ..."
//   wrong service identity                           the same, "headers are sent and expected ..."
// Not applicable: intervals without traffic (we see none of the traffic), HTTP/2 GOAWAY and the
// outlier detector's own state.
#include <doctest/doctest.h>

#include <algorithm>

#include <string>

#include "health/roles.h"
#include "schedule/plan.h"
#include "unit/fakes/clock.h"
#include "unit/fakes/probe.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

struct Bench {
  fakes::HandClock clock;
  schedule::Plan plan{1};

  explicit Bench(const config::Check& check = fakes::check("db")) {
    plan.set_checks({check}, clock.moment());
  }
  CheckView view() const { return plan.views().at(0); }
  /// The next run, when it is due.
  schedule::Run start() {
    std::vector<schedule::Run> runs = plan.advance(clock.moment());
    while (runs.empty()) {
      clock.time = plan.next();
      runs = plan.advance(clock.moment());
    }
    REQUIRE(runs.size() == 1);
    return runs[0];
  }
  CheckStatus next(const Outcome& outcome) {
    schedule::Run run = start();
    plan.came_back(run.id, outcome, clock.moment());
    return view().status;
  }
  /// From now until the next run begins.
  Duration until_next() const { return plan.next() - clock.now(); }
};

Outcome outcome(char letter) {
  switch (letter) {
    case 'S': return Outcome::passed();
    case 'D': return Outcome::warned("slow", "slow");
    case 'F': return Outcome::failed("timeout", "no answer");
    case 'H': return Outcome::failed("status", "410", Outcome::kHard);
    default: FAIL("no outcome has the letter " << letter);
  }
  return {};
}

char letter(CheckStatus status) {
  constexpr std::string_view kLetters = "0+~-";
  return kLetters[static_cast<std::size_t>(status)];
}

}  // namespace

TEST_CASE("outcomes and the state after each, row by row") {
  struct Row {
    std::string what;
    int failure, success;
    const char* results;  // S success, D degraded, F a symptom, H a hard answer
    const char* states;   // + passes, ~ warns, - fails, 0 not known
  };
  const Row rows[] = {
      {"first success counts at once, whatever the threshold", 3, 5, "S", "+"},
      {"first degraded success counts at once", 3, 5, "D", "~"},
      {"a bad status fails at once", 3, 2, "SH", "+-"},
      {"a bad status fails at once, also at first", 3, 2, "H", "-"},
      {"network failures must be repeated", 3, 2, "SFFF", "+++-"},
      {"a bad status in the middle of network failures", 5, 2, "SFFH", "+++-"},
      {"timeouts and successes that alternate stay up", 2, 2, "SFSFSFS", "+++++++"},
      {"recovery needs its threshold", 1, 3, "SFSSS", "+---+"},
      {"a failure on the way back begins anew", 2, 2, "SHSFSS", "+----+"},
      {"degraded, and clear again, at once", 3, 2, "SDDS", "+~~+"},
      {"degraded out of a failure counts as success", 1, 2, "SFDD", "+--~"},
      {"from degraded to failed by the same threshold", 2, 1, "DFF", "~~-"},
      {"nobody is up before a success", 3, 1, "FFFFF", "00---"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    config::Check check = fakes::check("db");
    check.schedule.failure_threshold = row.failure;
    check.schedule.success_threshold = row.success;
    Bench b(check);
    std::string states;
    for (const char* result = row.results; *result != '\0'; ++result)
      states += letter(b.next(outcome(*result)));
    CHECK(states == row.states);
  }
}

TEST_CASE(
    "while it is about to change it is asked at the quick interval, else at the state's own") {
  struct Row {
    std::string what;
    const char* results;
    Duration until_next;
  };
  const Row rows[] = {
      {"not known", "F", 2s},
      {"up", "SS", 10s},
      {"about to fail", "SF", 2s},
      {"about to fail, again", "SFF", 2s},
      {"a flake that is over", "SFS", 10s},
      {"down", "SFFF", 5s},
      {"down by a hard answer", "SH", 5s},
      {"still down", "SHFF", 5s},
      {"about to recover", "SHS", 2s},
      {"recovered", "SHSS", 10s},
      {"not recovered after all", "SHSF", 5s},
      {"degraded is up", "SD", 10s},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    Bench b;
    for (const char* result = row.results; *result != '\0'; ++result) b.next(outcome(*result));
    CHECK(seconds(b.until_next()) == seconds(row.until_next));
  }
}

TEST_CASE("an answer after the deadline is ignored, whatever it says, and frees the check") {
  for (char late : {'S', 'H', 'D'}) {
    CAPTURE(late);
    Bench b;
    b.next(outcome('S'));
    schedule::Run run = b.start();
    b.clock.time = run.deadline;
    CHECK(b.plan.advance(b.clock.moment()).empty());
    CHECK(b.view().reason == "timeout");
    CHECK(b.view().consecutive_failures == 1);
    b.clock.advance(500ms);
    b.plan.came_back(run.id, outcome(late), b.clock.moment());
    CHECK(b.view().status == CheckStatus::Pass);
    CHECK(b.view().consecutive_failures == 1);
    CHECK_FALSE(b.view().stuck);
    CHECK(b.next(outcome('S')) == CheckStatus::Pass);
    CHECK(b.view().consecutive_failures == 0);
    // And once more it says nothing.
    b.plan.came_back(run.id, outcome('H'), b.clock.moment());
    CHECK(b.view().status == CheckStatus::Pass);
  }
}

TEST_CASE("a check that is dropped while it is asked takes its answer with it") {
  Bench b;
  schedule::Run run = b.start();
  b.plan.set_checks({fakes::check("cache")}, b.clock.moment());
  b.plan.came_back(run.id, outcome('H'), b.clock.moment());
  CHECK(b.view().name == "cache");
  CHECK(b.view().status == CheckStatus::Pending);
  // One of the same name that came back meanwhile is another one.
  b.plan.set_checks({fakes::check("db")}, b.clock.moment());
  b.plan.came_back(run.id, outcome('H'), b.clock.moment());
  CHECK(b.view().status == CheckStatus::Pending);
}

TEST_CASE("no period is so short that a check is asked twice in a slot") {
  config::Check check = fakes::check("db");
  check.schedule.period = check.schedule.period_fast = check.schedule.period_down =
      std::chrono::milliseconds(1);
  Bench b(check);
  Time end = b.clock.now() + 1s;
  int asked = 0;
  while (b.clock.now() < end) {
    std::vector<schedule::Run> runs = b.plan.advance(b.clock.moment());
    REQUIRE(runs.size() <= 1);
    for (const schedule::Run& run : runs) b.plan.came_back(run.id, outcome('S'), b.clock.moment());
    asked += static_cast<int>(runs.size());
    CHECK(b.plan.next() > b.clock.now());  // it never spins
    b.clock.time = b.plan.next();
  }
  CHECK(asked <= 100);
}

TEST_CASE("first runs lie within their jitter, and no run after them is moved by it") {
  for (double jitter : {0.0, 0.1, 0.5, 1.0}) {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
      fakes::HandClock clock;
      schedule::Plan plan(seed);
      config::Check check = fakes::check("db");
      check.scope = Scope::Shared;
      check.schedule.jitter = jitter;
      Time began = clock.now();
      plan.set_checks({check}, clock.moment());
      Duration first = plan.next() - began;
      REQUIRE(first >= 0s);
      REQUIRE(seconds(first) <= jitter * 5 + seconds(schedule::kSlot));
      clock.time = plan.next();
      Time start = clock.now();
      for (int i = 1; i <= 3; ++i) {
        std::vector<schedule::Run> runs = plan.advance(clock.moment());
        REQUIRE(runs.size() == 1);
        plan.came_back(runs[0].id, outcome('S'), clock.moment());
        REQUIRE(plan.next() == start + i * 10s);
        clock.time = plan.next();
      }
    }
  }
}

TEST_CASE("a warning degrades the role and leaves it ok, and goes with the next pass") {
  Bench b;
  health::Roles roles;
  auto ask = [&] {
    Board board;
    board.checks = b.plan.views();
    roles.evaluate(board, {}, b.clock.moment());
    return board.roles.at(static_cast<std::size_t>(Role::Readiness));
  };
  b.next(outcome('D'));
  CHECK(ask().ok);
  CHECK(ask().status == CheckStatus::Warn);
  b.next(outcome('S'));
  CHECK(ask().ok);
  CHECK(ask().status == CheckStatus::Pass);
}
