#include "sources/exchange/gathering.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "base/archive.h"
#include "davy/sketch.h"

using namespace davy;
using namespace davy::source;
using namespace std::chrono_literals;

namespace {

constexpr ExchangeMillis kStart = 1'800'000'000'000;

/// One instance, as its publisher sees it. Slots are 5 s, counted from the run's beginning.
struct Instance {
  std::string version;
  std::string name;
  std::uint64_t incarnation = 1;
  std::uint64_t sequence = 0;

  ExchangeBlock block(int from, int to, double requests = 100, double errors = 0) {
    return {.deployment = "shop",
            .version = version,
            .instance = name,
            .incarnation = incarnation,
            .sequence = ++sequence,
            .from = kStart + from * 1000,
            .to = kStart + to * 1000,
            .requests = requests,
            .errors = errors};
  }
};

/// A judge that reads, on a time that the test moves. It begins a moment before the first slot.
struct World {
  std::vector<Rules::Value> values;
  std::optional<Gathering> gathering;
  Time now{100s};
  ExchangeMillis clock = kStart - 1;
  std::map<std::string, double> events;
  std::string trouble;
  bool canary_alone = false;

  explicit World(std::vector<Rules::Value> values = {}) : values(std::move(values)) {
    gathering.emplace(rules());
    gathering->begin(clock);
  }

  GatheringRules rules() const {
    return {.deployment = "shop",
            .baseline = "v1",
            .canary = "v2",
            .values = values,
            .patience = 30s,
            .settle = 2s};
  }

  /// Moves the time to so many seconds after the run's beginning.
  void to(double seconds) {
    ExchangeMillis next = kStart + static_cast<ExchangeMillis>(seconds * 1000);
    now = now + std::chrono::milliseconds(next - clock);
    clock = next;
  }
  void take(const ExchangeBlock& block) { gathering->take(block, clock, now); }
  Collected round() {
    Collected collected = gathering->finish_round(clock, now, canary_alone);
    for (const SourceEvent& event : collected.events) {
      CHECK(std::count(Gathering::events().begin(), Gathering::events().end(), event.name) == 1);
      events[std::string(event.name)] += event.times;
    }
    trouble = collected.trouble;
    return collected;
  }
  /// "15 s: v1 200 of 2, v2 100 of 1": length, requests and instances; "none" without a block.
  std::string block() {
    Collected collected = round();
    if (!collected.block) return "none";
    const Block& b = *collected.block;
    return fmt::format("{:g} s: v1 {:g} of {}, v2 {:g} of {}", b.dt, b.baseline.requests,
                       b.baseline.pods.size(), b.canary.requests, b.canary.pods.size());
  }

  std::string saved() {
    Archive out = Archive::writer();
    out(*gathering);
    return out.bytes();
  }
  bool load(std::string bytes) {
    gathering.emplace(rules());
    Archive in = Archive::reader(std::move(bytes));
    in(*gathering);
    return !in.failed() && in.at_end();
  }
};

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a block is made when every instance has reached the boundary, and not before") {
  World world;
  Instance a{"v1", "a"};
  Instance b{"v2", "b"};
  world.to(5.1);
  world.take(a.block(0, 5, 300));
  CHECK(world.block() == "none");  // others may have reached it a moment later
  world.take(b.block(0, 5, 20));
  world.to(7.1);
  CHECK(world.block() == "5 s: v1 300 of 1, v2 20 of 1");
  CHECK(world.trouble == "");
  world.to(12);
  world.take(a.block(5, 10));
  CHECK(world.block() == "none");
  world.to(17);
  world.take(b.block(5, 10));
  world.take(b.block(10, 15));
  CHECK(world.block() == "5 s: v1 100 of 1, v2 100 of 1");
  CHECK(world.block() == "none");
  CHECK(world.events["merged_requests"] == 520);
}

