#include "sources/statsd/intake.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "base/archive.h"
#include "base/text.h"

using namespace davy;
using namespace davy::source;
using namespace std::chrono_literals;

namespace {

/// As the preset statsd-rails.
RequestSeries rails() {
  return {.counter = {"requests.count"},
          .error_when = {},
          .errors = {"requests.status{status=~\"5..\"}"},
          .histogram = {"requests.duration"},
          .latency_unit = 1e-3};
}

StatsdRules::Settings settings() {
  StatsdRules::Settings settings;
  settings.when = {"version=\"v1\"", "version=\"v2\""};
  return settings;
}

/// What came, on a clock that the test moves.
struct World {
  RequestSeries series = rails();
  std::vector<ValueSeries> values;
  StatsdRules::Settings with = settings();
  Time now{100s};
  std::optional<StatsdIntake> made;

  StatsdIntake& intake() {
    if (!made) {
      Result<StatsdRules> rules = StatsdRules::compile(series, values, with);
      REQUIRE(rules);
      made.emplace(std::move(*rules));
      (void)made->end_span(now);
    }
    return *made;
  }
  void take(const std::string& packet) { intake().take(packet, now); }
  StatsdSpan span(std::chrono::seconds length = 5s) {
    intake();
    now = now + length;
    return intake().end_span(now);
  }

  std::string saved() {
    Archive out = Archive::writer();
    intake().archive(out, now);
    return out.bytes();
  }
  /// davy is killed and started again; whether it took what was saved.
  bool load(std::string bytes) {
    Result<StatsdRules> rules = StatsdRules::compile(series, values, with);
    made.emplace(std::move(*rules));
    Archive in = Archive::reader(std::move(bytes));
    made->archive(in, now);
    return !in.failed() && in.at_end();
  }
};

const Portion* portion(const StatsdSpan& span, Side side, const std::string& pod = "") {
  for (const Portion& portion : span.portions) {
    if (portion.side == side && portion.pod == pod) return &portion;
  }
  return nullptr;
}
double requests(const StatsdSpan& span, Side side, const std::string& pod = "") {
  const Portion* found = portion(span, side, pod);
  return found != nullptr ? found->tally.requests : 0;
}
double errors(const StatsdSpan& span, Side side, const std::string& pod = "") {
  const Portion* found = portion(span, side, pod);
  return found != nullptr ? found->tally.errors : 0;
}
/// The sum of a metric's readings; -1 when there is none.
double value(const StatsdSpan& span, Side side, std::size_t i, const std::string& pod = "") {
  const Portion* found = portion(span, side, pod);
  bool is_there = found != nullptr && found->tally.values.at(i).readings > 0;
  return is_there ? found->tally.values.at(i).of : -1;
}
double latencies(const StatsdSpan& span, Side side) {
  return static_cast<double>(span.latency[index(side)].count());
}

constexpr Side V1 = Side::Baseline;
constexpr Side V2 = Side::Canary;

}  // namespace

TEST_CASE("what a Ruby middleware sends is counted by version") {
  World world;
  world.take(
      "requests.count:1|c|#version:v1\n"
      "requests.duration:12.5|ms|#version:v1\n"
      "requests.status:1|c|#version:v1,status:200\n");
  world.take(
      "requests.count:1|c|#version:v2\nrequests.duration:250|ms|#version:v2\n"
      "requests.status:1|c|#version:v2,status:503");
  world.take(
      "requests.count:1|c|#version:v2\r\n\r\n\nrequests.status:1|c|#status:404,version:v2\r\n");
  StatsdSpan span = world.span();
  CHECK(span.dt == 5);
  CHECK(span.packets == 3);
  CHECK(span.lines == 8);
  CHECK(span.malformed.times == 0);
  CHECK(requests(span, V1) == 1);
  CHECK(errors(span, V1) == 0);
  CHECK(requests(span, V2) == 2);
  CHECK(errors(span, V2) == 1);
  CHECK(*span.latency[0].quantile(0.5) == doctest::Approx(0.0125).epsilon(0.01));
  CHECK(*span.latency[1].quantile(0.5) == doctest::Approx(0.25).epsilon(0.01));
  CHECK(span.instances[0] == 1);
  CHECK(span.instances[1] == 1);
  StatsdSpan next = world.span();
  CHECK(requests(next, V2) == 0);
  CHECK(latencies(next, V2) == 0);
  CHECK(next.has_latency);
  CHECK(next.instances[1] == 0);
}

