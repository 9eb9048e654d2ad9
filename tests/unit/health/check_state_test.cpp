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