TEST_CASE("what has piled up is one block, errors and restarts with it, the youngest age") {
  World world;
  Instance a{"v1", "a"};
  Instance b{"v2", "b"};
  for (int t : {0, 5, 10}) world.take(a.block(t, t + 5, 100, 1));
  for (int t : {0, 5, 10}) {
    ExchangeBlock block = b.block(t, t + 5, 100, 2);
    block.restarts = 1;
    block.age = t;
    world.take(block);
  }
  world.to(20);
  Collected collected = world.round();
  REQUIRE(collected.block);
  CHECK(collected.block->dt == 15);
  CHECK(collected.block->baseline.errors == 3);
  CHECK(collected.block->canary.errors == 6);
  REQUIRE(collected.block->canary.pods.size() == 1);
  CHECK(collected.block->canary.pods[0].id == "b");
  CHECK(collected.block->canary.pods[0].restarts == 3);
  CHECK(collected.block->canary.pods[0].age == 10);
  CHECK(collected.baseline_targets == 1);
  CHECK(collected.canary_targets == 1);
}

TEST_CASE("an instance begins to count at a boundary, never within a span") {
  World world;
  Instance a{"v1", "a"};
  Instance b{"v2", "b"};
  for (int t : {0, 5, 10, 15}) world.take(a.block(t, t + 5));
  for (int t : {10, 15}) world.take(b.block(t, t + 5));
  world.to(30);
  CHECK(world.block() == "10 s: v1 200 of 1, v2 0 of 0");
  CHECK(world.block() == "10 s: v1 200 of 1, v2 200 of 1");
}

TEST_CASE("a block that comes twice counts once") {
  World world;
  Instance a{"v1", "a"};
  Instance b{"v2", "b"};
  ExchangeBlock first = a.block(0, 5);
  for (int i = 0; i < 3; ++i) world.take(first);
  world.take(b.block(0, 5));
  world.to(10);
  CHECK(world.block() == "5 s: v1 100 of 1, v2 100 of 1");
  world.take(first);
  CHECK(world.block() == "none");
  CHECK(world.events["duplicate_blocks"] == 3);
  CHECK(world.events["late_blocks"] == 0);
  CHECK(world.trouble == "");
}

TEST_CASE("an instance that is silent is waited for, then lost, and its late blocks are counted") {
  World world;
  Instance a{"v1", "a"};
  Instance b{"v1", "b"};
  Instance c{"v2", "c"};
  for (Instance* i : {&a, &b, &c}) world.take(i->block(0, 5));
  world.to(8);
  CHECK(world.block() == "5 s: v1 200 of 2, v2 100 of 1");
  for (int t = 5; t < 40; t += 5) {
    for (Instance* i : {&a, &c}) world.take(i->block(t, t + 5));
    world.to(t + 7);
    if (t < 30) {
      CAPTURE(t);
      CHECK(world.block() == "none");
      CHECK(world.trouble == "");
    }
  }
  // It was heard last at 0 s, when its first block was taken.
  CHECK(world.block() == "35 s: v1 700 of 1, v2 700 of 1");
  CHECK(has(world.trouble, "baseline b: lost, it has said nothing for"));
  CHECK(world.events["instance_lost"] == 1);
  // It was only away, and brings what it counted: of a span that is judged.
  world.take(b.block(5, 40, 777));
  CHECK(world.events["late_blocks"] == 0);
  CHECK(world.block() == "none");
  CHECK(world.events["late_blocks"] == 1);
  CHECK(world.events["late_requests"] == 777);
  for (Instance* i : {&a, &b, &c}) world.take(i->block(40, 45));
  world.to(47);
  CHECK(world.block() == "5 s: v1 200 of 2, v2 100 of 1");
  CHECK(world.trouble == "");
}

TEST_CASE("an instance that comes back in time loses nothing: its long block is waited for") {
  World world;
  Instance a{"v1", "a"};
  Instance b{"v2", "b"};
  for (int t : {0, 5, 10, 15}) world.take(a.block(t, t + 5));
  world.take(b.block(0, 5));
  world.to(22);
  CHECK(world.block() == "5 s: v1 100 of 1, v2 100 of 1");
  world.take(b.block(5, 20, 300));
  CHECK(world.block() == "15 s: v1 300 of 1, v2 300 of 1");
}

