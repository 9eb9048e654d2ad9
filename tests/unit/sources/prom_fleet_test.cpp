#include "sources/prometheus/fleet.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>

using namespace davy;
using namespace davy::source;
using namespace std::chrono_literals;

namespace {

using Samples = std::vector<PromSample>;

/// What a Prometheus has stored of both versions, and the rounds that look at it.
struct World {
  Rules rules;
  FleetSetup setup;
  std::array<std::vector<PromTable>, 2> tables;
  Rounds rounds;
  Time now{100s};
  Fleet fleet;

  explicit World(const std::vector<ValueSeries>& values = {}, bool has_instances = true)
      : rules(*Rules::compile(
            {.counter = {"n"}, .error_when = {"code=~\"5..\""}, .errors = {}, .histogram = {"h"}},
            values)),
        setup{.rules = rules,
              .when = {*Matchers::parse("version=\"v1\""), *Matchers::parse("version=\"v2\"")},
              .asked_for = {"{version=\"v1\"}", "{version=\"v2\"}"},
              .instance_label = "",
              .has_instances = has_instances},
        rounds(rules) {}

  /// `series` as in "n{pod=\"a\"}"; job, instance and version are added.
  void store(Side side, const std::string& series, const Samples& samples,
             const std::vector<PromHistogram>& histograms = {}) {
    std::size_t brace = series.find('{');
    std::vector<Label> labels = {{"__name__", std::string_view(series).substr(0, brace)}};
    std::string_view rest = std::string_view(series).substr(std::min(brace + 1, series.size()));
    while (rest.size() > 1) {
      std::size_t equals = rest.find('=');
      std::size_t end = rest.find('"', equals + 2);
      labels.push_back({rest.substr(0, equals), rest.substr(equals + 2, end - equals - 2)});
      rest.remove_prefix(std::min(end + 2, rest.size()));
    }
    labels.push_back({"version", side == Side::Baseline ? "v1" : "v2"});
    std::vector<PromTable>& all = tables[index(side)];
    if (all.empty()) all.emplace_back();
    all.front().take({labels, samples, histograms});
  }
  void baseline(const std::string& series, const Samples& samples) {
    store(Side::Baseline, series, samples);
  }
  void canary(const std::string& series, const Samples& samples) {
    store(Side::Canary, series, samples);
  }

  /// Looks at what is stored, which is then forgotten.
  Collected look(double moment) {
    now = now + 15s;
    fleet = read_fleet(tables, setup);
    Collected collected =
        rounds.finish_round(fleet.answers, now, static_cast<WallMillis>(moment * 1000));
    tables = {};
    return collected;
  }
};

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

const PodCounts* pod(const VersionCounts& version, const std::string& id) {
  for (const PodCounts& one : version.pods) {
    if (one.id == id) return &one;
  }
  return nullptr;
}

}  // namespace

TEST_CASE("the newest samples of all instances become one block, and no round waits for them") {
  World world;
  world.baseline("n{pod=\"a\",code=\"200\"}", {{90, 900}, {105, 1000}});
  world.canary("n{pod=\"b\",code=\"200\"}", {{92, 90}, {107, 100}});
  CHECK_FALSE(world.look(110).block);
  world.baseline("n{pod=\"a\",code=\"200\"}", {{105, 1000}, {120, 1090}});
  world.baseline("n{pod=\"a\",code=\"500\"}", {{120, 10}});
  world.baseline("n{pod=\"c\",code=\"200\"}", {{121, 5000}});
  world.canary("n{pod=\"b\",code=\"200\"}", {{107, 100}, {122, 107}});
  Collected second = world.look(125);
  REQUIRE(second.block);
  CHECK(second.trouble == "");
  CHECK(second.block->dt == 15);
  CHECK(second.block->baseline.requests == 100);
  CHECK(second.block->baseline.errors == 10);
  CHECK(second.block->canary.requests == 7);
  REQUIRE(second.block->baseline.pods.size() == 1);
  CHECK(second.block->baseline.pods[0].id == "a");
  CHECK(world.fleet.targets[index(Side::Baseline)] == 2);
  world.baseline("n{pod=\"c\",code=\"200\"}", {{136, 5001}});
  world.canary("n{pod=\"b\",code=\"200\"}", {{122, 107}, {137, 108}});
  Collected third = world.look(140);  // a is gone, and nothing waits for it
  REQUIRE(third.block);
  CHECK(third.trouble == "");
  CHECK(third.block->baseline.requests == 1);
  CHECK(pod(third.block->baseline, "a") == nullptr);
}