TEST_CASE("tags in another order are the same series for the judgement") {
  World world;
  world.series.errors = {"requests.status{status=\"500\",zone=\"a\"}"};
  world.values = {{.name = "queue", .series = "queue"}};
  world.take("requests.count:3|c|#version:v2");
  world.take(
      "requests.status:1|c|#version:v2,status:500,zone:a\n"
      "requests.status:1|c|#zone:a,status:500,version:v2");
  world.take("queue:5|g|#version:v2,zone:a\nqueue:7|g|#zone:a,version:v2");
  StatsdSpan span = world.span();
  CHECK(errors(span, V2) == 2);
  CHECK(value(span, V2, 0) == 7);
}

TEST_CASE("counters are exact sums, whatever the packing and the order") {
  std::mt19937_64 random(11);
  for (int round = 0; round < 50; ++round) {
    World world;
    world.with.max_series = round % 2 == 0 ? 20'000 : 7;  // remembered or not
    std::vector<std::string> lines;
    double sums[2] = {0, 0};
    double values[2] = {0, 0};
    for (int i = 0; i < 400; ++i) {
      std::size_t side = random() % 2;
      std::string line = "requests.count";
      double sum = 0;
      for (std::uint64_t n = 1 + random() % 4; n > 0; --n) {
        std::uint64_t number = random() % 1000;
        line += fmt::format(":{}", number);
        sum += static_cast<double>(number);
        ++values[side];
      }
      constexpr double kRates[] = {1, 0.5, 0.1, 0.01, 0.125};
      double rate = kRates[random() % 5];
      line += fmt::format("|c|@{}|#version:v{},id:{}", rate, side + 1, random() % 20);
      lines.push_back(line);
      sums[side] += sum / rate;
    }
    for (int order = 0; order < 2; ++order) {
      std::shuffle(lines.begin(), lines.end(), random);
      std::string packet;
      for (const std::string& line : lines) {
        packet += line;
        if (random() % 10 == 0) {
          world.take(packet);
          packet.clear();
        } else {
          packet += random() % 3 == 0 ? "\r\n" : "\n";
        }
      }
      world.take(packet);
      StatsdSpan span = world.span();
      CHECK(requests(span, V1) == sums[0]);
      CHECK(requests(span, V2) == sums[1]);
      CHECK(span.lines == 400);
      CHECK(span.malformed.times + span.refused.times == 0);
    }
  }
}

TEST_CASE("sample rates scale latencies by whole numbers, and none is lost in the long run") {
  World world;
  for (int i = 0; i < 300; ++i)
    world.take(
        "requests.duration:10|ms|@0.3|#version:v2\nrequests.duration:20|ms|@0.1|#version:v1");
  StatsdSpan span = world.span();
  CHECK(latencies(span, V1) == 3000);
  CHECK(latencies(span, V2) == doctest::Approx(1000).epsilon(0.001));
  // The same lines give the same counts.
  World again;
  for (int i = 0; i < 300; ++i)
    again.take(
        "requests.duration:10|ms|@0.3|#version:v2\nrequests.duration:20|ms|@0.1|#version:v1");
  CHECK(again.span().latency == span.latency);
}

