#include "sources/rounds.h"

#include <doctest/doctest.h>

#include "base/archive.h"

using namespace davy;
using namespace davy::source;
using namespace std::chrono_literals;

namespace {

/// Two versions, scraped every 5 s of a time that the test moves. An instance is its body; "!..."
/// fails.
struct World {
  Rules rules;
  std::optional<Rounds> rounds;
  Time now{100s};
  WallMillis wall = 1'800'000'000'000;
  bool canary_alone = false;

  explicit World(const std::vector<ValueSeries>& values = {})
      : rules(*Rules::compile(
            {.counter = {"n"}, .error_when = {"code=~\"5..\""}, .errors = {}, .histogram = {"h"}},
            values)) {
    rounds.emplace(rules);
  }

  Collected round(const std::vector<std::string>& baseline,
                  const std::vector<std::string>& canary) {
    pass(5s);
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
    return rounds->finish_round(answers, now, wall, canary_alone);
  }

  void pass(std::chrono::seconds time) {
    now = now + time;
    wall += std::chrono::milliseconds(time).count();
  }

  std::string saved() {
    Archive out = Archive::writer();
    out(*rounds);
    return out.bytes();
  }
  /// davy is killed and started again; whether it took what was saved.
  bool load(std::string bytes) {
    rounds.emplace(rules);
    Archive in = Archive::reader(std::move(bytes));
    in(*rounds);
    return !in.failed() && in.at_end();
  }
};

std::string n(int ok, int bad = 0) {
  return "n{code=\"200\"} " + std::to_string(ok) + "\nn{code=\"500\"} " + std::to_string(bad) +
         "\n";
}

/// The page of a process that started `age` seconds before the world began.
std::string started(double age, const std::string& page) {
  return "process_start_time_seconds " + std::to_string(1.8e9 - age) + "\n" + page;
}

std::string h(int fast, int slow) {
  return "h_bucket{le=\"0.1\"} " + std::to_string(fast) + "\nh_bucket{le=\"0.5\"} " +
         std::to_string(fast + slow) + "\nh_bucket{le=\"+Inf\"} " + std::to_string(fast + slow) +
         "\n";
}

ValueSeries gauge(const std::string& series) {
  return {.name = "memory", .series = series};
}
ValueSeries rate(ValueSeries::Per per) {
  return {.name = "reads", .series = "r", .kind = ValueSeries::Kind::Rate, .per = per};
}

/// All of a block in one text, every double in its bits.
std::string bits(const std::optional<Block>& block) {
  if (!block) return "none";
  Archive out = Archive::writer();
  auto put = [&](auto value) { out(value); };
  put(block->dt);
  for (const VersionCounts* version : {&block->baseline, &block->canary}) {
    put(version->requests);
    put(version->errors);
    put(version->latency ? version->latency->counts : std::vector<double>());
    for (const PodCounts& pod : version->pods) {
      put(pod.id);
      put(pod.requests);
      put(pod.restarts);
      put(pod.age);
      put(pod.latency ? pod.latency->counts : std::vector<double>());
    }
    for (const Value& value : version->values) put(value.value);
  }
  return out.bytes();
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

TEST_CASE("a restart is seen by the start time although the counter has overtaken the old one") {
  World world;
  world.round({n(0)}, {started(100, n(10))});
  Collected next = world.round({n(1)}, {started(-7, n(12))});
  REQUIRE(next.block);
  CHECK(next.block->canary.requests == 12);
  REQUIRE(next.block->canary.pods.size() == 1);
  CHECK(next.block->canary.pods[0].restarts == 1);
  CHECK(*next.block->canary.pods[0].age == doctest::Approx(3).epsilon(1e-6));
  Collected after = world.round({n(1)}, {started(-7, n(13))});
  CHECK(after.block->canary.requests == 1);
  CHECK(after.block->canary.pods[0].restarts == 0);
}

TEST_CASE("without a start time a counter that fell is a restart and the age is unknown") {
  World world;
  world.round({n(0)}, {n(10, 5)});
  Collected next = world.round({n(1)}, {n(3, 6)});
  REQUIRE(next.block);
  CHECK(next.block->canary.requests == 4);
  CHECK(next.block->canary.pods[0].restarts == 1);
  CHECK_FALSE(next.block->canary.pods[0].age);
  CHECK(next.block->baseline.pods[0].restarts == 0);
}

TEST_CASE("an instance that was given up and comes back as another process has restarted") {
  World world;
  world.round({n(0)}, {started(100, n(10)), n(0)});
  for (int i = 0; i < 3; ++i) world.round({n(0)}, {"!refused", n(0)});
  CHECK(world.round({n(0)}, {started(-20, n(50)), n(0)}).block->canary.pods.size() == 1);
  Collected next = world.round({n(0)}, {started(-20, n(51)), n(0)});
  REQUIRE(next.block);
  CHECK(next.block->canary.pods[0].restarts == 1);
  CHECK(next.block->canary.pods[0].requests == 1);
}

TEST_CASE("a young instance shows its own part of the latencies at its version's bounds") {
  World world;
  std::string coarse = "h_bucket{le=\"0.5\"} 0\nh_bucket{le=\"+Inf\"} 0\n";
  world.round({n(0) + coarse}, {started(10, n(0) + h(0, 0)), started(1000, n(0) + h(0, 0))});
  Collected next =
      world.round({n(0) + coarse}, {started(10, n(0) + h(3, 4)), started(1000, n(0) + h(50, 60))});
  REQUIRE(next.block);
  CHECK(*next.block->canary.latency == Histogram{{0.5}, {117, 0}});
  CHECK(*next.block->canary.pods[0].latency == Histogram{{0.5}, {7, 0}});
  CHECK_FALSE(next.block->canary.pods[1].latency);
  CHECK(next.block->canary.pods[1].age);
  CHECK_FALSE(next.block->baseline.pods[0].latency);
}

TEST_CASE("a gauge is the mean over the span and over the instances that show it") {
  World world({gauge("m{area=~\"a|b\"}")});
  auto m = [](int a, int b) {
    return n(0) + "m{area=\"a\"} " + std::to_string(a) + "\nm{area=\"b\"} " + std::to_string(b) +
           "\nm{area=\"c\"} 1000\n";
  };
  world.round({n(0)}, {m(900, 0), m(900, 0), n(0)});
  CHECK_FALSE(world.round({"!refused"}, {m(1, 1), m(10, 10), n(0)}).block);
  Collected next = world.round({n(0)}, {m(2, 2), m(20, 20), n(0)});
  REQUIRE(next.block);
  REQUIRE(next.block->canary.values.size() == 1);
  CHECK(next.block->canary.values[0].name == "memory");
  CHECK(next.block->canary.values[0].value == (3.0 + 30.0) / 2);
  CHECK(next.block->baseline.values.empty());
}

TEST_CASE("a gauge that is no number is left out and told") {
  World world({gauge("m")});
  world.round({n(0)}, {n(0)});
  Collected next = world.round({n(0) + "m -3\n"}, {n(0) + "m{x=\"1\"} NaN\nm{x=\"2\"} 5\n"});
  REQUIRE(next.block);
  CHECK(next.block->baseline.values.at(0).value == -3);
  CHECK(next.block->canary.values.empty());
  CHECK(next.trouble == "canary 0: 1 metrics left out whose value is not finite (memory is nan)");
}

TEST_CASE("a rate is growth per second and instance") {
  World world({rate(ValueSeries::Per::Instance)});
  auto r = [](int count) { return n(0) + "r " + std::to_string(count) + "\n"; };
  world.round({r(100)}, {r(0), r(0)});
  Collected next = world.round({r(150)}, {r(5), r(10)});
  REQUIRE(next.block);
  CHECK(next.block->baseline.values.at(0).value == 10);
  CHECK(next.block->canary.values.at(0).value == 1.5);
}

TEST_CASE("a counter per request is its growth by the version's requests") {
  World world({rate(ValueSeries::Per::Request)});
  auto r = [](int count, int requests) {
    return n(requests) + "r " + std::to_string(count) + "\n";
  };
  world.round({r(0, 0)}, {r(0, 0)});
  Collected next = world.round({r(30, 10)}, {r(30, 0)});
  REQUIRE(next.block);
  CHECK(next.block->baseline.values.at(0).value == 3);
  CHECK(next.block->canary.values.empty());
}

TEST_CASE("saved and loaded at any round it makes the same blocks as without a break") {
  std::vector<ValueSeries> values = {gauge("m"), rate(ValueSeries::Per::Request)};
  auto page = [](int i, double start) {
    return started(start, n(3 * i, i / 2) + h(5 * i, i % 3 + i) + "m 0." + std::to_string(i) +
                              "\nr " + std::to_string(7 * i) + "\n");
  };
  // The canary is away twice and restarts in round 8, unseen by its counters, while a baseline
  // target is away; that one is away again from round 10 on, until it is given up.
  auto play = [&](World& world, int i) {
    std::string canary = i == 4 || i == 6 ? "!refused" : page(i > 7 ? i + 1 : i, i > 7 ? -38 : 50);
    std::string second = i == 8 || (i >= 10 && i <= 13) ? "!refused" : page(2 * i, 10);
    return world.round({page(i, 5000), second}, {canary});
  };
  World unbroken(values);
  std::vector<std::string> blocks;
  for (int i = 0; i < 17; ++i) blocks.push_back(bits(play(unbroken, i).block));
  CHECK(blocks[5] != "none");
  CHECK(blocks[6] == "none");
  CHECK(blocks[8] == "none");
  CHECK(blocks[9] != "none");
  CHECK(blocks[11] == "none");
  CHECK(blocks[12] != "none");
  for (int killed = 0; killed < 16; ++killed) {
    CAPTURE(killed);
    World world(values);
    for (int i = 0; i < 17; ++i) {
      CHECK(bits(play(world, i).block) == blocks[static_cast<std::size_t>(i)]);
      if (i == killed) CHECK(world.load(world.saved()));
    }
  }
}

TEST_CASE("what is loaded covers the time in which davy was away") {
  World world;
  world.round({n(0)}, {n(0)});
  CHECK(world.load(world.saved()));
  world.pass(55s);
  Collected next = world.round({n(60)}, {n(6)});
  REQUIRE(next.block);
  CHECK(next.block->dt == 60);
  CHECK(next.block->baseline.requests == 60);
}

TEST_CASE("after a reboot of the machine nothing counts before the first reading") {
  for (Duration uptime : {Duration(20s), Duration(1h)}) {
    CAPTURE(seconds(uptime));
    World world;
    world.round({n(0)}, {n(0)});
    world.round({n(10)}, {n(10)});
    CHECK(world.load(world.saved()));
    world.wall += 60'000;
    world.now = Time{uptime};
    CHECK_FALSE(world.round({n(60)}, {n(6)}).block);
    Collected next = world.round({n(61)}, {n(8)});
    REQUIRE(next.block);
    CHECK(next.block->dt == 5);
    CHECK(next.block->baseline.requests == 1);
    CHECK(next.block->canary.requests == 2);
    CHECK(next.block->canary.pods[0].restarts == 0);
  }
}

TEST_CASE("an archive that is cut, or of other rules, is refused") {
  World world({gauge("m")});
  world.round({started(5, n(1) + h(1, 2) + "m 1\n")}, {n(1)});
  world.round({started(5, n(2) + h(2, 3) + "m 1\n")}, {"!refused"});
  std::string bytes = world.saved();
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    CAPTURE(length);
    CHECK_FALSE(world.load(bytes.substr(0, length)));
  }
  CHECK(world.load(bytes));
  World other({gauge("m{area=\"a\"}")});
  CHECK_FALSE(other.load(bytes));
}

TEST_CASE("an archive with any byte changed is refused or harmless") {
  World world({gauge("m"), rate(ValueSeries::Per::Instance)});
  world.round({started(5, n(1) + h(1, 2) + "m 1\nr 1\n")}, {n(1)});
  world.round({started(5, n(2) + h(2, 3) + "m 1\nr 3\n")}, {"!refused"});
  std::string bytes = world.saved();
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (char flip : {'\x01', '\x80', '\xff'}) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ flip);
      World fresh({gauge("m"), rate(ValueSeries::Per::Instance)});
      if (!fresh.load(changed)) continue;
      fresh.round({started(5, n(3) + h(3, 3) + "m 1\nr 4\n")}, {n(2)});
      fresh.round({started(5, n(4) + h(3, 4) + "m 1\nr 5\n")}, {n(3)});
    }
  }
}