TEST_CASE(
    "a counter that was reset and has overtaken its old value between two looks loses nothing") {
  for (bool tells_start : {false, true}) {
    CAPTURE(tells_start);
    World world;
    auto store = [&](const Samples& samples, const Samples& starts) {
      world.baseline("n{pod=\"a\",code=\"200\"}", {{samples.back().t, samples.back().t}});
      world.canary("n{pod=\"b\",code=\"200\"}", samples);
      if (tells_start) world.canary("process_start_time_seconds{pod=\"b\"}", starts);
    };
    store({{100, 100}}, {{100, 50}});
    world.look(101);
    store({{100, 100}, {105, 150}, {110, 5}, {115, 200}},
          {{100, 50}, {105, 50}, {110, 108}, {115, 108}});
    Collected second = world.look(116);
    REQUIRE(second.block);
    CHECK(second.block->canary.requests == 250);
    CHECK(second.block->canary.pods.at(0).restarts == 1);
    CHECK(second.block->canary.pods.at(0).age.has_value() == tells_start);
    store({{105, 150}, {110, 5}, {115, 200}, {120, 201}},
          {{105, 50}, {110, 108}, {115, 108}, {120, 108}});
    Collected third = world.look(121);  // the same reset is still in the window
    REQUIRE(third.block);
    CHECK(third.block->canary.requests == 1);
    CHECK(third.block->canary.pods.at(0).restarts == 0);
  }
}

TEST_CASE("what the old process counted is not taken for the new one's") {
  World world;
  auto baseline = [&](double t) { world.baseline("n{pod=\"a\",code=\"200\"}", {{t, t}}); };
  baseline(100);
  world.canary("n{pod=\"b\",code=\"200\"}", {{100, 5000}});
  world.canary("n{pod=\"b\",code=\"500\"}", {{100, 1000}});
  world.canary("process_start_time_seconds{pod=\"b\"}", {{100, 50}});
  world.look(101);
  baseline(115);
  world.canary("n{pod=\"b\",code=\"200\"}", {{100, 5000}, {115, 7}});
  world.canary("n{pod=\"b\",code=\"500\"}", {{100, 1000}});  // the new one has had no error yet
  world.canary("process_start_time_seconds{pod=\"b\"}", {{100, 50}, {115, 110}});
  Collected second = world.look(116);
  REQUIRE(second.block);
  CHECK(second.block->canary.requests == 7);
  CHECK(second.block->canary.errors == 0);
  CHECK(second.block->canary.pods.at(0).restarts == 1);
  CHECK(second.block->canary.pods.at(0).age == 6);
}

TEST_CASE("another container's restart in the same pod resets nothing") {
  World world;
  auto store = [&](double t, double n, double start) {
    world.baseline("n{pod=\"a\",code=\"200\"}", {{t, t}});
    world.canary("n{pod=\"b\",job=\"envoy\",instance=\"1:15090\",code=\"200\"}", {{t, n}});
    world.canary("process_start_time_seconds{pod=\"b\",job=\"app\",instance=\"1:80\"}",
                 {{t, start}});
  };
  store(100, 5000, 50);
  world.look(101);
  store(115, 5001, 110);
  Collected second = world.look(116);
  REQUIRE(second.block);
  CHECK(second.trouble == "");
  CHECK(second.block->canary.requests == 1);
  CHECK(second.block->canary.pods.size() == 1);
  CHECK(second.block->canary.pods[0].restarts == 0);
}

