#include "sources/recording.h"

#include <doctest/doctest.h>
#include <bit>
#include <cmath>
#include <fstream>
#include <limits>
#include <random>
#include <sstream>

#include "davy/sketch.h"

using namespace davy;

namespace {

Result<std::vector<Block>> read(const std::string& text) {
  std::istringstream in(text);
  return source::read_recording(in, "run.ndjson");
}

/// What is wrong with a line whose canary is `canary`, after a good line and a blank one.
std::string wrong_canary(const std::string& canary) {
  auto blocks = read(
      R"({"t":5,"dt":5,"baseline":{"requests":1,"errors":0},"canary":{"requests":1,"errors":0}})"
      "\n\n"
      R"({"t":10,"dt":5,"baseline":{"requests":1,"errors":0},"canary":)" +
      canary + "}\n");
  return blocks ? "" : blocks.error().what;
}

/// What is wrong with a block that starts with `head` and is otherwise right.
std::string wrong_head(const std::string& head) {
  auto blocks = read("{" + head +
                     R"("baseline":{"requests":1,"errors":0},"canary":{"requests":1,"errors":0}})");
  return blocks ? "" : blocks.error().what;
}

bool same_bits(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

bool same(const std::vector<double>& a, const std::vector<double>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same_bits);
}
bool same(const std::optional<double>& a, const std::optional<double>& b) {
  return a.has_value() == b.has_value() && (!a || same_bits(*a, *b));
}
bool same(const std::optional<Histogram>& a, const std::optional<Histogram>& b) {
  return a.has_value() == b.has_value() &&
         (!a || (same(a->bounds, b->bounds) && same(a->counts, b->counts)));
}
bool same(const PodCounts& a, const PodCounts& b) {
  return a.id == b.id && same_bits(a.requests, b.requests) && same_bits(a.errors, b.errors) &&
         same_bits(a.restarts, b.restarts) && same(a.age, b.age) && same(a.latency, b.latency);
}
bool same(const Value& a, const Value& b) {
  return a.name == b.name && same_bits(a.value, b.value);
}
bool same(const VersionCounts& a, const VersionCounts& b) {
  auto alike = [](const auto& x, const auto& y) { return same(x, y); };
  return same_bits(a.requests, b.requests) && same_bits(a.errors, b.errors) &&
         same(a.latency, b.latency) &&
         std::equal(a.pods.begin(), a.pods.end(), b.pods.begin(), b.pods.end(), alike) &&
         std::equal(a.values.begin(), a.values.end(), b.values.begin(), b.values.end(), alike);
}

}  // namespace

TEST_CASE("a recorded block comes back with all its parts") {
  auto blocks = read(
      R"({"t":12.5,"dt":5,"weight":0.05,"baseline":{"requests":950,"errors":1,"latency":{"le":[0.005,0.01,0.1],"counts":[700,200,45,5]}},)"
      R"("canary":{"requests":50,"errors":2,"pods":[{"id":"a","requests":20,"errors":2},{"id":"b","requests":30,"errors":0}]}})");
  REQUIRE(blocks);
  REQUIRE(blocks->size() == 1);
  const Block& block = blocks->front();
  CHECK(block.t == 12.5);
  CHECK(block.dt == 5);
  CHECK(block.weight == 0.05);
  CHECK(block.baseline.requests == 950);
  CHECK(block.baseline.errors == 1);
  CHECK(*block.baseline.latency == Histogram{{0.005, 0.01, 0.1}, {700, 200, 45, 5}});
  CHECK_FALSE(block.canary.latency);
  REQUIRE(block.canary.pods.size() == 2);
  CHECK(block.canary.pods[1].id == "b");
  CHECK(block.canary.pods[1].requests == 30);
}

TEST_CASE("weight, latency and pods may be left out, blank lines are skipped") {
  auto blocks = read(
      "\n  \r\n"
      R"({"t":5,"dt":5,"baseline":{"requests":1,"errors":0},"canary":{"requests":1,"errors":1}})");
  REQUIRE(blocks);
  CHECK_FALSE(blocks->front().weight);
  CHECK(blocks->front().canary.pods.empty());
}

