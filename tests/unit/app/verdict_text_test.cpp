// What `davy explain` draws, from verdicts made by hand.

#include "app/cli/verdict_text.h"

#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <sstream>

#include "davy/verdict.h"
#include "serve/json.h"

using namespace davy;

namespace {

Verdict verdict(double fail_log_e) {
  Verdict v;
  v.deployment = "shop";
  v.reason = "Not decided.";
  MetricVerdict m;
  m.name = "error_rate";
  m.title = "error rate";
  m.baseline_requests = 1000;
  m.canary_requests = 100;
  m.canary_events = 4;
  m.canary_rate = 0.04;
  m.baseline_rate = 0.01;
  m.ratio = {2, 8};
  m.fail = {fail_log_e, std::log(100)};
  m.warn = {0.5, std::log(20)};
  m.pass = {-0.5, std::log(20)};
  v.metrics.push_back(m);
  v.rollback = m.fail;
  v.hold = m.warn;
  return v;
}

std::string drawn(const Verdict& v, const app::Look& look = {}) {
  Result<std::string> text = app::verdict_text(serve::verdict_json(v), look);
  REQUIRE(text);
  return *text;
}

std::string line_with(const std::string& text, const std::string& part) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.find(part) != std::string::npos) return line;
  }
  return "";
}

auto bar(double share, char mark) {
  std::string line = line_with(drawn(verdict(share * std::log(100))), "worse than tolerated");
  return std::count(line.begin(), line.end(), mark);
}

}  // namespace

TEST_CASE("a bar is as long as its test's log odds are of their limit") {
  auto whole = bar(1, '#');
  CHECK(whole >= 16);
  CHECK(bar(0.5, '#') == doctest::Approx(static_cast<double>(whole) / 2).epsilon(0.1));
  CHECK(bar(0.25, '#') == doctest::Approx(static_cast<double>(whole) / 4).epsilon(0.2));
  CHECK(bar(0, '#') == 0);
  CHECK(bar(5, '#') == whole);
  CHECK(bar(0.999, '#') == whole - 1);
}

TEST_CASE("evidence against what a test would prove goes to the left") {
  CHECK(bar(-0.1, '-') > 0);
  CHECK(bar(-0.2, '-') > bar(-0.1, '-'));
  CHECK(bar(-0.1, '#') == 0);
  CHECK(line_with(drawn(verdict(-9)), "worse than tolerated").find("<-") != std::string::npos);
  CHECK(line_with(drawn(verdict(-std::log(8))), "worse than tolerated").find("1:8 of 100:1") !=
        std::string::npos);
}

TEST_CASE("an evidence that has reached its limit is told as proven") {
  CHECK(line_with(drawn(verdict(std::log(180))), "worse than tolerated").find("180:1, proven") !=
        std::string::npos);
}

TEST_CASE("the interval lies on the ratio's axis, with V2's rate over V1's in it") {
  std::string text = drawn(verdict(1));
  std::string axis = line_with(text, "V2 to V1");
  std::string ticks = line_with(text, "1/16x");
  auto at = [](const std::string& line, const char* what) {
    return static_cast<double>(line.rfind(what));
  };
  CHECK(at(axis, "|") < at(axis, "["));
  CHECK(at(axis, "[") < at(axis, "o"));
  CHECK(at(axis, "o") < at(axis, "]"));
  CHECK(std::abs(at(axis, "o") - at(ticks, "4x")) <= 1);
  CHECK(axis.find("2-8x") != std::string::npos);
}

TEST_CASE("what decided, what is muted and what was left out is said") {
  Verdict v = verdict(6);
  v.decided_by = "error_rate";
  v.metrics[0].proven_alone = true;
  CHECK(drawn(v).find("<< decided by this, proven on its own") != std::string::npos);
  v.metrics[0].muted = true;
  CHECK(drawn(v).find("Muted") != std::string::npos);
  v.metrics[0].note = "buckets too coarse";
  CHECK(drawn(v).find("Left out: buckets too coarse") != std::string::npos);
  v.metrics[0].overdispersion = 3.2;
  CHECK(drawn(v).find("vary 3.2 times more") != std::string::npos);
  v.notices = {"Something else."};
  CHECK(drawn(v).find("  - Something else.") != std::string::npos);
}

TEST_CASE("no line is longer than the terminal is wide, and colour is only where it is wanted") {
  Verdict v = verdict(6);
  v.reason = std::string(40, 'x') + " " + std::string(30, 'y') + " " + std::string(30, 'z');
  v.traffic_share = ShareVerdict{0.05, 0.031, {1, 6.9}};
  for (std::size_t columns : {60U, 80U, 100U}) {
    std::istringstream lines(drawn(v, {.columns = columns}));
    for (std::string line; std::getline(lines, line);) {
      CAPTURE(line);
      CHECK(line.size() <= columns);
    }
  }
  CHECK(drawn(v).find('\033') == std::string::npos);
  CHECK(drawn(v, {.colour = true}).find("\033[31m") != std::string::npos);
}

TEST_CASE("what is no verdict is refused") {
  CHECK_FALSE(app::verdict_text("{}", {}));
  CHECK_FALSE(app::verdict_text("[1]", {}));
  CHECK_FALSE(app::verdict_text("not json", {}));
  CHECK_FALSE(app::verdict_text(R"({"verdict": "pass", "metrics": [1]})", {}));
}