TEST_CASE("a hole in an instance's numbers is waited for, and filled when its block comes") {
  World world;
  Instance a{"v1", "a"};
  Instance b{"v2", "b"};
  for (int t : {0, 5, 10}) world.take(a.block(t, t + 5));
  ExchangeBlock first = b.block(0, 5);
  ExchangeBlock second = b.block(5, 10);
  ExchangeBlock third = b.block(10, 15);
  world.take(first);
  world.take(third);
  world.to(20);
  CHECK(world.block() == "5 s: v1 100 of 1, v2 100 of 1");
  CHECK(world.block() == "none");
  CHECK(has(world.trouble, "canary b: waiting for 1 of its blocks"));
  world.take(second);
  CHECK(world.block() == "10 s: v1 200 of 1, v2 200 of 1");
  CHECK(world.trouble == "");
}

TEST_CASE("a hole that nothing fills is told, and its instance counts again behind it") {
  World world;
  Instance a{"v1", "a"};
  Instance b{"v2", "b"};
  for (int t = 0; t < 15; t += 5) world.take(a.block(t, t + 5));
  world.take(b.block(0, 5));
  ExchangeBlock gone = b.block(5, 10);
  world.take(b.block(10, 15));
  CHECK(world.block() == "none");
  for (int t = 15; t < 45; t += 5) {
    for (Instance* i : {&a, &b}) world.take(i->block(t, t + 5));
    world.to(t + 7);
  }
  CHECK(world.block() == "5 s: v1 100 of 1, v2 100 of 1");
  CHECK(world.events["lost_blocks"] == 1);
  CHECK(has(world.trouble, "canary b: 1 block was lost on the way") ==
        has(world.trouble, "was lost"));
  CHECK(world.block() == "5 s: v1 100 of 1, v2 0 of 0");
  CHECK(world.block() == "35 s: v1 700 of 1, v2 700 of 1");
  // Then it comes after all.
  world.take(gone);
  world.take(gone);
  world.block();
  CHECK(world.events["late_blocks"] == 1);
  CHECK(world.events["duplicate_blocks"] == 1);
}

TEST_CASE("an instance that says that it leaves is not waited for, and nobody is told") {
  World world;
  Instance a{"v1", "a"};
  Instance b{"v1", "b"};
  Instance c{"v2", "c"};
  for (Instance* i : {&a, &b, &c}) world.take(i->block(0, 5));
  ExchangeBlock last = b.block(5, 10, 7);
  last.is_last = true;
  world.take(last);
  for (Instance* i : {&a, &c}) world.take(i->block(5, 10));
  world.to(12);
  CHECK(world.block() == "10 s: v1 307 of 2, v2 200 of 1");
  for (int t = 10; t < 100; t += 5) {
    for (Instance* i : {&a, &c}) world.take(i->block(t, t + 5));
    world.to(t + 7);
    CHECK(world.block() == "5 s: v1 100 of 1, v2 100 of 1");
    CHECK(world.trouble == "");
  }
  CHECK(world.gathering->describe() == "1 baseline and 1 canary instances");
  // With its memory it goes on where it was.
  world.take(b.block(100, 105));
  for (Instance* i : {&a, &c}) world.take(i->block(100, 105));
  world.to(107);
  CHECK(world.block() == "5 s: v1 200 of 2, v2 100 of 1");
}

TEST_CASE("an instance that was restarted without its memory is not waited for as what it was") {
  World world;
  Instance a{"v1", "a"};
  Instance before{"v2", "b", 1};
  Instance after{"v2", "b", 2};
  for (int t : {0, 5, 10, 15, 20}) world.take(a.block(t, t + 5));
  world.take(before.block(0, 5));
  world.take(after.block(10, 15));
  world.take(after.block(15, 20));
  world.to(27);
  CHECK(world.block() == "5 s: v1 100 of 1, v2 100 of 1");
  CHECK(world.block() == "5 s: v1 100 of 1, v2 0 of 0");
  CHECK(world.block() == "10 s: v1 200 of 1, v2 200 of 1");
  CHECK(world.trouble == "");
}