TEST_CASE("the bound above all others may be written as +Inf or null") {
  for (const char* last : {"\"+Inf\"", "null"}) {
    CAPTURE(last);
    auto blocks = read(
        R"({"t":5,"dt":5,"baseline":{"requests":1,"errors":0},"canary":{"requests":9,"errors":0,"latency":{"le":[0.1,)" +
        std::string(last) + R"(],"counts":[7,2]}}})");
    REQUIRE(blocks);
    CHECK(*blocks->front().canary.latency == Histogram{{0.1}, {7, 2}});
  }
}

TEST_CASE("what is wrong with a version is told with its line and path") {
  CHECK(wrong_canary(R"({"requests":1})") ==
        "run.ndjson:3: canary.errors is missing (a number, 0 or more)");
  CHECK(wrong_canary(R"({"requests":-1,"errors":0})") ==
        "run.ndjson:3: canary.requests is -1 (from 0 to 1e+15 would be right)");
  CHECK(wrong_canary(R"({"requests":2e15,"errors":0})") ==
        "run.ndjson:3: canary.requests is 2e+15 (from 0 to 1e+15 would be right)");
  CHECK(wrong_canary(R"({"requests":"1","errors":0})") ==
        "run.ndjson:3: canary.requests is not a number (a number, 0 or more)");
  CHECK(wrong_canary(R"({"requests":1,"errors":2})") ==
        "run.ndjson:3: canary.errors is 2, more than its 1 requests");
  CHECK(wrong_canary(R"({"requests":1,"errors":0,"podz":[]})") ==
        "run.ndjson:3: canary.\"podz\" is not known here (did you mean pods?)");
  CHECK(wrong_canary(R"({"requests":1,"errors":0,"pods":[{"requests":1,"errors":0}]})") ==
        "run.ndjson:3: canary.pods[0].id is missing (a string)");
  CHECK(wrong_canary("7") ==
        "run.ndjson:3: canary is missing (an object with requests and errors)");
}

TEST_CASE("what is wrong with a histogram is told with its line and path") {
  auto wrong = [](const std::string& latency) {
    return wrong_canary(R"({"requests":9,"errors":0,"latency":)" + latency + "}");
  };
  CHECK(wrong(R"({"le":[0.1,0.2],"counts":[1,2]})") ==
        "run.ndjson:3: canary.latency has 2 counts for 2 bounds (one count per bound and one above "
        "the last, so 3)");
  CHECK(wrong(R"({"le":[0.2,0.1],"counts":[1,2,3]})") ==
        "run.ndjson:3: canary.latency.le[1] is 0.1 (bounds are seconds, above 0 and ascending)");
  CHECK(wrong(R"({"le":[0],"counts":[1,2]})") ==
        "run.ndjson:3: canary.latency.le[0] is 0 (bounds are seconds, above 0 and ascending)");
  CHECK(wrong(R"({"le":["+Inf",1],"counts":[1,2]})") ==
        "run.ndjson:3: canary.latency.le[0] is not a number (a number, 0 or more)");
  CHECK(wrong(R"([1])") ==
        "run.ndjson:3: canary.latency is not a histogram (an object with the lists le and counts)");
}

TEST_CASE("what is wrong with the block itself is told") {
  CHECK(wrong_head(R"("dt":5,)") == "run.ndjson:1: t is missing (a number, 0 or more)");
  CHECK(wrong_head(R"("t":5,"dt":0,)") ==
        "run.ndjson:1: dt must be more than 0: it is the length of the span in seconds");
  CHECK(wrong_head(R"("t":5,"dt":5,"weight":1.5,)") ==
        "run.ndjson:1: weight must be from 0 to 1: it is the canary's share of traffic");
  CHECK(wrong_head(R"("t":5,"dt":5,"wieght":0.5,)") ==
        "run.ndjson:1: \"wieght\" is not known here (did you mean weight?)");
}

