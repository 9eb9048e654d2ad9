#include "schedule/plan.h"

#include <doctest/doctest.h>
#include <algorithm>
#include <optional>
#include <random>
#include <set>

#include "unit/fakes/clock.h"
#include "unit/fakes/probe.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

struct Bench {
  fakes::HandClock clock;
  schedule::Plan plan{1};

  explicit Bench(std::vector<config::Check> checks = {fakes::check("db")}, std::uint64_t seed = 1)
      : plan(seed) {
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

TEST_CASE("first runs of shared checks are spread over five seconds, differently per instance") {
  std::vector<config::Check> checks;
  for (int i = 0; i < 200; ++i) {
    checks.push_back(fakes::check("check-" + std::to_string(i)));
    checks.back().scope = Scope::Shared;
    checks.back().schedule.jitter = 1;
  }
  std::set<std::string> first_of_each_instance;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Bench b(checks, seed);
    std::size_t all = 0;
    std::size_t most = 0;
    for (int second = 0; second < 5; ++second) {
      std::size_t in_it = 0;
      for (int i = 0; i < 100; ++i) {
        std::vector<schedule::Run> runs = b.advance(10ms);
        if (all + in_it == 0 && !runs.empty()) first_of_each_instance.insert(runs[0].check());
        in_it += runs.size();
      }
      most = std::max(most, in_it);
      all += in_it;
    }
    CHECK(all >= 200);  // what has run once is asked quickly until its state is known
    CHECK(most < 130);
  }
  CHECK(first_of_each_instance.size() > 10);
}

TEST_CASE("a few local checks run at once") {
  std::vector<config::Check> checks{fakes::check("disk"), fakes::check("app")};
  for (config::Check& c : checks) c.schedule.jitter = 1;
  CHECK(Bench(checks).advance().size() == 2);
}

TEST_CASE("at once is now, and not the beginning of the next slot") {
  fakes::HandClock clock;
  clock.advance(3ms);
  schedule::Plan plan{1};
  plan.set_checks({fakes::check("disk")}, clock.moment());
  CHECK(plan.next() <= clock.now());
  CHECK(plan.advance(clock.moment()).size() == 1);
}

TEST_CASE("a check that may be about to change is asked quickly, one that fails less often") {
  Bench b;
  b.answer(b.advance().at(0));
  CHECK(b.plan.next() == b.clock.now() + 10s);
  const Outcome refused = Outcome::failed("refused", "refused");
  b.answer(b.advance(10s).at(0), refused);
  CHECK(b.plan.next() == b.clock.now() + 2s);  // about to fail
  b.answer(b.advance(2s).at(0), refused);
  b.answer(b.advance(2s).at(0), refused);
  CHECK(b.view().status == CheckStatus::Fail);
  CHECK(b.plan.next() == b.clock.now() + 5s);  // down
  b.answer(b.advance(5s).at(0));
  CHECK(b.plan.next() == b.clock.now() + 2s);  // about to recover
  b.answer(b.advance(2s).at(0));
  CHECK(b.view().status == CheckStatus::Pass);
  CHECK(b.plan.next() == b.clock.now() + 10s);
}

TEST_CASE("a check dies and is back: never later than the arithmetic says, whenever it happens") {
  std::mt19937 random(5);
  for (int round = 0; round < 2000; ++round) {
    config::Check check = fakes::check("db");
    config::Schedule& s = check.schedule;
    s.period = std::chrono::seconds(2 + random() % 10);
    s.period_fast = std::min<Duration>(s.period, std::chrono::milliseconds(500 + random() % 3000));
    s.period_down = std::min<Duration>(s.period, std::chrono::seconds(1 + random() % 6));
    s.timeout = std::min<Duration>(s.period, std::chrono::milliseconds(100 + random() % 3000));
    s.failure_threshold = 1 + static_cast<int>(random() % 4);
    s.success_threshold = 1 + static_cast<int>(random() % 3);
    if (random() % 2) s.min_failing_for = std::chrono::seconds(random() % 20);
    Bench b({check});
    Time dies = b.clock.now() + 30s + std::chrono::milliseconds(random() % 10000);
    Time back = dies + 100s + std::chrono::milliseconds(random() % 10000);
    bool hangs = random() % 2;  // or refuses
    std::optional<std::pair<schedule::Run, Time>> open;
    std::optional<Time> seen_dead, seen_back;
    while (b.clock.now() < back + 60s) {
      Time next = b.plan.next();
      if (open) next = std::min(next, open->second);
      b.clock.advance(std::max<Duration>(next - b.clock.now(), 1ms));
      bool dead = b.clock.now() >= dies && b.clock.now() < back;
      if (open && open->second <= b.clock.now()) {
        b.answer(open->first, dead ? Outcome::failed("refused", "") : Outcome::passed());
        open.reset();
      }
      for (schedule::Run& run : b.advance()) {
        bool began_dead = b.clock.now() >= dies && b.clock.now() < back;
        Duration takes = began_dead && hangs ? s.timeout : Duration(20ms);
        open.emplace(std::move(run), b.clock.now() + takes);
      }
      if (!seen_dead && b.view().status == CheckStatus::Fail) seen_dead = b.clock.now();
      if (seen_dead && b.clock.now() >= back && !seen_back && b.view().status == CheckStatus::Pass)
        seen_back = b.clock.now();
    }
    REQUIRE(seen_dead);
    REQUIRE(seen_back);
    Duration slack = (s.failure_threshold + s.success_threshold + 2) * 30ms;  // slots and answers
    CAPTURE(round);
    CHECK(seconds(*seen_dead - dies) <= seconds(s.worst_detection() + slack));
    CHECK(seconds(*seen_back - back) <= seconds(s.worst_recovery() + slack));
  }
}

TEST_CASE(
    "a check whose dependency fails is not asked, keeps its state, and is asked when it is back") {
  config::Check db = fakes::check("db");
  config::Check lag = fakes::check("lag");
  lag.depends_on = {"db"};
  Bench b({db, lag});
  for (const schedule::Run& run : b.advance()) b.answer(run);
  for (const schedule::Run& run : b.advance(10s)) {
    b.answer(run, run.check() == "db" ? Outcome::failed("auth", "no", Outcome::kHard)
                                      : Outcome::passed());
  }
  for (int i = 0; i < 10; ++i) {
    for (const schedule::Run& run : b.advance(5s)) {
      CHECK(run.check() == "db");
      b.answer(run, Outcome::failed("auth", "no", Outcome::kHard));
    }
  }
  CheckView waiting = b.plan.views().at(1);
  CHECK(waiting.status == CheckStatus::Pass);
  CHECK(waiting.waits_for == "db");
  CHECK_FALSE(waiting.stale);
  bool has_run = false;
  for (int i = 0; i < 8; ++i) {
    for (const schedule::Run& run : b.advance(1s)) {
      has_run = has_run || run.check() == "lag";
      b.answer(run);
    }
  }
  CHECK(has_run);
  CHECK(b.plan.views().at(1).waits_for.empty());
}

TEST_CASE("when startup passes, readiness is asked at once and not a period later") {
  config::Check boot = fakes::check("boot", {Role::Startup});
  config::Check app = fakes::check("app", {Role::Readiness});
  app.schedule.initial_delay = 30s;
  Bench b({boot, app});
  std::vector<schedule::Run> runs = b.advance();
  REQUIRE(runs.size() == 1);
  b.answer(runs[0]);
  runs = b.advance(10ms);
  REQUIRE(runs.size() == 1);
  CHECK(runs[0].check() == "app");
}

TEST_CASE("another instance makes startup checks prove themselves anew") {
  config::Check process = fakes::check("process", {Role::Liveness});
  config::Check boot = fakes::check("boot", {Role::Startup});
  Bench b({process, boot});
  auto answer_as = [&](const std::string& instance) {
    for (const schedule::Run& run : b.advance()) {
      Outcome seen = Outcome::passed();
      if (run.check() == "process") seen.instance = instance;
      b.answer(run, seen);
    }
  };
  answer_as("pid 7");
  CHECK(b.plan.views().at(1).status == CheckStatus::Pass);
  b.clock.advance(10s);
  answer_as("pid 8");
  CHECK(b.plan.views().at(1).status == CheckStatus::Pending);
  bool is_asked = false;
  for (int i = 0; i < 30; ++i) is_asked = is_asked || !b.advance(100ms).empty();
  CHECK(is_asked);
}

TEST_CASE("a check can be run at once, but not twice in a second and never beside itself") {
  Bench b;
  b.answer(b.advance().at(0));
  CHECK_FALSE(b.plan.run_now("db", b.clock.moment()));
  b.clock.advance(3s);
  CHECK(b.plan.run_now("db", b.clock.moment()));
  std::vector<schedule::Run> runs = b.advance(10ms);
  REQUIRE(runs.size() == 1);
  CHECK_FALSE(b.plan.run_now("db", b.clock.moment()));
  CHECK_FALSE(b.plan.run_now("no-such-check", b.clock.moment()));
}

TEST_CASE("states from before a restart are shown as such until the first result") {
  Bench before;
  before.answer(before.advance().at(0));
  Bench after;
  after.clock.time = before.clock.now() + 20s;
  after.plan.restore(before.plan.views(), after.clock.moment());
  CHECK(after.view().status == CheckStatus::Pass);
  CHECK(after.view().restored);
  CHECK_FALSE(after.view().stale);
  after.answer(after.advance().at(0), Outcome::failed("refused", "refused"));
  CHECK_FALSE(after.view().restored);
  CHECK(after.view().status == CheckStatus::Pass);  // one failure is below the threshold
}

TEST_CASE("a run that does not come back fails at its deadline and is not started again") {
  Bench b;
  schedule::Run hung = b.advance().at(0);
  CHECK(b.plan.next() == hung.deadline);
  b.advance(2s);
  CHECK(b.view().stuck);
  CHECK(b.view().reason == "timeout");
  CHECK(b.view().consecutive_failures == 1);
  CHECK(b.advance(2s).empty());
  CHECK(b.view().consecutive_failures == 2);
  CHECK(b.advance(2s).empty());
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
