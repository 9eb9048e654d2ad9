#include "sources/statsd/rounds.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <algorithm>

using namespace davy;
using namespace davy::source;
using namespace std::chrono_literals;

namespace {

/// A source of two versions, 5 s to a round of a time that the test moves; nothing is sent but by
/// the test.
struct World {
  RequestSeries series{.counter = {"requests.count"},
                       .error_when = {},
                       .errors = {"requests.status{status=~\"5..\"}"},
                       .histogram = {"requests.duration"}};
  std::vector<ValueSeries> values;
  Time now{100s};
  double lost = 0;
  std::vector<std::string> unbound;
  bool canary_alone = false;
  bool one_version = false;
  std::optional<StatsdIntake> intake;
  std::optional<StatsdRounds> rounds;

  Collected round(const std::string& packet = "", int times = 1) {
    if (!intake) {
      StatsdRules::Settings with;
      with.when = {"version=\"v1\"", "version=\"v2\""};
      with.max_series = 50;
      with.one_version = one_version;
      Result<StatsdRules> rules = StatsdRules::compile(series, values, with);
      REQUIRE(rules);
      rounds.emplace(*rules, "udp 127.0.0.1:8125", "shop");
      intake.emplace(std::move(*rules));
    }
    for (int i = 0; i < times && !packet.empty(); ++i) intake->take(packet, now);
    now = now + 5s;
    return rounds->finish_round(intake->end_span(now), unbound, lost, now, canary_alone);
  }
};

const std::string kBoth = "requests.count:8|c|#version:v1\nrequests.count:2|c|#version:v2";

double times(const Collected& collected, std::string_view name) {
  for (const SourceEvent& event : collected.events) {
    if (event.name == name) return event.times;
  }
  return 0;
}

}  // namespace

TEST_CASE("each round makes a block of what both versions counted since the last one") {
  World world;
  CHECK_FALSE(world.round().block);
  Collected second = world.round(kBoth + "\nrequests.duration:20|ms|#version:v1");
  CHECK(second.trouble == "");
  CHECK_FALSE(second.blind);
  REQUIRE(second.block);
  CHECK(second.block->dt == 5);
  CHECK(second.block->baseline.requests == 8);
  CHECK(second.block->canary.requests == 2);
  REQUIRE(second.block->baseline.latency);
  REQUIRE(second.block->canary.latency);  // empty, at the same bounds
  CHECK(second.block->baseline.latency->bounds == second.block->canary.latency->bounds);
  CHECK(second.block->baseline.pods.empty());
  CHECK(second.baseline_targets == 1);
  CHECK(times(second, "packets") == 1);
  CHECK(times(second, "lines") == 3);
  Collected silent = world.round();
  REQUIRE(silent.block);
  CHECK(silent.block->canary.requests == 0);
  CHECK(silent.events.empty());
}

TEST_CASE("without latencies there is no histogram") {
  World world;
  world.round();
  Collected second = world.round(kBoth);
  REQUIRE(second.block);
  CHECK_FALSE(second.block->baseline.latency);
}

TEST_CASE("a source to which nothing is sent is blind after three rounds, and says so") {
  World world;
  for (int i = 0; i < 3; ++i) {
    Collected collected = world.round();
    CHECK_FALSE(collected.blind);
    CHECK(collected.trouble == "");
  }
  Collected fourth = world.round();
  CHECK(fourth.blind);
  CHECK(fourth.trouble ==
        "no StatsD packet came on udp 127.0.0.1:8125 for 15s, since davy listens (does the "
        "application send to it?)");
  CHECK_FALSE(fourth.block);
  CHECK_FALSE(world.round(kBoth).blind);
}

TEST_CASE("names that match nothing blind, and what came is told") {
  World world;
  world.round();
  Collected last;
  for (int i = 0; i < 3; ++i) last = world.round("request.total:1|c|#version:v1\ncpu:1|g");
  CHECK(last.blind);
  CHECK(last.trouble ==
        "no line on udp 127.0.0.1:8125 counts as requests.count of a version; what came is e.g. "
        "\"request.total\", \"cpu\"");
}

TEST_CASE("versions that match nothing blind, and the tags that came are told") {
  World world;
  world.round();
  Collected last;
  for (int i = 0; i < 3; ++i) last = world.round("requests.count:1|c|#version:a3f");
  CHECK(last.blind);
  CHECK(last.trouble ==
        "no line on udp 127.0.0.1:8125 counts as requests.count of a version; of neither version "
        "are those with version=\"a3f\" (baseline: version=\"v1\", canary: version=\"v2\")");
}

TEST_CASE("a canary that has served nothing yet blinds nobody") {
  World world;
  world.round();
  Collected last;
  for (int i = 0; i < 3; ++i) last = world.round("requests.count:1|c|#version:v1");
  CHECK_FALSE(last.blind);
  CHECK(last.trouble == "no canary line of requests.count came, unless it has served nothing yet");
  REQUIRE(last.block);
  CHECK(last.block->canary.requests == 0);
  CHECK(world.round(kBoth).trouble == "");
}

TEST_CASE("a baseline that is gone is no trouble when the canary has all the traffic") {
  World world;
  world.canary_alone = true;
  world.round();
  Collected last;
  for (int i = 0; i < 4; ++i) last = world.round("requests.count:1|c|#version:v2");
  CHECK(last.trouble == "");
  CHECK(last.block);
}