TEST_CASE("with all the traffic on the canary the baseline may be gone") {
  World world;
  world.round({n(100)}, {n(100)});
  for (int i = 0; i < 4; ++i) world.round({"!refused"}, {n(200 + i)});
  CHECK(world.round({"!refused"}, {n(300)}).blind);
  world.canary_alone = true;
  Collected collected = world.round({"!refused"}, {n(400)});
  CHECK_FALSE(collected.blind);
  REQUIRE(collected.block);
  CHECK(collected.block->canary.requests == 100);
  CHECK(collected.block->baseline.requests == 0);
  CHECK_FALSE(world.round({"!refused"}, {"!refused"}).block);
}

TEST_CASE(
    "a target that is not to be waited for holds up no block, and begins anew when it is back") {
  World world;
  auto look = [&](const std::string& baseline, const std::string& canary) {
    world.pass(5s);
    std::vector<Answer> answers;
    answers.push_back({"a",
                       "a",
                       "a",
                       {Side::Baseline},
                       *read_metrics(baseline, world.rules, {{Side::Baseline}}, 9)});
    answers.push_back(
        {"b", "b", "b", {Side::Canary}, *read_metrics(n(1), world.rules, {{Side::Canary}}, 9)});
    answers.push_back({"c", "c", "c", {Side::Canary}, Error{"late"}});
    answers.back().is_waited_for = false;
    if (!canary.empty())
      answers.back().reading = *read_metrics(canary, world.rules, {{Side::Canary}}, 9);
    return world.rounds->finish_round(answers, world.now, world.wall);
  };
  look(n(1), n(10));
  Collected late = look(n(2), "");
  REQUIRE(late.block);
  CHECK(late.trouble == "c: late (not waited for)");
  CHECK(late.block->canary.pods.size() == 1);
  CHECK(look(n(3), n(500)).block->canary.requests == 0);
  CHECK(look(n(4), n(507)).block->canary.requests == 7);
}