TEST_CASE("two sidecars with one name count both, and somebody is told") {
  World world;
  Instance a{"v1", "a"};
  Instance one{"v2", "b", 1};
  Instance other{"v2", "b", 2};
  for (Instance* i : {&a, &one, &other}) world.take(i->block(0, 5));
  for (Instance* i : {&a, &one, &other}) world.take(i->block(5, 10));
  world.to(12);
  CHECK(world.block() == "10 s: v1 200 of 1, v2 400 of 2");
  Instance late{"v2", "b", 3};
  world.take(late.block(10, 15));
  for (Instance* i : {&a, &one, &other}) world.take(i->block(10, 15));
  world.to(17);
  CHECK(world.block() == "5 s: v1 100 of 1, v2 300 of 3");
  CHECK(has(world.trouble, "canary b: two sidecars have this name"));
}

TEST_CASE("two sidecars with one memory are told by their numbers") {
  World world;
  Instance a{"v2", "b"};
  Instance copy{"v2", "b"};
  world.take(a.block(0, 5, 100));
  world.take(copy.block(0, 5, 50));
  world.to(7);
  world.round();
  CHECK(has(world.trouble, "canary b: two blocks have the number 1"));
  CHECK(world.events["instance_twins"] == 1);
}

TEST_CASE("a span that ends in the future is a wrong clock's, and is not judged") {
  World world;
  Instance a{"v2", "b"};
  world.to(5);
  world.take(a.block(3600, 3605));
  world.round();
  CHECK(
      has(world.trouble, "canary b: a block ends 1h after now and is not judged (a wrong clock?)"));
  CHECK(world.events["clock_skew"] == 1);
  world.take(a.block(0, 5));
  world.to(7);
  CHECK(world.gathering->describe() == "0 baseline and 1 canary instances");
}

TEST_CASE("what was served before the run is not of it") {
  World world;
  Instance a{"v1", "a"};
  Instance b{"v2", "b"};
  for (Instance* i : {&a, &b}) world.take(i->block(-1000, -5));
  for (Instance* i : {&a, &b}) world.take(i->block(-5, 5));
  for (Instance* i : {&a, &b}) world.take(i->block(5, 10));
  world.to(12);
  CHECK(world.block() == "5 s: v1 100 of 1, v2 100 of 1");
  CHECK(world.events["late_blocks"] == 0);
  // Read again from the stream's beginning.
  Instance old{"v2", "b", 7};
  world.take(old.block(-2000, -1900));
  for (Instance* i : {&a, &b}) world.take(i->block(10, 15));
  world.to(17);
  CHECK(world.block() == "5 s: v1 100 of 1, v2 100 of 1");
  CHECK(world.trouble == "");
}

TEST_CASE("other deployments and versions are nobody here") {
  World world;
  Instance a{"v1", "a"};
  Instance b{"v3", "b"};
  ExchangeBlock foreign = a.block(0, 5);
  foreign.deployment = "cart";
  foreign.incarnation = 9;
  world.take(foreign);
  a.sequence = 0;
  world.take(a.block(0, 5));
  world.take(b.block(0, 5));
  world.to(7);
  CHECK(world.block() == "5 s: v1 100 of 1, v2 0 of 0");
  // As long as the canary may still come nobody is told; then it looks like a misprint.
  for (int t = 5; t < 40; t += 5) {
    world.take(a.block(t, t + 5));
    world.take(b.block(t, t + 5));
    world.to(t + 7);
    CHECK(world.block() == "5 s: v1 100 of 1, v2 0 of 0");
  }
  CHECK(world.trouble == "no instance of the canary v2 publishes (others publish v3)");
}

TEST_CASE("before there is a canary the baseline is learned from") {
  World world;
  Instance a{"v1", "a"};
  for (int t = 0; t < 100; t += 5) {
    world.take(a.block(t, t + 5));
    world.to(t + 7);
    Collected collected = world.round();
    REQUIRE(collected.block);
    CHECK_FALSE(collected.blind);
    CHECK(collected.trouble == "");
  }
}