TEST_CASE("time must go on from line to line") {
  std::string line =
      R"({"t":5,"dt":5,"baseline":{"requests":1,"errors":0},"canary":{"requests":1,"errors":0}})";
  auto blocks = read(line + "\n" + line + "\n");
  REQUIRE_FALSE(blocks);
  CHECK(blocks.error().what == "run.ndjson:2: t is 5, not after the block before it (5)");
}

TEST_CASE("what is not a line of JSON is refused") {
  CHECK(read("{\"t\":1").error().what ==
        "run.ndjson:1: not JSON, it breaks off at byte 7 (each line is one JSON object)");
  CHECK(read("[1]").error().what ==
        "run.ndjson:1: not a block (each line is one JSON object: {\"t\":..., \"dt\":..., ...})");
  CHECK(read("{\"t\":1e999}").error().what ==
        "run.ndjson:1: a number is too large for anybody to have counted");
  CHECK(read("{\"t\":\"\xff\"}").error().what.find("not JSON") != std::string::npos);
  CHECK(read("").error().what == "run.ndjson: holds no blocks (one JSON object per line)");
}

TEST_CASE("a file that cannot be read is an error") {
  std::ifstream missing("/nonexistent/run.ndjson");
  CHECK(source::read_recording(missing, "a").error().what ==
        "a: cannot be read (a file with one JSON object per line)");
  std::ifstream folder("/tmp");
  CHECK(source::read_recording(folder, "a").error().what ==
        "a: cannot be read (a file with one JSON object per line)");
}

TEST_CASE("hostile lines cost neither stack nor memory") {
  CHECK(read(std::string(500000, '[') + std::string(500000, ']')).error().what ==
        "run.ndjson:1: nested deeper than 64 levels (a block needs 6)");
  CHECK(read("\n" + std::string(2 << 20, 'x')).error().what ==
        "run.ndjson:2: longer than 1 MiB (one block per line)");
}

TEST_CASE("a recorded block comes back with its instances' ages and its own metrics") {
  auto blocks = read(
      R"({"t":5,"dt":5,"baseline":{"requests":1,"errors":0,"values":{"queue":-2.5,"memory":1.5e8}},)"
      R"("canary":{"requests":5,"errors":0,"latency":{"le":[0.1,0.2],"counts":[1,2,2]},)"
      R"("pods":[{"id":"a","requests":4,"errors":0,"restarts":2,"age":12.5,"latency":{"counts":[1,2,1]}},)"
      R"({"id":"b","requests":1,"errors":0,"latency":{"le":[0.1],"counts":[0,1]}}]}})");
  if (!blocks) MESSAGE(blocks.error().what);
  REQUIRE(blocks);
  const Block& block = blocks->front();
  REQUIRE(block.baseline.values.size() == 2);
  CHECK(block.baseline.values[0].name == "queue");
  CHECK(block.baseline.values[0].value == -2.5);
  CHECK(block.baseline.values[1].value == 1.5e8);
  REQUIRE(block.canary.pods.size() == 2);
  CHECK(block.canary.pods[0].restarts == 2);
  CHECK(*block.canary.pods[0].age == 12.5);
  CHECK(*block.canary.pods[0].latency == Histogram{{0.1, 0.2}, {1, 2, 1}});
  CHECK(block.canary.pods[1].restarts == 0);
  CHECK_FALSE(block.canary.pods[1].age);
  CHECK(*block.canary.pods[1].latency == Histogram{{0.1}, {0, 1}});
}