TEST_CASE("an answer of a replica that scraped earlier is no reset") {
  World world;
  world.baseline("n{pod=\"a\",code=\"200\"}", {{105, 1000}});
  world.canary("n{pod=\"b\",code=\"200\"}", {{105, 100}});
  world.canary("h_bucket{pod=\"b\",le=\"1\"}", {{105, 1}});
  world.canary("h_bucket{pod=\"b\",le=\"+Inf\"}", {{105, 2}});
  world.look(106);
  world.baseline("n{pod=\"a\",code=\"200\"}", {{120, 1010}});
  world.canary("n{pod=\"b\",code=\"200\"}", {{98, 90}});
  world.canary("h_bucket{pod=\"b\",le=\"1\"}", {{98, 1}});
  world.canary("h_bucket{pod=\"b\",le=\"+Inf\"}", {{98, 1}});
  Collected second = world.look(121);
  REQUIRE(second.block);
  CHECK(second.block->canary.requests == 0);
  CHECK(second.block->canary.latency == Histogram{{1}, {0, 0}});
  world.baseline("n{pod=\"a\",code=\"200\"}", {{135, 1020}});
  world.canary("n{pod=\"b\",code=\"200\"}", {{98, 90}, {113, 104}, {128, 109}});
  Collected third = world.look(136);
  REQUIRE(third.block);
  CHECK(third.block->canary.requests == 9);
  CHECK(third.block->canary.pods.at(0).restarts == 0);
}

TEST_CASE("a target scraped by two replicas counts once") {
  World world;
  auto store = [&](double first, double second) {
    world.baseline("n{pod=\"a\",code=\"200\"}", {{second, second}});
    world.canary("n{pod=\"b\",code=\"200\",prometheus_replica=\"p-0\"}", {{first, first}});
    world.canary("n{pod=\"b\",code=\"200\",prometheus_replica=\"p-1\"}", {{second, second}});
  };
  store(100, 105);
  world.look(106);
  store(115, 120);
  Collected second = world.look(121);
  REQUIRE(second.block);
  CHECK(second.trouble == "");
  CHECK(second.block->canary.requests == 15);
}

TEST_CASE("a histogram is read where all of its buckets were written at once") {
  World world;
  auto store = [&](const Samples& low, const Samples& high, const Samples& all) {
    for (Side side : kSides) {
      world.store(side, "n{pod=\"x\",code=\"200\"}", all);
      world.store(side, "h_bucket{pod=\"x\",le=\"0.1\"}", low);
      world.store(side, "h_bucket{pod=\"x\",le=\"0.5\"}", high);
      world.store(side, "h_bucket{pod=\"x\",le=\"+Inf\"}", all);
    }
  };
  store({{100, 10}}, {{100, 20}}, {{100, 30}});
  world.look(101);
  // One store has shown the new scrape's first bucket, the others not yet.
  store({{100, 10}, {115, 60}}, {{100, 20}}, {{100, 30}});
  Collected torn = world.look(116);
  REQUIRE(torn.block);
  CHECK(torn.block->canary.latency == Histogram{{0.1, 0.5}, {0, 0, 0}});
  store({{100, 10}, {115, 60}}, {{100, 20}, {115, 70}}, {{100, 30}, {115, 90}});
  Collected whole = world.look(117);
  REQUIRE(whole.block);
  CHECK(whole.block->canary.latency == Histogram{{0.1, 0.5}, {50, 0, 10}});
  store({{115, 60}}, {{130, 80}}, {{130, 100}});
  Collected never = world.look(131);
  CHECK(holds(never.trouble, "histograms left out whose buckets were never written at once"));
}

TEST_CASE("native histograms go on when their buckets become wider") {
  World world;
  auto store = [&](double t, const std::vector<PromHistogram::Bucket>& buckets) {
    for (Side side : kSides) {
      world.store(side, "n{pod=\"x\",code=\"200\"}", {{t, t}});
      PromHistogram h{.t = t, .count = 0, .sum = 0, .buckets = buckets};
      for (const PromHistogram::Bucket& bucket : buckets) h.count += bucket.count;
      world.store(side, "h{pod=\"x\"}", {}, {h});
    }
  };
  double root = std::sqrt(2.0);
  store(100, {{0, 0.25, 0.25 * root, 100}, {0, 0.5, 0.5 * root, 10}});
  world.look(101);
  store(115, {{0, 0.25, 0.5, 105}, {0, 0.5, 1, 12}});
  Collected second = world.look(116);
  REQUIRE(second.block);
  CHECK(second.trouble == "");
  REQUIRE(second.block->canary.latency);
  double all = 0;
  double above_half = 0;
  const Histogram& h = *second.block->canary.latency;
  for (std::size_t i = 0; i < h.counts.size(); ++i) {
    all += h.counts[i];
    if (i > 0 && h.bounds[i - 1] >= 0.5) above_half += h.counts[i];
  }
  CHECK(all == 7);
  CHECK(above_half == 2);
  store(130, {{0, 0.1, 0.25, 3}});
  Collected custom = world.look(131);
  CHECK(holds(custom.trouble,
              "2 histograms left out (a native histogram with a bucket from 0.1 to "
              "0.25 (custom bounds and negative values cannot be read))"));
}

