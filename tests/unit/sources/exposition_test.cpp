#include "sources/formats/exposition.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>

using namespace davy;
using namespace davy::source;

namespace {

/// Keeps all samples but those of `unwanted_...`.
struct Keeper final : SampleSink {
  struct Kept {
    std::string name;
    std::vector<std::pair<std::string, std::string>> labels;
    double value;
  };
  std::vector<Kept> series;
  std::vector<Kept> all;

  std::uint32_t intern(std::string_view name, Labels labels) override {
    if (name.starts_with("unwanted")) return kUnwanted;
    Kept& kept = series.emplace_back(Kept{std::string(name), {}, 0});
    for (const Label& label : labels) kept.labels.emplace_back(label.name, label.value);
    return static_cast<std::uint32_t>(series.size() - 1);
  }
  void see(std::uint32_t number, double value) override {
    all.push_back(series.at(number));
    all.back().value = value;
  }
};

struct Outcome {
  Keeper keeper;
  Result<Parsed> parsed = Error{""};
};
Outcome parse(std::string_view body) {
  Outcome outcome;
  outcome.parsed = parse_exposition(body, outcome.keeper);
  return outcome;
}

/// What is wrong with one line.
std::string wrong(const std::string& line) {
  Outcome outcome = parse(line + "\ngood 1\n");
  REQUIRE(outcome.parsed);
  CHECK(outcome.keeper.all.size() == 1);
  CHECK(outcome.parsed->malformed == 1);
  return outcome.parsed->first_malformed.at(0);
}

}  // namespace

TEST_CASE("samples come with their names, labels and values") {
  Outcome outcome = parse(
      "# HELP a Things.\n# TYPE a counter\na 1\na{} 2\nb{x=\"1\",y=\"2\"} 3.5e3\nb { x = \"1\" , } "
      "4 1395066363000\n"
      "\nunwanted{x=\"1\"} 7\n");
  REQUIRE(outcome.parsed);
  CHECK(outcome.parsed->lines == 5);
  CHECK(outcome.parsed->malformed == 0);
  const auto& all = outcome.keeper.all;
  REQUIRE(all.size() == 4);
  CHECK(all[0].name == "a");
  CHECK(all[1].value == 2);
  CHECK(all[2].labels == std::vector<std::pair<std::string, std::string>>{{"x", "1"}, {"y", "2"}});
  CHECK(all[2].value == 3500);
  CHECK(all[3].labels.size() == 1);
  CHECK(all[3].value == 4);
}

TEST_CASE("label values are unescaped and may hold braces and spaces") {
  Outcome outcome = parse("a{path=\"C:\\\\x\\\"y\\nz\",q=\"{a=\\\"b\\\"} \"} 1\n");
  REQUIRE(outcome.keeper.all.size() == 1);
  CHECK(outcome.keeper.all[0].labels[0].second == "C:\\x\"y\nz");
  CHECK(outcome.keeper.all[0].labels[1].second == "{a=\"b\"} ");
}

TEST_CASE("values may be infinite or not a number") {
  Outcome outcome = parse("a NaN\na +Inf\na -Inf\na +1\n");
  REQUIRE(outcome.keeper.all.size() == 4);
  CHECK(std::isnan(outcome.keeper.all[0].value));
  CHECK(std::isinf(outcome.keeper.all[1].value));
  CHECK(outcome.keeper.all[2].value < 0);
  CHECK(outcome.keeper.all[3].value == 1);
}

TEST_CASE("OpenMetrics exemplars and the end mark are passed over") {
  Outcome outcome = parse(
      "a_bucket{le=\"1\"} 5 # {trace=\"x\"} 0.5 123\na_bucket{le=\"2\"} 6 1.5 # {} 1\n# EOF\n");
  CHECK(outcome.parsed->malformed == 0);
  CHECK(outcome.keeper.all.size() == 2);
}

TEST_CASE("Windows line ends are passed over") {
  Outcome outcome = parse("a 1\r\n\r\nb{x=\"1\"} 2 7\r\n");
  CHECK(outcome.parsed->malformed == 0);
  CHECK(outcome.keeper.all.size() == 2);
}