TEST_CASE("timers are in milliseconds, histograms and distributions in the unit of the settings") {
  World world;
  world.series.latency_unit = 1;  // seconds
  world.take(
      "requests.duration:100|ms|#version:v1\n"
      "requests.duration:0.2|h|#version:v2\nrequests.duration:0.2:0.2|d|#version:v2");
  StatsdSpan span = world.span();
  CHECK(*span.latency[0].quantile(0.5) == doctest::Approx(0.1).epsilon(0.01));
  CHECK(*span.latency[1].quantile(0.5) == doctest::Approx(0.2).epsilon(0.01));
  CHECK(latencies(span, V2) == 3);
}

TEST_CASE("timers count one request for each value, and errors by their tags") {
  World world;
  world.series = {
      .counter = {"web"}, .error_when = {"code=~\"5..\""}, .errors = {}, .histogram = {"web"}};
  world.take("web:12:13:14|ms|@0.5|#version:v2,code:200\nweb:9|d|#version:v2,code:500");
  StatsdSpan span = world.span();
  CHECK(requests(span, V2) == 7);
  CHECK(errors(span, V2) == 1);
  CHECK(latencies(span, V2) == 7);
  CHECK(span.seen[1].errors);
  CHECK_FALSE(span.seen[0].requests);
}

TEST_CASE("requests without the label of errors would show none") {
  World world;
  world.series = {
      .counter = {"web"}, .error_when = {"code=~\"5..\""}, .errors = {}, .histogram = {}};
  world.take("web:1|c|#version:v2");
  StatsdSpan span = world.span();
  CHECK(span.seen[1].requests);
  CHECK_FALSE(span.seen[1].errors);
  CHECK_FALSE(span.has_latency);
}

TEST_CASE("the name can tell the versions apart where there are no tags") {
  World world;
  world.series.counter = {"v1.requests", "v2.requests"};
  world.with.when = {"__name__=~\"v1[.].*\"", "__name__=~\"v2[.].*\""};
  world.take("v1.requests:3|c\nv2.requests:1|c\nother:5|c");
  StatsdSpan span = world.span();
  CHECK(requests(span, V1) == 3);
  CHECK(requests(span, V2) == 1);
}

TEST_CASE("a gauge keeps its last value, and the gauges that match are added up") {
  World world;
  world.values = {{.name = "queue", .series = "queue"},
                  {.name = "all", .series = "queue{shard=\"a\"}"}};
  world.take(
      "queue:5|g|#version:v1,shard:a\nqueue:6|g|#version:v1,shard:b\nqueue:1:2:-3|g|#version:v2");
  StatsdSpan span = world.span();
  CHECK(value(span, V1, 0) == 11);
  CHECK(value(span, V1, 1) == 5);
  CHECK(value(span, V2, 0) == -3);
  CHECK(value(span, V2, 1) == -1);  // there is none
  world.take("queue:7|g|#version:v1,shard:b");
  CHECK(value(world.span(), V1, 0) == 12);
  CHECK(value(world.span(), V1, 0) == 12);
}

TEST_CASE("a gauge of which nothing came for 5 minutes is forgotten") {
  World world;
  world.values = {{.name = "queue", .series = "queue"}};
  world.take("queue:5|g|#version:v1,host:a\nqueue:6|g|#version:v1,host:b");
  CHECK(value(world.span(), V1, 0) == 11);
  world.span(150s);
  world.take("queue:7|g|#version:v1,host:b");
  CHECK(value(world.span(150s), V1, 0) == 12);
  CHECK(value(world.span(), V1, 0) == 7);
  world.take("queue:1|g|#version:v1,host:a");
  CHECK(value(world.span(), V1, 0) == 8);
}

TEST_CASE("a sign changes a gauge in StatsD, and is part of the number in DogStatsD") {
  World world;
  world.values = {{.name = "open", .series = "v1.open"}, {.name = "tagged", .series = "open"}};
  world.with.when = {"__name__=~\"v1[.].*\"", "version=\"v2\""};
  world.take("v1.open:10|g\nv1.open:+4|g\nv1.open:-1:-2|g");
  world.take("open:10|g|#version:v2\nopen:-4|g|#version:v2\nopen:+4|g|#version:v2");
  StatsdSpan span = world.span();
  CHECK(value(span, V1, 0) == 11);
  CHECK(value(span, V2, 1) == 4);
  world.span(500s);  // what was counted up and down is not forgotten
  world.take("v1.open:+1|g");
  CHECK(value(world.span(), V1, 0) == 12);
}

