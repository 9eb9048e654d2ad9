#include "sources/rounds.h"

#include <doctest/doctest.h>

using namespace davy;
using namespace davy::source;
using namespace std::chrono_literals;

namespace {

/// Two versions, scraped every 5 s of a time that the test moves. An instance is its body; "!..."
/// fails.
struct World {
  Rules rules = *Rules::compile(
      {.counter = {"n"}, .error_when = {"code=~\"5..\""}, .errors = {}, .histogram = {"h"}});
  Rounds rounds{rules};
  Time now{100s};

  Collected round(const std::vector<std::string>& baseline,
                  const std::vector<std::string>& canary) {
    now = now + 5s;
    std::vector<Answer> answers;
    for (Side side : kSides) {
      int number = 0;
      for (const std::string& body : side == Side::Baseline ? baseline : canary) {
        std::string name = std::string(word(side)) + " " + std::to_string(number++);
        Result<Reading> reading = body.starts_with('!') ? Error{body.substr(1)}
                                                        : read_metrics(body, rules, {{side}}, 100);
        answers.push_back({name, name, name, {side}, std::move(reading)});
      }
    }
    return rounds.finish_round(answers, now);
  }
};

std::string n(int ok, int bad = 0) {
  return "n{code=\"200\"} " + std::to_string(ok) + "\nn{code=\"500\"} " + std::to_string(bad) +
         "\n";
}

}  // namespace

TEST_CASE("the first round is only the base, the second makes a block") {
  World world;
  Collected first = world.round({n(1000, 10)}, {n(50)});
  CHECK_FALSE(first.block);
  CHECK_FALSE(first.blind);
  CHECK(first.trouble == "");
  CHECK(first.baseline_targets == 1);
  Collected second = world.round({n(1095, 11)}, {n(55, 1)});
  REQUIRE(second.block);
  CHECK(second.block->dt == 5);
  CHECK(second.block->baseline.requests == 96);
  CHECK(second.block->baseline.errors == 1);
  CHECK(second.block->canary.requests == 6);
  CHECK(second.block->canary.errors == 1);
  REQUIRE(second.block->canary.pods.size() == 1);
  CHECK(second.block->canary.pods[0].id == "canary 0");
  CHECK_FALSE(second.block->canary.latency);
}

TEST_CASE(
    "while one target is missing nothing is committed, and the next block covers the longer span") {
  World world;
  world.round({n(0)}, {n(0)});
  Collected missing = world.round({n(10)}, {"!refused"});
  CHECK_FALSE(missing.block);
  CHECK_FALSE(missing.blind);
  CHECK(missing.trouble == "canary 0: refused (1 time)");
  Collected back = world.round({n(20)}, {n(4)});
  REQUIRE(back.block);
  CHECK(back.block->dt == 10);
  CHECK(back.block->baseline.requests == 20);
  CHECK(back.block->canary.requests == 4);
  CHECK(back.trouble == "");
}

TEST_CASE("a reset within the longer span loses nothing that was seen") {
  World world;
  world.round({n(0)}, {n(100)});
  world.round({"!refused"}, {n(110)});
  Collected after = world.round({n(9)}, {n(3)});
  REQUIRE(after.block);
  CHECK(after.block->canary.requests == 13);
}

TEST_CASE("a target that failed three times is no longer waited for") {
  World world;
  world.round({n(0), n(0)}, {n(0)});
  CHECK_FALSE(world.round({n(10), "!refused"}, {n(1)}).block);
  CHECK_FALSE(world.round({n(20), "!refused"}, {n(2)}).block);
  Collected third = world.round({n(30), "!refused"}, {n(3)});
  REQUIRE(third.block);
  CHECK(third.block->dt == 15);
  CHECK(third.block->baseline.requests == 30);
  CHECK(third.block->canary.requests == 3);
  CHECK(third.block->baseline.pods.size() == 1);
  CHECK_FALSE(third.blind);
  CHECK(third.trouble == "baseline 1: refused (3 times, no longer waited for)");
}

TEST_CASE("a target that comes back is new and its past does not count") {
  World world;
  world.round({n(0), n(0)}, {n(0)});
  for (int i = 0; i < 3; ++i) world.round({n(0), "!refused"}, {n(0)});
  Collected back = world.round({n(10), n(5000)}, {n(1)});
  REQUIRE(back.block);
  CHECK(back.block->baseline.requests == 10);
  Collected next = world.round({n(20), n(5007)}, {n(2)});
  CHECK(next.block->baseline.requests == 17);
}

