#include "health/check_state.h"

#include <doctest/doctest.h>
#include <random>

#include "unit/fakes/clock.h"
#include "unit/fakes/probe.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

struct Bench {
  fakes::HandClock clock;
  config::Check check = fakes::check("db");
  health::CheckState state{check, clock.moment()};

  CheckStatus see(const Outcome& outcome) {
    clock.advance(10s);
    state.see(outcome, 5ms, clock.moment());
    return state.view().status;
  }
};

const Outcome kPass = Outcome::passed();
const Outcome kWarn = Outcome::warned("slow", "slow");
const Outcome kFail = Outcome::failed("refused", "refused");
const Outcome kHard = Outcome::failed("auth", "wrong password", Outcome::kHard);
const Outcome kUnable = Outcome::unable("no_fds", "no descriptors");

}  // namespace

TEST_CASE("a first pass counts at once") {
  Bench b;
  CHECK(b.state.view().status == CheckStatus::Pending);
  CHECK(b.see(kPass) == CheckStatus::Pass);
}

TEST_CASE("a check that has never passed stays pending and is never reported up") {
  Bench b;
  CHECK(b.see(kFail) == CheckStatus::Pending);
  CHECK(b.see(kFail) == CheckStatus::Pending);
  CHECK(b.see(kFail) == CheckStatus::Fail);
}

TEST_CASE("failures below the threshold leave the state alone, and a pass forgives them") {
  Bench b;
  b.see(kPass);
  for (int round = 0; round < 3; ++round) {
    CHECK(b.see(kFail) == CheckStatus::Pass);
    CHECK(b.see(kFail) == CheckStatus::Pass);
    CHECK(b.see(kPass) == CheckStatus::Pass);
  }
}

TEST_CASE("the third failure in a row fails") {
  Bench b;
  b.see(kPass);
  b.see(kFail);
  b.see(kFail);
  CHECK(b.see(kFail) == CheckStatus::Fail);
  CHECK(b.state.view().reason == "refused");
}

TEST_CASE("a hard failure fails at once") {
  Bench b;
  b.see(kPass);
  CHECK(b.see(kHard) == CheckStatus::Fail);
}

TEST_CASE("after a failure one pass is not enough") {
  Bench b;
  b.see(kHard);
  CHECK(b.see(kPass) == CheckStatus::Fail);
  CHECK(b.see(kFail) == CheckStatus::Fail);
  CHECK(b.see(kPass) == CheckStatus::Fail);
  CHECK(b.see(kPass) == CheckStatus::Pass);
}

TEST_CASE("a warning neither fails nor wipes out the failures around it") {
  Bench b;
  b.see(kPass);
  CHECK(b.see(kFail) == CheckStatus::Pass);
  CHECK(b.see(kWarn) == CheckStatus::Warn);
  CHECK(b.see(kFail) == CheckStatus::Warn);
  CHECK(b.see(kWarn) == CheckStatus::Warn);
  CHECK(b.see(kFail) == CheckStatus::Fail);
}

TEST_CASE("our own inability moves nothing and lets the result age into stale") {
  Bench b;
  b.see(kPass);
  for (int i = 0; i < 4; ++i) CHECK(b.see(kUnable) == CheckStatus::Pass);
  b.state.tick(b.clock.now());
  CHECK(b.state.view().stale);
  b.see(kPass);
  b.state.tick(b.clock.now());
  CHECK_FALSE(b.state.view().stale);
}

TEST_CASE("a result exactly as old as allowed is not stale yet") {
  Bench b;
  b.see(kPass);
  b.clock.advance(32s);
  b.state.tick(b.clock.now());
  CHECK_FALSE(b.state.view().stale);
  b.clock.advance(1ns);
  b.state.tick(b.clock.now());
  CHECK(b.state.view().stale);
}

TEST_CASE("no sequence of outcomes reports a pass before the first pass") {
  std::mt19937 random(7);
  const Outcome all[] = {kFail, kHard, kUnable};
  for (int run = 0; run < 2000; ++run) {
    Bench b;
    for (int i = 0; i < 10; ++i) {
      CheckStatus status = b.see(all[random() % 3]);
      REQUIRE((status == CheckStatus::Pending || status == CheckStatus::Fail));
    }
  }
}

TEST_CASE("no flake shorter than the threshold ever flips a passing check") {
  std::mt19937 random(11);
  for (int run = 0; run < 1000; ++run) {
    Bench b;
    b.see(kPass);
    for (int i = 0, flakes = 0; i < 40; ++i) {
      bool flake = flakes < 2 && random() % 2 == 0;
      flakes = flake ? flakes + 1 : 0;
      REQUIRE(b.see(flake ? kFail : kPass) == CheckStatus::Pass);
    }
  }
}

TEST_CASE("both the number of failures and how long they last must be reached") {
  Bench b;
  b.check.schedule.min_failing_for = 45s;
  b.state = health::CheckState(b.check, b.clock.moment());
  b.see(kPass);
  for (int i = 0; i < 5; ++i) CHECK(b.see(kFail) == CheckStatus::Pass);  // 40 s from the first
  CHECK(b.see(kFail) == CheckStatus::Fail);
}