TEST_CASE("counters of one's own are told as what they grew by, and as 0 when they did not") {
  World world;
  world.values = {{.name = "jobs", .series = "jobs", .kind = ValueSeries::Kind::Rate}};
  CHECK(value(world.span(), V1, 0) == -1);
  world.take("jobs:4:3|c|#version:v1\njobs:1|ms|#version:v1,kind:timed");
  CHECK(value(world.span(), V1, 0) == 8);
  CHECK(value(world.span(), V1, 0) == 0);
  CHECK(value(world.span(), V2, 0) == -1);
}

TEST_CASE("instances are told apart by the tag that names them") {
  World world;
  world.with.instance_tag = "host";
  world.values = {{.name = "memory", .series = "memory"}};
  world.take("requests.count:5|c|#version:v1,host:a\nrequests.count:3|c|#version:v1,host:b");
  world.take("requests.count:1|c|#version:v1\nmemory:10|g|#version:v1,host:a,kind:x");
  world.take("memory:1|g|#version:v1,host:a,kind:y\nmemory:30|g|#version:v1,host:b");
  world.take("requests.duration:5|ms|#version:v1,host:a\nrequests.count:9|c|#version:v2,host:a");
  StatsdSpan span = world.span();
  CHECK(requests(span, V1, "a") == 5);
  CHECK(requests(span, V1, "b") == 3);
  CHECK(requests(span, V1) == 1);
  CHECK(requests(span, V2, "a") == 9);
  CHECK(value(span, V1, 0, "a") == 11);
  CHECK(value(span, V1, 0, "b") == 30);
  CHECK(latencies(span, V1) == 1);
  CHECK(span.instances[0] == 3);
  CHECK(span.instances[1] == 1);
}

TEST_CASE("an instance that is silent for a minute is forgotten with its gauges") {
  World world;
  world.with.instance_tag = "host";
  world.values = {{.name = "memory", .series = "memory"}};
  world.take("requests.count:5|c|#version:v1,host:a\nmemory:10|g|#version:v1,host:a");
  world.span();
  CHECK(portion(world.span(60s), V1, "a") != nullptr);
  CHECK(portion(world.span(), V1, "a") == nullptr);
  world.take("requests.count:2|c|#version:v1,host:a");
  StatsdSpan span = world.span();
  CHECK(requests(span, V1, "a") == 2);
  CHECK(value(span, V1, 0, "a") == -1);
}

TEST_CASE("more instances than there is room for count without being told apart") {
  World world;
  world.with.instance_tag = "host";
  for (int i = 0; i < 1500; ++i)
    world.take(fmt::format("requests.count:1|c|#version:v1,host:h{}", i));
  StatsdSpan span = world.span();
  CHECK(span.portions.size() == StatsdIntake::kMostInstances + 1);
  CHECK(requests(span, V1) == 500);
  CHECK(span.unremembered.times == 500);
  CHECK(span.unremembered.example == "host \"h1000\", beyond 1000 instances");
}

TEST_CASE("errors are never more than requests, and wait for those that come after them") {
  World world;
  world.take("requests.count:10|c|#version:v2");
  world.span();
  world.take("requests.status:4|c|#version:v2,status:500");
  StatsdSpan early = world.span();
  CHECK(errors(early, V2) == 0);
  CHECK(early.surplus.times == 0);
  world.take("requests.count:3|c|#version:v2");
  CHECK(errors(world.span(), V2) == 3);
  world.take("requests.count:3|c|#version:v2");
  CHECK(errors(world.span(), V2) == 1);
}