TEST_CASE(
    "a side without a live target is blind, and what the other side did meanwhile is dropped") {
  World world;
  world.round({n(0)}, {n(0)});
  world.round({n(10)}, {"!connection refused"});
  world.round({n(20)}, {"!connection refused"});
  Collected third = world.round({n(30)}, {"!connection refused"});
  CHECK(third.blind);
  CHECK_FALSE(third.block);
  CHECK(third.trouble ==
        "no canary target answers; canary 0: connection refused (3 times, no longer waited for)");
  CHECK(third.canary_targets == 0);
  world.round({n(1000)}, {"!connection refused"});
  Collected back = world.round({n(2000)}, {n(1)});
  CHECK_FALSE(back.blind);
  CHECK_FALSE(back.block);
  Collected next = world.round({n(2010)}, {n(3)});
  REQUIRE(next.block);
  CHECK(next.block->dt == 5);
  CHECK(next.block->baseline.requests == 10);
  CHECK(next.block->canary.requests == 2);
}

TEST_CASE("a new target begins to count at a commit and not within a span") {
  World world;
  world.round({n(0)}, {n(0)});
  CHECK_FALSE(world.round({"!refused"}, {n(1), n(100)}).block);
  Collected joined = world.round({n(10)}, {n(2), n(150)});
  REQUIRE(joined.block);
  CHECK(joined.block->canary.requests == 2);
  CHECK(joined.block->canary.pods.size() == 1);
  Collected next = world.round({n(20)}, {n(3), n(160)});
  CHECK(next.block->canary.requests == 11);
}

TEST_CASE("a target that is gone from the list is not waited for") {
  World world;
  world.round({n(0), n(0)}, {n(0)});
  Collected next = world.round({n(10)}, {n(1)});
  REQUIRE(next.block);
  CHECK(next.block->baseline.requests == 10);
}

TEST_CASE(
    "a counter that matches nothing on either side is blindness, and the trouble suggests others") {
  World world;
  std::string other = "requests_served_total 5\nup 1\n";
  Collected first = world.round({other}, {other});
  CHECK(first.blind);
  CHECK(first.trouble.starts_with(
      "baseline 0: no series match n, unless it has served nothing yet; the target has e.g. "
      "requests_served_total"));
  CHECK_FALSE(world.round({other}, {other}).block);
}

TEST_CASE("a version whose counter appears with its first request has served nothing until then") {
  World world;
  CHECK_FALSE(world.round({n(0)}, {"up 1\n"}).blind);
  Collected quiet = world.round({n(10)}, {"up 1\n"});
  CHECK(quiet.trouble == "canary 0: no series match n, unless it has served nothing yet");
  REQUIRE(quiet.block);
  CHECK(quiet.block->canary.requests == 0);
  Collected appears = world.round({n(20)}, {n(4)});
  CHECK(appears.trouble.empty());
  REQUIRE(appears.block);
  CHECK(appears.block->dt == 5);
  CHECK(appears.block->baseline.requests == 10);
  CHECK(appears.block->canary.requests == 4);
}

TEST_CASE("one target of several without the counter is trouble but not blindness") {
  World world;
  Collected first = world.round({n(0)}, {n(0), "x 1\n"});
  CHECK_FALSE(first.blind);
  CHECK(first.trouble == "canary 1: no series match n, unless it has served nothing yet");
}

TEST_CASE("a counter without the label that tells errors is blind") {
  World world;
  Collected first = world.round({n(0)}, {"n{path=\"/\"} 5\n"});
  CHECK(first.blind);
  CHECK(first.trouble == "canary 0: n has none of the labels code, so no error would show");
}

TEST_CASE("histograms of several instances add up at the bounds that all share") {
  World world;
  auto h = [](const char* middle, int a, int b, int c) {
    return n(0) + "h_bucket{le=\"0.1\"} " + std::to_string(a) + "\nh_bucket{le=\"" + middle +
           "\"} " + std::to_string(b) + "\nh_bucket{le=\"+Inf\"} " + std::to_string(c) + "\n";
  };
  world.round({h("0.5", 0, 0, 0), h("0.5", 0, 0, 0)}, {h("0.7", 0, 0, 0)});
  Collected next = world.round({h("0.5", 1, 2, 4), h("0.5", 1, 2, 4)}, {h("0.7", 5, 6, 7)});
  REQUIRE(next.block);
  CHECK(*next.block->baseline.latency == Histogram{{0.1}, {2, 6}});
  CHECK(*next.block->canary.latency == Histogram{{0.1}, {5, 2}});
}

TEST_CASE("histograms without a bound in common are told") {
  World world;
  auto h = [](const char* bound) {
    return n(0) + "h_bucket{le=\"" + bound + "\"} 1\nh_bucket{le=\"+Inf\"} 1\n";
  };
  world.round({h("0.5")}, {h("0.7")});
  Collected next = world.round({h("0.5")}, {h("0.7")});
  REQUIRE(next.block);
  CHECK_FALSE(next.block->baseline.latency);
  CHECK(next.trouble ==
        "the latency histograms have no bounds in common, so latency cannot be compared");
}

TEST_CASE("many troubles are cut short") {
  World world;
  Collected first = world.round({"!a", "!b", "!c"}, {"!d", "!e", "!f"});
  CHECK(first.trouble.ends_with("; and 2 more"));
}