TEST_CASE("a run is blind without a baseline, and without the canary that it had") {
  World world;
  Instance a{"v1", "a"};
  Instance b{"v2", "b"};
  world.to(1);
  CHECK_FALSE(world.round().blind);  // they may still come
  for (Instance* i : {&a, &b}) world.take(i->block(0, 5));
  world.to(7);
  CHECK(world.block() == "5 s: v1 100 of 1, v2 100 of 1");
  for (int t = 5; t < 50; t += 5) {
    world.take(a.block(t, t + 5));
    world.to(t + 7);
  }
  Collected collected = world.round();
  CHECK(collected.blind);
  CHECK(has(collected.trouble, "no instance of the canary v2 publishes any more"));
  CHECK_FALSE(collected.block);
  CHECK(world.events["unjudged_requests"] == 900);

  World headless;
  for (int t = 0; t < 50; t += 5) {
    headless.take(b.block(t, t + 5));
    headless.to(t + 7);
    collected = headless.round();
  }
  CHECK(collected.blind);
  CHECK(has(collected.trouble, "no instance of the baseline v1 publishes"));
  headless.canary_alone = true;
  headless.take(b.block(50, 55));
  headless.to(57);
  CHECK(headless.block() == "5 s: v1 0 of 0, v2 100 of 1");
}

TEST_CASE("a canary whose last instances left may be gone without an error") {
  World world;
  Instance a{"v1", "a"};
  Instance crashed{"v2", "b"};
  Instance leaves{"v2", "c"};
  for (Instance* i : {&a, &crashed, &leaves}) world.take(i->block(0, 5));
  Collected collected;
  for (int t = 5; t < 60; t += 5) {
    for (Instance* i : {&a, &leaves}) {
      ExchangeBlock block = i->block(t, t + 5);
      block.is_last = i == &leaves && t == 55;
      world.take(block);
    }
    world.to(t + 7);
    world.round();
  }
  world.take(a.block(60, 65));
  world.to(67);
  collected = world.round();
  CHECK_FALSE(collected.blind);
  CHECK(collected.block.has_value());
}

TEST_CASE("while Redis is away nobody is silent") {
  World world;
  Instance a{"v1", "a"};
  Instance b{"v2", "b"};
  for (Instance* i : {&a, &b}) world.take(i->block(0, 5));
  world.to(7);
  world.block();
  world.to(600);
  world.gathering->excuse_silence(world.now);
  for (int t = 5; t < 595; t += 5) world.take(a.block(t, t + 5));
  CHECK(world.block() == "none");
  CHECK(world.trouble == "");
  world.to(605);
  for (int t = 5; t < 595; t += 5) world.take(b.block(t, t + 5));
  CHECK(world.block() == "590 s: v1 11800 of 1, v2 11800 of 1");
  CHECK(world.events["instance_lost"] == 0);
}

TEST_CASE("latencies are merged bucket by bucket, and a young instance's are told apart") {
  World world;
  Instance a{"v1", "a"};
  Instance b{"v2", "b"};
  Instance c{"v2", "c"};
  Sketch fast;
  Sketch slow;
  for (int i = 0; i < 50; ++i) {
    fast.insert(0.01);
    slow.insert(0.3);
  }
  for (Instance* i : {&a, &b, &c}) {
    ExchangeBlock block = i->block(0, 5);
    block.latency = (i == &c ? slow : fast).histogram();
    block.age = i == &c ? 20 : 5000;
    world.take(*decode(*encode(block)));
  }
  world.to(7);
  Collected collected = world.round();
  REQUIRE(collected.block);
  Sketch both = fast;
  both.merge(slow);
  CHECK(collected.block->baseline.latency == fast.histogram());
  CHECK(collected.block->canary.latency == both.histogram());
  REQUIRE(collected.block->canary.pods.size() == 2);
  CHECK_FALSE(collected.block->canary.pods[0].latency);
  CHECK(collected.block->canary.pods[1].latency == slow.histogram());
}