TEST_CASE("a target that is late is told and not waited for, and the window's end forgets it") {
  World world;
  auto store = [&](double t, const Samples& b) {
    world.baseline("n{pod=\"a\",code=\"200\"}", {{t - 15, t - 15}, {t, t}});
    world.canary("n{pod=\"c\",code=\"200\"}", {{t - 15, t - 15}, {t, t}});
    if (!b.empty()) world.canary("n{pod=\"b\",code=\"200\"}", b);
  };
  store(115, {{100, 1}, {115, 2}});
  world.look(116);
  store(145, {{100, 1}, {115, 2}});  // one scrape is missing: that happens
  Collected missed = world.look(146);
  CHECK(missed.trouble == "");
  CHECK(missed.block->canary.requests == 30);
  store(160, {{100, 1}, {115, 2}});
  Collected late = world.look(161);
  CHECK(late.trouble ==
        "canary b: its last sample is 45s older than the newest of all, though it is scraped every "
        "15s (is it down?) (not waited for)");
  REQUIRE(late.block);
  CHECK(late.block->canary.requests == 15);
  CHECK(world.fleet.late == 1);
  CHECK(world.fleet.targets[index(Side::Canary)] == 1);
  CHECK(world.fleet.spacing == 15);
  store(175, {{115, 2}, {175, 50}});  // back: it begins to count
  CHECK(world.look(176).block->canary.requests == 15);
  store(190, {{175, 50}, {190, 53}});
  CHECK(world.look(191).block->canary.requests == 18);
  store(205, {});
  Collected gone = world.look(206);
  CHECK(gone.trouble == "");
  CHECK(gone.block->canary.pods.size() == 1);
}

TEST_CASE("a version of which nothing is stored blinds after three rounds") {
  World world;
  for (int round = 1; round <= 3; ++round) {
    world.baseline("n{pod=\"a\",code=\"200\"}", {{100.0 + round, 1}});
    Collected collected = world.look(101 + round);
    CHECK(collected.blind == (round == 3));
    CHECK_FALSE(collected.block);
    CHECK(holds(
        collected.trouble,
        "canary: no series of n match {version=\"v2\"} (are the name and canary_when right?)"));
  }
}

TEST_CASE("a version that has served nothing yet is seen by its processes' start") {
  World world;
  for (double t : {100, 115}) {
    world.baseline("n{pod=\"a\",code=\"200\"}", {{t, t}});
    world.canary("process_start_time_seconds{pod=\"b\"}", {{t, 50}});
    Collected collected = world.look(t + 1);
    CHECK_FALSE(collected.blind);
    CHECK(
        holds(collected.trouble, "canary b: no series match n, unless it has served nothing yet"));
  }
  world.baseline("n{pod=\"a\",code=\"200\"}", {{130, 130}});
  world.canary("process_start_time_seconds{pod=\"b\"}", {{130, 50}});
  world.canary("n{pod=\"b\",code=\"500\"}", {{130, 3}});
  Collected served = world.look(131);
  REQUIRE(served.block);
  CHECK(served.block->canary.errors == 3);
}

TEST_CASE("series that tell of both versions make one target without instances") {
  World world({}, false);
  auto store = [&](double t, double v1, double v2) {
    world.baseline("n{pod=\"ingress\",code=\"200\"}", {{t, v1}});
    world.canary("n{pod=\"ingress\",code=\"200\"}", {{t, v2}});
  };
  store(100, 10, 1);
  world.look(101);
  store(115, 30, 3);
  Collected second = world.look(116);
  REQUIRE(second.block);
  CHECK(second.trouble == "");
  CHECK(second.block->baseline.requests == 20);
  CHECK(second.block->canary.requests == 2);
  CHECK(second.block->canary.pods.empty());
}