TEST_CASE("what is wrong with an instance's parts or a metric is told with its path") {
  auto pod = [](const std::string& more) {
    return wrong_canary(R"({"requests":9,"errors":0,"pods":[{"id":"a","requests":1,"errors":0,)" +
                        more + "}]}");
  };
  CHECK(pod(R"("restarts":-1)") ==
        "run.ndjson:3: canary.pods[0].restarts is -1 (from 0 to 1e+15 would be right)");
  CHECK(pod(R"("age":"5s")") ==
        "run.ndjson:3: canary.pods[0].age is not a number (a number, 0 or more)");
  CHECK(pod(R"("latency":{"counts":[1]})") ==
        "run.ndjson:3: canary.pods[0].latency is not a histogram (an object with the lists le and "
        "counts)");
  CHECK(wrong_canary(R"({"requests":9,"errors":0,"latency":{"le":[1],"counts":[1,1]},)"
                     R"("pods":[{"id":"a","requests":1,"errors":0,"latency":{"counts":[1]}}]})") ==
        "run.ndjson:3: canary.pods[0].latency has 1 counts for 1 bounds (one count per bound and "
        "one above the last, so 2)");
  CHECK(wrong_canary(R"({"requests":9,"errors":0,"values":[1]})") ==
        "run.ndjson:3: canary.values is not an object (of metrics' names and numbers)");
  CHECK(wrong_canary(R"({"requests":9,"errors":0,"values":{"q":null}})") ==
        "run.ndjson:3: canary.values.\"q\" is not a number");
}

TEST_CASE("a key that stands there twice in one object is refused") {
  CHECK(wrong_canary(R"({"requests":1,"requests":1,"errors":0})") ==
        "run.ndjson:3: \"requests\" stands there twice in one object (once would be right)");
  CHECK(wrong_canary(R"({"requests":9,"errors":0,"values":{"a":1,"b":2,"a":1}})") ==
        "run.ndjson:3: \"a\" stands there twice in one object (once would be right)");
  std::string many;
  for (int i = 0; i < 100000; ++i) many += "\"" + std::to_string(i) + "\":1,";
  CHECK(wrong_canary("{" + many + "\"x\":1}") == "run.ndjson:3: more than 1000 keys in one object");
}

TEST_CASE("a block that is written reads back to the same bits") {
  std::mt19937_64 random(1);
  auto positive = [&] {
    return std::ldexp(static_cast<double>(random() >> 11), -static_cast<int>(random() % 80) - 4);
  };
  auto any = [&] {
    double n = 0;
    do {
      n = std::bit_cast<double>(random());
    } while (!std::isfinite(n));
    return n;
  };
  std::vector<Block> blocks;
  std::string text;
  double t = 0;
  for (int i = 0; i < 300; ++i) {
    Block block;
    block.t = t += 1 + positive() * 0x1p-49;
    block.dt = positive() + 1e-9;
    if (i % 2 == 0) block.weight = static_cast<double>(random() >> 11) * 0x1p-53;
    for (VersionCounts* version : {&block.baseline, &block.canary}) {
      version->requests = i % 3 == 0 ? std::floor(positive()) : positive();
      version->errors = version->requests / 3;
      if (i % 3 == 0)
        version->latency = Histogram{{0.1, 0.1 + 0.2, 1 / 0.3}, {positive(), 0, positive(), 1e15}};
      for (int p = 0; p < i % 4; ++p) {
        PodCounts& pod = version->pods.emplace_back();
        pod.id = "v2-" + std::to_string(p) + "\"\\\n\xc3\xa9";
        pod.requests = positive();
        pod.restarts = p;
        if (p > 0) pod.age = positive();
        if (p > 1) pod.latency = Histogram{{0.1, 0.1 + 0.2, 1 / 0.3}, {1, positive(), 3, 4}};
        if (p > 2) pod.latency = Histogram{{0.25}, {positive(), 1}};
      }
      for (const char* name : {"z", "a", "m"}) {
        if (i % 5 != 0) version->values.push_back({name, any()});
      }
      if (i % 5 == 0) version->values.push_back({"zero", -0.0});
      if (i % 5 == 0) version->values.push_back({"large", std::numeric_limits<double>::max()});
      if (i % 5 == 0)
        version->values.push_back({"small", std::numeric_limits<double>::denorm_min()});
    }
    text += source::recording_line(block) + "\n";
    blocks.push_back(block);
  }
  auto back = read(text);
  if (!back) MESSAGE(back.error().what);
  REQUIRE(back);
  REQUIRE(back->size() == blocks.size());
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    CAPTURE(i);
    CHECK(same_bits((*back)[i].t, blocks[i].t));
    CHECK(same_bits((*back)[i].dt, blocks[i].dt));
    CHECK(same((*back)[i].weight, blocks[i].weight));
    CHECK(same((*back)[i].baseline, blocks[i].baseline));
    CHECK(same((*back)[i].canary, blocks[i].canary));
  }
}