TEST_CASE("errors for which there are no requests are told, and not held against later ones") {
  World world;
  world.take("requests.count:10|c|#version:v2\nrequests.status:100|c|#version:v2,status:500");
  StatsdSpan span = world.span();
  CHECK(errors(span, V2) == 10);
  CHECK(span.surplus.times == 80);
  CHECK(span.surplus.example == "of the canary");
  world.take("requests.count:100|c|#version:v2");
  CHECK(errors(world.span(), V2) == 10);
  world.take("requests.count:100|c|#version:v2");
  CHECK(errors(world.span(), V2) == 0);
}

TEST_CASE("malformed lines are counted beside good ones, and the first is quoted") {
  World world;
  world.take(
      "requests.count:1|c|#version:v1\nnonsense\x01\xff\nrequests.count:x|c|#version:v1\n"
      "requests.count:2|c|#version:v1");
  StatsdSpan span = world.span();
  CHECK(span.malformed.times == 2);
  CHECK(span.malformed.example == "\"nonsense\\x01\\xff\": no colon after a name");
  CHECK(requests(span, V1) == 3);
  // The bytes around the values are known by now.
  world.take(
      "requests.count:1:x|c|#version:v1\nrequests.count:|c|#version:v1\n"
      "requests.count:9|c|#version:v1");
  span = world.span();
  CHECK(span.malformed.times == 2);
  CHECK(span.malformed.example == "\"requests.count:1:x|c|#version:v1\": the value is no number");
  CHECK(requests(span, V1) == 9);
}

TEST_CASE("lines that were meant and cannot count are told each time") {
  World world;
  world.values = {{.name = "queue", .series = "queue"}};
  for (int i = 0; i < 2; ++i) {
    auto refused = [&](const std::string& line) {
      world.take(line + "|#version:v1");
      StatsdSpan span = world.span();
      CHECK(span.refused.times == 1);
      CHECK(requests(span, V1) == 0);
      CHECK(latencies(span, V1) == 0);
      return span.refused.example;
    };
    CHECK(refused("requests.count:1|g") ==
          "\"requests.count\" is a gauge (|g), which counts no requests");
    CHECK(refused("requests.duration:1|c") ==
          "\"requests.duration\" is a counter (|c), which holds no latencies");
    CHECK(refused("requests.count:x|s") ==
          "\"requests.count\" is a set (|s), which counts no requests");
    CHECK(refused("queue:1|c") == "\"queue\" is a counter (|c), which is no gauge (|g)");
    CHECK(refused("requests.count:-1|c") ==
          "\"requests.count\" is a counter (|c), and it cannot have the value \"-1\"");
    CHECK(refused("requests.count:1e300|c") ==
          "\"requests.count\" is a counter (|c), and it cannot have the value \"1e300\"");
    CHECK(refused("requests.duration:1:-5|ms") ==
          "\"requests.duration\" is a timer (|ms), and it cannot have the value \"1:-5\"");
  }
  world.take("elsewhere:-1|c|#version:v1\nrequests.count:1|g|#version:v3");
  CHECK(world.span().refused.times == 0);
}

TEST_CASE("a bomb of tags is bounded, and every line of it counts") {
  World world;
  world.with.max_series = 100;
  for (int i = 0; i < 5000; ++i)
    world.take(fmt::format("requests.count:1|c|#version:v2,user:{}", i));
  CHECK(world.intake().remembered() == 100);
  StatsdSpan span = world.span();
  CHECK(requests(span, V2) == 5000);
  CHECK(span.unremembered.times == 4900);
  CHECK(span.unremembered.example == "\"requests.count\"");
  CHECK(span.portions.size() == 1);
}

TEST_CASE("series that count for nothing leave room for those that do") {
  World world;
  world.with.max_series = 100;
  for (int i = 0; i < 500; ++i) world.take(fmt::format("elsewhere:1|c|#version:v2,id:{}", i));
  CHECK(world.intake().remembered() == 50);
  for (int i = 0; i < 50; ++i) world.take(fmt::format("requests.count:1|c|#version:v2,id:{}", i));
  CHECK(world.intake().remembered() == 100);
  world.take("elsewhere:x|c|#version:v2,id:1\nelsewhere:x|c|#version:v2,id:400");
  StatsdSpan span = world.span();
  CHECK(span.unremembered.times == 0);
  CHECK(span.malformed.times == 2);
  CHECK(requests(span, V2) == 50);
}