TEST_CASE("a malformed line is left out, counted and described") {
  CHECK(wrong("a") == "line 1: the value is not a number");
  CHECK(wrong("a x") == "line 1: the value is not a number");
  CHECK(wrong("a 1 x") == "line 1: something other than a timestamp follows the value");
  CHECK(wrong("a{x=\"1\" 2") == "line 1: no comma or } after a label");
  CHECK(wrong("a{x=\"1} 2") == "line 1: no closing quote");
  CHECK(wrong("a{x=\"1\\\"} 2") == "line 1: no closing quote");
  CHECK(wrong("a{x=1} 2") == "line 1: a label's value without quotes");
  CHECK(wrong("a{x} 2") == "line 1: a label without a proper name");
  CHECK(wrong("a{") == "line 1: labels without an end");
  CHECK(wrong("a{=\"1\"} 2") == "line 1: a label without a proper name");
  CHECK(wrong("a{x=\"\xff\"} 2") == "line 1: a label's value is not UTF-8");
  CHECK(wrong("a 1e999") == "line 1: the value does not fit into a double");
}

TEST_CASE("only the first few malformed lines are described") {
  Outcome outcome = parse("a x\na x\na x\na x\na x\n");
  CHECK(outcome.parsed->malformed == 5);
  CHECK(outcome.parsed->first_malformed.size() == 3);
}

TEST_CASE("a body that was cut is not trusted at all") {
  Outcome outcome = parse("a 1\na{x=\"1\"} 12");
  REQUIRE_FALSE(outcome.parsed);
  CHECK(outcome.parsed.error().what ==
        "the answer ends in the middle of a line, so it was cut (nothing of it is counted)");
}

TEST_CASE("HTML and JSON are not metrics") {
  constexpr const char* kHtml = "answered HTML, not metrics (is the path right? /metrics is usual)";
  CHECK(parse("<!DOCTYPE html>\n").parsed.error().what == kHtml);
  CHECK(parse("\xEF\xBB\xBF \n <html>").parsed.error().what == kHtml);
  constexpr const char* kJson = "answered JSON, not metrics (is the path right? /metrics is usual)";
  CHECK(parse("{\"status\":\"ok\"}").parsed.error().what == kJson);
  CHECK(parse("[]").parsed.error().what == kJson);
  CHECK(parse("{\n  \"a\": 1\n}\n").parsed.error().what == kJson);
}

TEST_CASE("names that Prometheus 3 puts into quotes are passed over") {
  Outcome outcome = parse("{\"http.requests\",code=\"200\"} 5\na 1\n");
  REQUIRE(outcome.parsed);
  CHECK(outcome.keeper.all.back().name == "a");
}

TEST_CASE("a series with ten thousand labels is malformed and costs little") {
  std::string line = "a{";
  for (int i = 0; i < 10000; ++i) line += "l" + std::to_string(i) + "=\"x\",";
  CHECK(wrong(line + "} 1") == "line 1: more labels than anybody can mean");
}

TEST_CASE("an empty body has no samples and no error") {
  REQUIRE(parse("").parsed);
  CHECK(parse("\n").parsed->lines == 0);
}

TEST_CASE("what there is no room to remember is parsed on every page, and comes out the same") {
  Keeper keeper;
  Exposition exposition(keeper, 1000);
  std::string page;
  for (int i = 0; i < 200; ++i) page += fmt::format("a{{x=\"{}\"}} {}\n", i, i);
  page += "a{\n";
  for (int round = 0; round < 3; ++round) {
    keeper.all.clear();
    exposition.begin(TextFormat::Prometheus);
    exposition.feed(page);
    Result<Parsed> parsed = exposition.finish();
    REQUIRE(parsed);
    CHECK(parsed->lines == 201);
    CHECK(parsed->predicted < 200);
    CHECK((parsed->predicted > 0) == (round > 0));
    CHECK(parsed->malformed == 1);
    CHECK(parsed->first_malformed.at(0) == "line 201: labels without an end");
    double sum = 0;
    for (const auto& sample : keeper.all) sum += sample.value;
    CHECK(sum == 199 * 100);
  }
  CHECK(exposition.memory() < 10'000);
}