TEST_CASE("own metrics are means over time and instances, and only like is merged with like") {
  World world({{.name = "memory", .series = {}},
               {.name = "reads", .series = {}, .is_counter = true},
               {.name = "per_request", .series = {}, .is_counter = true, .per_request = true}});
  Instance a{"v1", "a"};
  Instance b{"v2", "b"};
  Instance c{"v2", "c"};
  auto with = [](ExchangeBlock block, double memory, double reads, double per_request) {
    using enum ValueSeries::Kind;
    using enum ValueSeries::Per;
    block.values = {{"memory", Gauge, ValueSeries::Per::Instance, memory},
                    {"reads", Rate, ValueSeries::Per::Instance, reads},
                    {"per_request", Rate, Request, per_request},
                    {"unwanted", Gauge, ValueSeries::Per::Instance, 1}};
    return block;
  };
  world.take(with(a.block(0, 15, 300), 10, 1, 2));
  world.take(with(b.block(0, 5, 100), 10, 4, 3));
  world.take(with(b.block(5, 15, 100), 40, 1, 5));
  world.take(with(c.block(0, 15, 600), 10, 2, 1));
  world.to(17);
  Collected collected = world.round();
  REQUIRE(collected.block);
  auto value = [](const VersionCounts& counts, std::size_t i) { return counts.values.at(i).value; };
  CHECK(value(collected.block->baseline, 0) == doctest::Approx(10));
  CHECK(value(collected.block->canary, 0) == doctest::Approx((30 + 10) / 2.0));
  CHECK(value(collected.block->canary, 1) == doctest::Approx((2 + 2) / 2.0));
  CHECK(value(collected.block->canary, 2) == doctest::Approx((300 + 500 + 600) / 800.0));
  CHECK(world.trouble == "");

  ExchangeBlock wrong = a.block(15, 20);
  wrong.values = {{"reads", ValueSeries::Kind::Gauge, ValueSeries::Per::Instance, 1}};
  world.take(wrong);
  world.take(b.block(15, 20));
  world.take(c.block(15, 20));
  world.to(22);
  collected = world.round();
  REQUIRE(collected.block);
  CHECK(collected.block->baseline.values.empty());
  CHECK(has(world.trouble, "reads is published as another kind of metric"));
}

TEST_CASE("instances whose slots differ are compared where they end together, or told") {
  World world;
  Instance a{"v1", "a"};
  Instance b{"v2", "b"};
  world.to(60);
  for (int t = 0; t < 70; t += 5) world.take(a.block(t, t + 5));
  for (int t = 0; t < 70; t += 7) world.take(b.block(t, t + 7));
  CHECK(world.block() == "35 s: v1 700 of 1, v2 500 of 1");
  world.to(80);
  CHECK(world.block() == "35 s: v1 700 of 1, v2 500 of 1");
  CHECK(world.trouble == "");

  World never;
  Instance c{"v1", "a"};
  Instance d{"v2", "b"};
  double judged = 0;
  for (int t = 0; t < 100; t += 5) {
    never.to(t + 7);
    never.take(c.block(t, t + 5));
    never.take(d.block(t + 1, t + 6));
    auto block = never.round().block;
    if (!block) continue;
    judged += block->baseline.requests + block->canary.requests;
    if (t > 10) CHECK(has(never.trouble, "the instances' blocks never end together"));
  }
  CHECK(judged > 2500);
  CHECK(never.events["late_blocks"] == 0);
}

TEST_CASE("there is an end to how many instances and blocks are remembered") {
  World world;
  for (int i = 0; i < 1001; ++i) {
    Instance one{"v1", "i" + std::to_string(i)};
    world.take(one.block(0, 5));
  }
  world.to(7);
  Collected collected = world.round();
  REQUIRE(collected.block);
  CHECK(collected.block->baseline.pods.size() == 1000);
  CHECK(has(world.trouble, "more than 1000 instances publish"));
  CHECK(world.events["refused_blocks"] == 1);
  // A day after they were lost there is room again.
  world.to(40);
  world.round();
  world.to(40 + 25 * 3600);
  world.round();
  Instance fresh{"v1", "fresh"};
  world.take(fresh.block(90'000, 90'005));
  CHECK(world.gathering->describe() == "1 baseline and 0 canary instances");
}