TEST_CASE("a series of both versions is told") {
  World world;
  world.baseline("n{pod=\"a\"}", {{100, 1}});
  world.setup.when[index(Side::Canary)] = *Matchers::parse("version=~\"v.\"");
  world.look(101);
  CHECK(world.fleet.overlap == "n{pod=\"a\",version=\"v1\"}");
}

TEST_CASE("own metrics of other targets belong to the version and ask for no requests") {
  World world(
      {{.name = "memory", .series = "container_memory_bytes"},
       {.name = "cpu", .series = "container_cpu_seconds_total", .kind = ValueSeries::Kind::Rate}});
  auto store = [&](double t) {
    world.baseline("n{pod=\"a\",code=\"200\"}", {{t, t}});
    world.canary("n{pod=\"b\",code=\"200\"}", {{t, t}});
    world.canary("container_memory_bytes{pod=\"b\",job=\"kubelet\"}", {{t, 7}});
    world.canary("container_cpu_seconds_total{pod=\"b\",job=\"kubelet\"}", {{t, t / 10}});
    world.canary("process_start_time_seconds{pod=\"b\"}", {{t, t < 110 ? 50.0 : 110.0}});
  };
  store(100);
  world.look(101);
  store(115);
  Collected second = world.look(116);
  REQUIRE(second.block);
  CHECK(second.trouble == "");
  CHECK(second.block->canary.pods.size() == 1);
  REQUIRE(second.block->canary.values.size() == 2);
  CHECK(second.block->canary.values[0].value == 7);
  CHECK(second.block->canary.values[1].value == doctest::Approx(0.1));
}

TEST_CASE("a series that ended is not what it was") {
  World world({{.name = "queue", .series = "q"}}, true);
  auto store = [&](double t, double other) {
    world.baseline("n{pod=\"a\",code=\"200\"}", {{t, t}});
    world.canary("n{pod=\"b\",code=\"200\"}", {{t - 15, t - 15}, {t, t}});
    world.canary("q{pod=\"b\",shard=\"1\"}", {{t, 4}});
    world.canary("q{pod=\"b\",shard=\"2\"}", {{t - 15, 100}, {t, other}});
  };
  store(100, 6);
  world.look(101);
  store(115, std::nan(""));  // a staleness marker
  Collected second = world.look(116);
  REQUIRE(second.block);
  CHECK(second.block->canary.values.at(0).value == 4);
}

TEST_CASE("samples that are not later than the one before, or of no possible time, are left out") {
  PromTable table;
  std::vector<Label> labels = {{"__name__", "n"}};
  Samples samples = {{-5, 1}, {0, 1}, {100, 1}, {100, 2}, {90, 3}, {110, 4}, {1e10, 5}};
  table.take({labels, samples, {}});
  CHECK(table.series().front().samples == Samples{{100, 1}, {110, 4}});
  table.begin();
  CHECK(table.series().empty());
}

TEST_CASE(
    "a gauge that no longer comes is not added up, and what falls all the time costs little") {
  World world({{.name = "queue", .series = "q"},
               {.name = "odd", .series = "odd", .kind = ValueSeries::Kind::Rate}});
  auto store = [&](double t) {
    world.baseline("n{pod=\"a\",code=\"200\"}", {{t, t}});
    world.canary("n{pod=\"b\",code=\"200\"}", {{t - 30, t - 30}, {t - 15, t - 15}, {t, t}});
    world.canary("q{pod=\"b\",shard=\"1\"}", {{t - 15, 4}, {t, 5}});
    world.canary("q{pod=\"b\",shard=\"2\"}", {{t - 30, 100}});
    Samples falls;
    for (int i = 0; i < 1000; ++i) falls.push_back({t - 1 + i / 1000.0, 1000.0 - i});
    world.canary("odd{pod=\"b\"}", falls);
  };
  store(100);
  world.look(101);
  store(115);
  Collected second = world.look(116);
  REQUIRE(second.block);
  CHECK(second.block->canary.values.at(0).value == 5);
  for (const Answer& answer : world.fleet.answers) CHECK(answer.earlier.size() <= 16);
}