TEST_CASE("a table full of the past makes room once a minute") {
  World world;
  world.with.max_series = 10;
  auto send = [&](int from) {
    for (int i = from; i < from + 10; ++i)
      world.take(fmt::format("requests.count:1|c|#version:v2,user:{}", i));
  };
  world.span(60s);
  send(0);
  send(100);
  CHECK(world.span().unremembered.times == 10);
  send(100);
  CHECK(world.span().unremembered.times == 0);
  send(200);
  CHECK(world.span().unremembered.times == 10);  // not again so soon
  send(200);
  CHECK(world.span(60s).unremembered.times == 10);
  send(200);
  StatsdSpan span = world.span();
  CHECK(span.unremembered.times == 0);
  CHECK(requests(span, V2) == 10);
}

TEST_CASE("gauges are bounded, too") {
  World world;
  world.with.max_series = 10;
  world.values = {{.name = "queue", .series = "queue"}};
  for (int i = 0; i < 15; ++i) world.take(fmt::format("queue:1|g|#version:v1,id:{}", i));
  for (int i = 0; i < 2; ++i) world.take("queue:1|g|#version:v1,id:" + std::string(2000, 'x'));
  StatsdSpan span = world.span();
  CHECK(value(span, V1, 0) == 10);
  CHECK(span.refused.times == 7);
  CHECK(span.refused.example == "\"queue\" is a gauge (|g), and there is no room for it");
}