TEST_CASE("a gathering that is loaded goes on as if it had never stopped, and takes no rubbish") {
  World world;
  Instance a{"v1", "a"};
  Instance b{"v2", "b"};
  ExchangeBlock twice = a.block(0, 5);
  world.take(twice);
  world.take(b.block(0, 5));
  world.to(7);
  world.round();
  world.take(a.block(5, 10));
  std::string saved = world.saved();
  REQUIRE(world.load(saved));
  CHECK(world.saved() == saved);
  world.take(twice);
  world.take(b.block(5, 10));
  world.to(12);
  CHECK(world.block() == "5 s: v1 100 of 1, v2 100 of 1");
  CHECK(world.events["duplicate_blocks"] == 1);

  CHECK_FALSE(world.load(saved.substr(0, saved.size() - 1)));
  std::mt19937_64 random(5);
  for (int i = 0; i < 2000; ++i) {
    std::string hit = saved;
    hit[random() % hit.size()] = static_cast<char>(random());
    World other;
    if (other.load(hit)) other.round();
  }
}

// What instances publish arrives in any order, twice, from stream and outbox; the judge is killed
// and started again from what it saved; instances come, leave, and are restarted with their memory.
TEST_CASE("whatever the order in which blocks come, what is judged is what was published") {
  for (unsigned seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    auto below = [&](std::uint64_t n) { return static_cast<int>(random() % n); };
    struct Sent {
      double due;  // seconds; in the order of which they come
      ExchangeBlock block;
    };
    std::vector<Sent> sent;
    double published[2] = {0, 0};
    constexpr int kEnd = 300;
    int instances = 2 + below(5);
    for (int i = 0; i < instances; ++i) {
      bool is_canary = i == 1 || (i > 1 && below(2) == 0);
      Instance one{is_canary ? "v2" : "v1", "i" + std::to_string(i), random() | 1};
      int begin = i < 2 ? 0 : 5 * below(20);
      int end = i < 2 ? kEnd : kEnd - 5 * below(20);
      for (int t = begin; t < end;) {
        // Now and then its davy is killed, and the next block is a long one.
        int length = t > begin && below(10) == 0 ? 5 * (1 + below(4)) : 5;
        length = std::min(length, end - t);
        ExchangeBlock block = one.block(t, t + length, below(1000), 0);
        t += length;
        block.errors = below(static_cast<std::uint64_t>(block.requests) + 1);
        block.is_last = t == end;
        published[is_canary] += block.requests;
        // An instance's first block is there in time; others may be late, but not for too long.
        double delay = block.sequence == 1 ? 1.9 : below(10) == 0 ? below(12) : 0.1 * below(19);
        for (int copies = 1 + (below(4) == 0 ? below(3) : 0); copies > 0; --copies)
          sent.push_back({t + delay + (copies > 1 ? below(100) : 0), block});
      }
    }
    std::stable_sort(sent.begin(), sent.end(),
                     [](const Sent& a, const Sent& b) { return a.due < b.due; });

    World world;
    double judged[2] = {0, 0};
    double judged_seconds = 0;
    std::size_t next = 0;
    std::string saved = world.saved();
    std::size_t saved_next = 0;
    double saved_judged[2] = {0, 0};
    double saved_seconds = 0;
    for (double t = 3; t < kEnd + 150; t += 5) {
      world.to(t);
      for (; next < sent.size() && sent[next].due <= t; ++next) world.take(sent[next].block);
      if (auto block = world.round().block) {
        judged[0] += block->baseline.requests;
        judged[1] += block->canary.requests;
        judged_seconds += block->dt;
      }
      int fate = below(8);
      if (fate == 0) {  // killed before it could save: all since then happens again
        REQUIRE(world.load(saved));
        next = saved_next;
        std::copy(saved_judged, saved_judged + 2, judged);
        judged_seconds = saved_seconds;
      } else if (fate != 1) {
        saved = world.saved();
        saved_next = next;
        std::copy(judged, judged + 2, saved_judged);
        saved_seconds = judged_seconds;
        if (fate == 2) REQUIRE(world.load(saved));  // killed after it
      }
    }
    CHECK(judged[0] == published[0]);
    CHECK(judged[1] == published[1]);
    CHECK(judged_seconds == kEnd);
    CHECK(world.events["late_blocks"] == 0);
    CHECK(world.events["lost_blocks"] == 0);
    CHECK(world.events["instance_lost"] == 0);
  }
}
