#include "sources/recording.h"

#include <doctest/doctest.h>
#include <fstream>
#include <sstream>

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
        "run.ndjson:1: nested deeper than 64 levels (a block needs 4)");
  CHECK(read("\n" + std::string(2 << 20, 'x')).error().what ==
        "run.ndjson:2: longer than 1 MiB (one block per line)");
}