TEST_CASE("earlier readings of a round are counted one by one, and in their order") {
  World world;
  auto at = [&](double t, const std::string& page, Side side) {
    Reading reading = *read_metrics(page, world.rules, {{side}}, 9);
    reading.at = t;
    return reading;
  };
  auto look = [&](double t, int ok, std::vector<Reading> earlier) {
    world.pass(5s);
    std::vector<Answer> answers;
    answers.push_back(
        {"a", "a", "a", {Side::Baseline}, at(t, n(static_cast<int>(t)), Side::Baseline)});
    answers.push_back({"b", "b", "b", {Side::Canary}, at(t, n(ok), Side::Canary)});
    answers.back().earlier = std::move(earlier);
    return world.rounds->finish_round(answers, world.now, world.wall);
  };
  look(100, 100, {at(90, n(90), Side::Canary)});
  std::vector<Reading> turns = {at(103, n(150), Side::Canary), at(104, n(5), Side::Canary)};
  Collected second = look(105, 200, turns);
  REQUIRE(second.block);
  CHECK(second.block->canary.requests == 250);
  CHECK(second.block->canary.pods.at(0).restarts == 1);
  Collected third = look(110, 201, turns);  // told again
  CHECK(third.block->canary.requests == 1);
  CHECK(third.block->canary.pods.at(0).restarts == 0);
}