TEST_CASE("the bounds of a sketch are not written out, nor the zeros around its counts") {
  Sketch sketch;
  for (double value : {0.1, 0.1, 0.104}) sketch.insert(value);
  Block block;
  block.t = 5;
  block.dt = 5;
  block.baseline.latency = Sketch().histogram();
  block.canary.latency = sketch.histogram();
  block.canary.pods = {{.id = "a", .latency = sketch.histogram()}};
  std::string line = source::recording_line(block);
  CHECK(
      line ==
      R"({"t":5,"dt":5,"baseline":{"requests":0,"errors":0,"latency":{"le":"sketch","from":0,"counts":[]}},)"
      R"("canary":{"requests":0,"errors":0,"latency":{"le":"sketch","from":584,"counts":[2,0,1]},)"
      R"("pods":[{"id":"a","requests":0,"errors":0,"latency":{"from":584,"counts":[2,0,1]}}]}})");
  auto back = read(line);
  REQUIRE(back);
  CHECK(same((*back)[0].baseline, block.baseline));
  CHECK(same((*back)[0].canary, block.canary));
  sketch.insert(0);
  sketch.insert(1e9);
  block.canary.latency = sketch.histogram();
  back = read(source::recording_line(block));
  REQUIRE(back);
  CHECK(same((*back)[0].canary, block.canary));

  auto wrong = [](const std::string& latency) {
    return wrong_canary(R"({"requests":9,"errors":0,"latency":)" + latency + "}");
  };
  CHECK(wrong(R"({"le":"sketch","from":0,"counts":[1]})") == "");
  std::string no_part =
      "run.ndjson:3: canary.latency has no list of counts that is part of a sketch's 1157 from ";
  CHECK(wrong(R"({"le":"sketch","from":1157,"counts":[1]})") == no_part + "1157 on");
  CHECK(wrong(R"({"le":"sketch","from":0.5,"counts":[1]})") == no_part + "0.5 on");
  CHECK(wrong(R"({"le":"sketch","from":3})") == no_part + "3 on");
  CHECK(wrong(R"({"le":"sketch","from":-3,"counts":[1]})") ==
        "run.ndjson:3: canary.latency.from is -3 (from 0 to 1e+15 would be right)");
  CHECK(wrong(R"({"le":"sketch","from":7,"counts":[1,-1]})") ==
        "run.ndjson:3: canary.latency.counts[1] is -1 (from 0 to 1e+15 would be right)");
}

TEST_CASE("a line is short and stands on one line") {
  Block block;
  block.t = 12.5;
  block.dt = 5;
  block.weight = 0.05;
  block.baseline.requests = 950;
  block.canary.requests = 50;
  block.canary.latency = Histogram{{0.1}, {49, 1}};
  block.canary.pods = {{.id = "v2-0",
                        .requests = 50,
                        .restarts = 1,
                        .age = 2.5,
                        .latency = Histogram{{0.1}, {49, 1}}}};
  block.canary.values = {{"memory", 1.5e8}};
  CHECK(
      source::recording_line(block) ==
      R"({"t":12.5,"dt":5,"weight":0.05,"baseline":{"requests":950,"errors":0},"canary":{"requests":50,"errors":0,)"
      R"("latency":{"le":[0.1],"counts":[49,1]},"pods":[{"id":"v2-0","requests":50,"errors":0,"restarts":1,"age":2.5,)"
      R"("latency":{"counts":[49,1]}}],"values":{"memory":150000000}}})");
}
