#include "schedule/plan.h"

#include <doctest/doctest.h>
#include <random>
#include <set>

#include "unit/fakes/clock.h"
#include "unit/fakes/probe.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

struct Bench {
  fakes::HandClock clock;
  schedule::Plan plan;

  explicit Bench(std::vector<config::Check> checks = {fakes::check("db")}) {
    plan.set_checks(checks, clock.moment());
  }

  std::vector<schedule::Run> advance(Duration d = 0s) {
    clock.advance(d);
    return plan.advance(clock.moment());
  }
  void answer(const schedule::Run& run, const Outcome& outcome = Outcome::passed()) {
    plan.came_back(run.id, outcome, clock.moment());
  }
  CheckView view() const { return plan.views().at(0); }
};

}  // namespace

TEST_CASE("a check runs at once and then every period without drift") {
  Bench b;
  Time start = b.clock.now();
  for (int k = 0; k < 50; ++k) {
    std::vector<schedule::Run> runs = b.advance();
    REQUIRE(runs.size() == 1);
    b.clock.advance(137ms);  // however long it takes
    b.answer(runs[0]);
    CHECK(b.plan.next() == start + (k + 1) * 10s);
    b.clock.time = b.plan.next();
  }
}

TEST_CASE("the initial delay is kept") {
  config::Check slow = fakes::check("db");
  slow.schedule.initial_delay = 30s;
  Bench b({slow});
  CHECK(b.advance(29s).empty());
  CHECK(b.advance(1s).size() == 1);
}

TEST_CASE(
    "jitter spreads checks by their names, the same way every time, and never beyond its share") {
  std::vector<config::Check> checks;
  for (int i = 0; i < 50; ++i) {
    checks.push_back(fakes::check("check-" + std::to_string(i)));
    checks.back().schedule.jitter = 0.5;
  }
  std::set<std::size_t> started_at_once;
  for (int round = 0; round < 2; ++round) {
    Bench b(checks);
    started_at_once.insert(b.advance().size());
    std::size_t rest = 0;
    for (int i = 0; i < 250; ++i) rest += b.advance(10ms).size();
    CHECK(rest > 30);
    CHECK(rest + *started_at_once.begin() == 50);
  }
  CHECK(started_at_once.size() == 1);
}

TEST_CASE("a run that does not come back fails at its deadline and is not started again") {
  Bench b;
  schedule::Run hung = b.advance().at(0);
  CHECK(b.plan.next() == hung.deadline);
  b.advance(2s);
  CHECK(b.view().stuck);
  CHECK(b.view().reason == "timeout");
  CHECK(b.view().consecutive_failures == 1);
  CHECK(b.advance(8s).empty());
  CHECK(b.advance(10s).empty());
  CHECK(b.view().consecutive_failures == 3);
  CHECK(b.view().status == CheckStatus::Fail);
  CHECK(b.view().reason == "stuck");
}

TEST_CASE("a late answer frees the check but does not count") {
  Bench b;
  schedule::Run hung = b.advance().at(0);
  b.advance(5s);
  b.answer(hung, Outcome::passed());
  CHECK_FALSE(b.view().stuck);
  CHECK(b.view().status == CheckStatus::Pending);
  CHECK(b.advance(5s).size() == 1);
}

TEST_CASE("ticks that were missed are not made up for") {
  Bench b;
  b.answer(b.advance().at(0));
  CHECK(b.advance(95s).size() == 1);
  CHECK(b.plan.next() <= b.clock.now() + 5s);
}

TEST_CASE("a reload keeps the state of checks that did not change and starts the others anew") {
  config::Check db = fakes::check("db");
  config::Check cache = fakes::check("cache");
  Bench b({db, cache});
  for (const schedule::Run& run : b.advance()) b.answer(run);
  cache.settings = "changed";
  b.plan.set_checks({cache, db}, b.clock.moment());
  std::vector<CheckView> views = b.plan.views();
  CHECK(views.at(0).status == CheckStatus::Pending);
  CHECK(views.at(1).status == CheckStatus::Pass);
}

TEST_CASE("an answer for a check that a reload removed is dropped") {
  Bench b;
  schedule::Run run = b.advance().at(0);
  b.plan.set_checks({fakes::check("other")}, b.clock.moment());
  b.answer(run);
  CHECK(b.view().status == CheckStatus::Pending);
}

TEST_CASE("never two runs of one check at once, whatever comes back when") {
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    Bench b;
    std::vector<schedule::Run> open;
    for (int i = 0; i < 60; ++i) {
      for (schedule::Run& run : b.advance(std::chrono::milliseconds(random() % 7000)))
        open.push_back(std::move(run));
      REQUIRE(open.size() <= 1);
      if (!open.empty() && random() % 3 == 0) {
        b.answer(open.back(),
                 random() % 2 ? Outcome::passed() : Outcome::failed("refused", "refused"));
        open.clear();
      }
    }
  }
}