TEST_CASE("a line with a timestamp counts and is not remembered") {
  World world;
  for (int i = 0; i < 50; ++i)
    world.take(fmt::format("requests.count:2|c|#version:v1|T{}", 1'656'581'400 + i));
  CHECK(world.intake().remembered() == 0);
  CHECK(requests(world.span(), V1) == 100);
}

TEST_CASE("the last line of a packet that was cut off is not taken") {
  World world;
  world.intake().take("requests.count:1|c|#version:v1\nrequests.count:10", world.now, true);
  world.intake().take("requests.count:1|c|#version:v1", world.now, true);
  StatsdSpan span = world.span();
  CHECK(requests(span, V1) == 1);
  CHECK(span.truncated.times == 2);
  CHECK(span.truncated.example == "one of more than 48 bytes");
  CHECK(span.malformed.times == 0);
}

TEST_CASE("service checks feed the heartbeats that they are named for") {
  World world;
  world.with.service_checks = {"app.queue=worker", "cache"};
  world.take("_sc|app.queue|0|#env:prod|m:turning\n_sc|other|2\n_sc|cache|1");
  StatsdSpan span = world.span();
  CHECK(span.service_checks == 3);
  REQUIRE(span.reports.size() == 2);
  CHECK(span.reports.at("worker").said == Heartbeats::Said::Pass);
  CHECK(span.reports.at("worker").message == "turning");
  CHECK(span.reports.at("worker").at == Time{100s});
  CHECK(span.reports.at("cache").said == Heartbeats::Said::Warn);
  world.take("_sc|app.queue|2|m:stuck\n_sc|cache|3\n_e{1,1}:a|b");
  span = world.span();
  REQUIRE(span.reports.size() == 1);
  CHECK(span.reports.at("worker").said == Heartbeats::Said::Fail);
  CHECK(span.events == 1);
  CHECK(span.malformed.times == 0);
}

TEST_CASE("settings of service checks are one to one") {
  auto refused = [](std::vector<std::string> texts) {
    StatsdRules::Settings with = settings();
    with.service_checks = std::move(texts);
    Result<StatsdRules> rules = StatsdRules::compile(rails(), {}, with);
    return rules ? "" : rules.error().setting + ": " + rules.error().what;
  };
  CHECK(refused({"a=b", "c=b"}) == "");
  CHECK(refused({"a=b", "a=c"}) ==
        "service_checks: \"a=c\" names a service check that stands there twice");
  CHECK(refused({"=b"}).starts_with("service_checks: \"=b\" does not name a service check"));
  CHECK(refused({"a="}).starts_with("service_checks: \"a=\" does not name a service check"));
}

TEST_CASE("what came instead of requests is told, likely names first") {
  World world;
  world.take(
      "memory:1|g\nlogin.time:1|ms\nlogin.count:1|c\nhttp.request.total:1|c|#version:v1\n"
      "http.request.time:5|ms");
  CHECK(world.span().others ==
        "\"http.request.total\", \"http.request.time\", \"login.count\", \"login.time\"");
  world.take("requests.count:1|c|#version:v3,a:b\nrequests.count:1|c|#a:b");
  CHECK(world.span().strangers == "no tag version; version=\"v3\"");
}

TEST_CASE("what was saved goes on, in the middle of a span") {
  World world;
  world.with.instance_tag = "host";
  world.values = {{.name = "queue", .series = "queue"},
                  {.name = "jobs", .series = "jobs", .kind = ValueSeries::Kind::Rate}};
  world.take("requests.count:5|c|#version:v2,host:a\nrequests.duration:20|ms|@0.3|#version:v2");
  world.take("queue:7|g|#version:v2,host:a\njobs:2|c|#version:v1\nrequests.count:1|c|#version:v1");
  world.span();
  world.take("requests.count:3|c|#version:v2,host:a\nrequests.duration:30|ms|@0.3|#version:v2");
  world.take("requests.status:9|c|#version:v2,status:500");
  world.now = world.now + 2s;
  std::string saved = world.saved();
  StatsdSpan unbroken = world.span(3s);

  world.now = world.now + 1h;  // davy was away; not even this machine's clock goes on
  REQUIRE(world.load(saved));
  CHECK(world.saved().size() == saved.size());
  CHECK(world.intake().end_span(world.now).portions.empty());
  StatsdSpan span = world.span(3s);
  CHECK(span.dt == 5);
  CHECK(unbroken.dt == 5);
  CHECK(requests(span, V2, "a") == 3);
  CHECK(requests(unbroken, V2, "a") == 3);
  CHECK(span.latency == unbroken.latency);
  CHECK(span.seen[0].requests);
  CHECK(value(span, V2, 0, "a") == 7);
  CHECK(value(span, V1, 1) == 0);
  // The part of a latency that was carried goes on as well.
  world.take("requests.duration:30|ms|@0.3|#version:v2");
  CHECK(latencies(world.span(), V2) == 4);
}

TEST_CASE("what was saved under other rules, or is damaged, is refused") {
  World world;
  world.with.instance_tag = "host";
  world.values = {{.name = "queue", .series = "queue"}};
  world.take("requests.count:5|c|#version:v2,host:a\nqueue:7|g|#version:v2,host:a");
  std::string saved = world.saved();
  CHECK(world.load(saved));
  CHECK_FALSE(world.load(saved.substr(0, saved.size() - 1)));
  std::mt19937_64 random(5);
  for (int i = 0; i < 3000; ++i) {  // the sanitizers say whether a damaged one does harm
    std::string damaged = saved;
    for (std::uint64_t n = 1 + random() % 3; n > 0; --n)
      damaged[random() % damaged.size()] = static_cast<char>(random());
    if (!world.load(damaged)) continue;
    world.take("queue:8|g|#version:v2,host:a\nrequests.count:1|c|#version:v2,host:a");
    (void)world.span();
    (void)world.span();
  }
  std::string renamed = saved;
  renamed[renamed.find("1 a") + 2] = 'b';  // the instance is another one than its key says
  CHECK_FALSE(world.load(renamed));
  world.with.when[1] = "version=\"v3\"";
  CHECK_FALSE(world.load(saved));
}