TEST_CASE("a recovery through a warning forgets the failures before it") {
  Bench b;
  b.see(kHard);
  b.see(kWarn);
  CHECK(b.see(kWarn) == CheckStatus::Warn);
  CHECK(b.see(kFail) == CheckStatus::Warn);
  CHECK(b.see(kFail) == CheckStatus::Warn);
  CHECK(b.see(kFail) == CheckStatus::Fail);
}

TEST_CASE("reasons that the config calls hard fail at once") {
  Bench b;
  b.check.schedule.hard_fail_on = {"refused"};
  b.state = health::CheckState(b.check, b.clock.moment());
  b.see(kPass);
  CHECK(b.see(kFail) == CheckStatus::Fail);
}

TEST_CASE("on_error fail makes our own inability count") {
  Bench b;
  b.check.schedule.when_unable = config::WhenUnable::Fail;
  b.state = health::CheckState(b.check, b.clock.moment());
  b.see(kPass);
  b.see(kUnable);
  b.see(kUnable);
  CHECK(b.see(kUnable) == CheckStatus::Fail);
}

TEST_CASE("a level that was passed clears only beyond its margin") {
  Bench b;
  b.check.schedule.levels.fail_above = 90;
  b.check.schedule.clear_margin = 0.1;
  b.check.schedule.failure_threshold = 1;
  b.check.schedule.success_threshold = 1;
  b.state = health::CheckState(b.check, b.clock.moment());
  auto at = [&](double value) { return b.see(Outcome::passed().measured(value, "1")); };
  CHECK(at(89.9) == CheckStatus::Pass);
  CHECK(at(90.1) == CheckStatus::Fail);
  CHECK(b.state.view().reason == "level");
  for (int i = 0; i < 10; ++i) CHECK(at(i % 2 ? 90.1 : 89.9) == CheckStatus::Fail);
  CHECK(b.state.view().reason == "level");
  CHECK(at(81.5) == CheckStatus::Fail);
  CHECK(b.state.view().reason == "not_clear");
  CHECK(at(80.9) == CheckStatus::Pass);
  CHECK(at(89.9) == CheckStatus::Pass);
}

TEST_CASE("a probe's own level has the same margin, and other failures have none") {
  Bench b;
  b.check.schedule.failure_threshold = 1;
  b.check.schedule.success_threshold = 1;
  b.state = health::CheckState(b.check, b.clock.moment());
  b.see(Outcome::failed("low_space", "full").clear_by(-0.01));
  CHECK(b.see(Outcome::passed().clear_by(0.04)) == CheckStatus::Fail);
  CHECK(b.see(Outcome::passed().clear_by(0.06)) == CheckStatus::Pass);
  b.see(kFail);
  CHECK(b.see(Outcome::passed().clear_by(0.01)) == CheckStatus::Pass);
}

TEST_CASE("a warning level warns, and clears by the same margin") {
  Bench b;
  b.check.schedule.levels.warn_below = 10;
  b.state = health::CheckState(b.check, b.clock.moment());
  auto at = [&](double value) { return b.see(Outcome::passed().measured(value, "1")); };
  CHECK(at(9) == CheckStatus::Warn);
  CHECK(at(10.2) == CheckStatus::Warn);
  CHECK(at(10.6) == CheckStatus::Pass);
  CHECK(at(10.2) == CheckStatus::Pass);
}

TEST_CASE("a check that alternates flaps, and settles when it stops") {
  Bench b;
  for (int i = 0; i < 6; ++i) {
    CHECK_FALSE(b.state.view().flapping);
    b.see(i % 2 ? kFail : kPass);
  }
  b.see(kPass);
  CHECK(b.state.view().flapping);
  int needed = 0;
  while (b.state.view().flapping && needed < 100) {
    b.see(kPass);
    ++needed;
  }
  CHECK(needed > 14);
  CHECK(needed <= 21);
}

TEST_CASE("the worst state while it flaps is remembered until it settles") {
  Bench b;
  b.see(kPass);
  for (int i = 0; i < 8; ++i) b.see(i % 2 ? kPass : kHard);
  b.see(kPass);
  b.see(kPass);
  CHECK(b.state.view().status == CheckStatus::Pass);
  CHECK(b.state.view().flapping);
  CHECK(b.state.view().worst_while_flapping == CheckStatus::Fail);
}

TEST_CASE("the last 32 results are kept as they came, before any threshold") {
  Bench b;
  for (int i = 0; i < 40; ++i) b.see(i % 2 ? kFail : kPass);
  const std::vector<Seen>& history = *b.state.view().history;
  REQUIRE(history.size() == 32);
  CHECK(history.back().outcome == Outcome::Kind::Fail);
  CHECK(history.back().reason == "refused");
  CHECK(history.back().at - history.front().at == 31 * 10'000);
}

TEST_CASE("the age of what is known never goes back without a result") {
  std::mt19937 random(13);
  for (int run = 0; run < 1000; ++run) {
    Bench b;
    b.see(kPass);
    for (int i = 0; i < 20; ++i) {
      Time before = b.state.view().last_result;
      bool unable = random() % 2;
      b.see(unable ? kUnable : kFail);
      REQUIRE(
          (unable ? b.state.view().last_result == before : b.state.view().last_result > before));
    }
  }
}