TEST_CASE("requests without the tags of errors blind") {
  World world;
  world.series.errors = {};
  world.series.error_when = {"status=~\"5..\""};
  world.round();
  Collected second = world.round(kBoth);
  CHECK(second.blind);
  CHECK(second.trouble ==
        "baseline requests.count has none of the tags status, so no error would show; canary "
        "requests.count has none of the tags status, so no error would show");
  CHECK_FALSE(second.block);
}

TEST_CASE("silence after good times is told and blinds nobody") {
  World world;
  world.round();
  world.round(kBoth);
  Collected last;
  for (int i = 0; i < 11; ++i) last = world.round();
  CHECK(last.trouble == "");
  last = world.round();
  CHECK_FALSE(last.blind);
  CHECK(last.block);
  CHECK(last.trouble ==
        "no StatsD packet came on udp 127.0.0.1:8125 for 1m (is there no traffic?)");
}

TEST_CASE("garbage stays told for a minute after the last of it") {
  World world;
  world.round();
  Collected flood = world.round(kBoth + "\ngarbage\nmore", 700);
  CHECK_FALSE(flood.blind);
  CHECK(flood.trouble == "1,400 malformed lines, such as \"garbage\": no colon after a name");
  CHECK(times(flood, "malformed_lines") == 1400);
  REQUIRE(flood.block);
  CHECK(flood.block->canary.requests == 1400);
  Collected next;
  for (int i = 0; i < 11; ++i) {
    next = world.round(kBoth);
    CHECK(next.trouble == flood.trouble);
    CHECK(times(next, "malformed_lines") == 0);
  }
  CHECK(world.round(kBoth).trouble == "");
}

TEST_CASE("packets that the kernel lost are told") {
  World world;
  world.round();
  world.lost = 3;
  Collected collected = world.round(kBoth);
  CHECK(collected.trouble ==
        "3 packets lost (the kernel had no room for them: raise sysctl net.core.rmem_max)");
  CHECK(times(collected, "lost_packets") == 3);
}

TEST_CASE("series beyond the limit are told with what to do") {
  World world;
  world.round();
  std::string bomb;
  for (int i = 0; i < 60; ++i) bomb += fmt::format("requests.count:1|c|#version:v2,user:{}\n", i);
  Collected collected = world.round(bomb);
  CHECK(collected.trouble.starts_with(
      "10 lines of series beyond the limit, such as \"requests.count\" (they count, but cost more: "
      "does a tag hold an id? else raise max_series above 50)"));
  CHECK(times(collected, "series_over_limit") == 10);
  REQUIRE(collected.block);
  CHECK(collected.block->canary.requests == 60);
}

TEST_CASE("more errors than requests are told") {
  World world;
  world.round();
  Collected collected = world.round(kBoth + "\nrequests.status:30|c|#version:v2,status:500");
  CHECK(collected.trouble ==
        "26 errors more than there were requests, such as of the canary (do `counter` and `errors` "
        "count the same requests?)");
  CHECK(times(collected, "errors_without_requests") == 26);
}

TEST_CASE("an address of several that is not bound is told and blinds nobody") {
  World world;
  world.unbound = {"udp 127.0.0.1:8126: is taken"};
  world.round();
  Collected collected = world.round(kBoth);
  CHECK_FALSE(collected.blind);
  CHECK(collected.block);
  CHECK(collected.trouble == "udp 127.0.0.1:8126: is taken");
  Collected deaf = StatsdRounds::finish_deaf_round(world.unbound);
  CHECK(deaf.blind);
  CHECK(deaf.trouble == "udp 127.0.0.1:8126: is taken");
}

TEST_CASE("a version's own metrics are in its block") {
  World world;
  world.values = {{.name = "queue", .series = "queue"},
                  {.name = "jobs", .series = "jobs", .kind = ValueSeries::Kind::Rate},
                  {.name = "reads",
                   .series = "reads",
                   .kind = ValueSeries::Kind::Rate,
                   .per = ValueSeries::Per::Request}};
  world.round();
  Collected collected =
      world.round(kBoth + "\nqueue:7|g|#version:v2\njobs:20|c|#version:v1\nreads:6|c|#version:v2");
  REQUIRE(collected.block);
  REQUIRE(collected.block->baseline.values.size() == 1);
  CHECK(collected.block->baseline.values[0].name == "jobs");
  CHECK(collected.block->baseline.values[0].value == 4);
  REQUIRE(collected.block->canary.values.size() == 2);
  CHECK(collected.block->canary.values[0].value == 7);
  CHECK(collected.block->canary.values[1].value == 3);
}

TEST_CASE("all events are listed") {
  for (std::string_view name :
       {"packets", "lines", "events", "service_checks", "malformed_lines", "refused_lines",
        "truncated_packets", "lost_packets", "series_over_limit", "errors_without_requests"}) {
    const std::vector<std::string_view>& all = StatsdRounds::events();
    CHECK(std::find(all.begin(), all.end(), name) != all.end());
  }
}

TEST_CASE("what is published is of one version, whatever its tags say") {
  World world;
  world.one_version = true;
  world.round();
  Collected second = world.round(kBoth + "\nrequests.duration:20|ms\nrequests.count:1|c");
  CHECK(second.trouble == "");
  REQUIRE(second.block);
  CHECK(second.block->canary.requests == 11);
  CHECK(second.block->canary.latency);
  CHECK(second.block->baseline.requests == 0);
  CHECK_FALSE(second.block->baseline.latency);

  World blind;
  blind.one_version = true;
  Collected last;
  for (int i = 0; i < 4; ++i) last = blind.round("cpu:1|g");
  CHECK(last.blind);
  CHECK(last.trouble ==
        "no line on udp 127.0.0.1:8125 counts as requests.count; what came is e.g. \"cpu\"");
}