TEST_CASE("a target of own metrics alone keeps no side alive, and nobody misses its requests") {
  World world({gauge("q")});
  auto look = [&](bool has_canary) {
    world.pass(5s);
    std::vector<Answer> answers;
    answers.push_back(
        {"a", "a", "a", {Side::Baseline}, *read_metrics(n(1), world.rules, {{Side::Baseline}}, 9)});
    answers.push_back(
        {"q", "q", "", {Side::Canary}, *read_metrics("q 5\n", world.rules, {{Side::Canary}}, 9)});
    answers.back().counts_requests = false;
    if (has_canary)
      answers.push_back(
          {"b", "b", "b", {Side::Canary}, *read_metrics(n(1), world.rules, {{Side::Canary}}, 9)});
    return world.rounds->finish_round(answers, world.now, world.wall);
  };
  CHECK(look(true).trouble == "");
  Collected second = look(true);
  CHECK(second.trouble == "");
  CHECK(second.canary_targets == 1);
  REQUIRE(second.block);
  CHECK(second.block->canary.values.at(0).value == 5);
  CHECK(second.block->canary.pods.size() == 1);
  Collected alone = look(false);
  CHECK(alone.blind);
  CHECK_FALSE(alone.block);
  CHECK(alone.trouble == "no canary target answers");
}
