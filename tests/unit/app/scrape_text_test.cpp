// What `davy scrape` shows, from pages written by hand.

#include "app/cli/scrape_report.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace davy;
using namespace davy::app;
using source::Side;

namespace {

const RequestSeries kSeries{.counter = {"n{app!=\"admin\"}"},
                            .error_when = {"code=~\"5..\""},
                            .errors = {},
                            .histogram = {"h"}};

std::string page(int good, int bad, int quick, int slow) {
  return "# TYPE n counter\nn{app=\"shop\",code=\"200\"} " + std::to_string(good) +
         "\nn{app=\"shop\",code=\"500\"} " + std::to_string(bad) +
         "\nn{app=\"admin\",code=\"200\"} 7\n# TYPE h histogram\nh_bucket{le=\"0.05\"} " +
         std::to_string(quick) + "\nh_bucket{le=\"0.1\"} " + std::to_string(quick) +
         "\nh_bucket{le=\"0.25\"} " + std::to_string(quick + slow) + "\nh_bucket{le=\"+Inf\"} " +
         std::to_string(quick + slow) + "\n# TYPE other gauge\nother 1\nbroken{\n";
}

ScrapeReport report(const std::vector<std::string>& pages, const RequestSeries& series = kSeries,
                    std::vector<source::Share> shares = {{Side::Canary, {}}},
                    const std::vector<ValueSeries>& values = {}) {
  Result<source::Rules> rules = source::Rules::compile(series, values);
  REQUIRE(rules);
  source::TargetView view(std::move(*rules), std::move(shares), 1000);
  int second = 0;
  for (const std::string& body : pages) {
    REQUIRE(view.see({body, "text/plain", Time{std::chrono::seconds(second)}}));
    second += 2;
  }
  Result<source::Survey> survey = source::Survey::of(pages.back(), "text/plain");
  REQUIRE(survey);
  ScrapeReport report = report_of(view, series, *survey);
  report.url = "http://v1:9102/metrics";
  report.rules = "the command line's";
  for (const std::string& body : pages) {
    report.rounds.push_back({.format = "text",
                             .bytes = body.size(),
                             .lines = 10,
                             .asked = std::chrono::milliseconds(2)});
  }
  return report;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string text(const ScrapeReport& report) {
  return scrape_text(report, {.columns = 120, .colour = false, .is_terminal = false});
}

}  // namespace

TEST_CASE("a report for people") {
  ScrapeReport seen = report({page(900, 0, 900, 0), page(1088, 12, 1080, 20)});
  seen.rounds[0].read = {
      .samples = 8, .predicted = 0, .wanted = 3, .took = std::chrono::microseconds(90)};
  seen.rounds[1].read = {
      .samples = 8, .predicted = 10, .wanted = 3, .took = std::chrono::microseconds(9)};
  seen.rounds[1].is_packed = true;
  seen.rounds[1].packed = 100;
  CHECK(seen.is_good());
  CHECK(scrape_text(seen, {}) == R"(http://v1:9102/metrics
  page 1  250 B of text in 2ms, 8 samples, 3 wanted, read in 90us
  page 2  256 B of text (100 B packed) in 2ms, 8 samples, 3 wanted, read in 9us,
          100% of lines as before

Rules
  the command line's
  counter     n{app!="admin"}
  error_when  code=~"5.."
  histogram   h
  unit        seconds

Traffic, in 2s
  requests  200      100/s
  errors     12        6/s  6.00%
  latency of 200
    p50   at most 50 ms
    p95   between 100 ms and 250 ms
    p99   between 100 ms and 250 ms
               0 - 50 ms         180
          50 ms - 100 ms           0
         100 ms - 250 ms          20

Used
  h: 1 histogram with 3 bounds, 50 ms to 250 ms
  n: 2 series of requests, 1 series of errors; by app "shop", code "200" "500"

Left out
  - 1 malformed lines left out (line 12: labels without an end)
  - 1 series of n does not match what the rules say of labels
  - 1 other family that no rule names
)");
}

TEST_CASE("a terminal has bars, a pipe has none") {
  ScrapeReport seen = report({page(900, 0, 900, 0), page(1088, 12, 1080, 20)});
  CHECK_FALSE(has(text(seen), "#"));
  std::string drawn = scrape_text(seen, {.columns = 80, .colour = false, .is_terminal = true});
  CHECK(has(drawn, "0 - 50 ms  ########"));
  CHECK(has(drawn, "# 180"));
  CHECK_FALSE(has(drawn, "\033"));
  CHECK(has(scrape_text(seen, {.columns = 80, .colour = true, .is_terminal = true}), "\033[1m"));
}

TEST_CASE("without a request meanwhile, all since the start is shown, and what to do") {
  ScrapeReport seen = report({page(900, 9, 909, 0), page(900, 9, 909, 0)});
  CHECK(has(text(seen), "Traffic, since it started: no request came meanwhile\n  requests  909\n"));
  CHECK(has(text(seen), "Next\n  - no request came meanwhile: send some, or watch longer"));
  CHECK(has(text(report({page(900, 9, 909, 0)})), "Traffic, since it started\n"));
}

TEST_CASE("too few requests have no quantile") {
  std::string said = text(report({page(0, 0, 0, 0), page(30, 0, 30, 0)}));
  CHECK(has(said, "p95   at most 50 ms"));
  CHECK(has(said, "p99   needs 100 requests"));
}

TEST_CASE("a quantile above the last bound, or in a wide bucket, is told") {
  auto histogram = [](int above) {
    return "n{app=\"x\",code=\"200\"} 200\nh_bucket{le=\"0.1\"} 100\nh_bucket{le=\"1\"} " +
           std::to_string(200 - above) + "\nh_bucket{le=\"+Inf\"} 200\n";
  };
  CHECK(has(text(report({histogram(50)})), "p99 lies above the last bound, 1 s"));
  CHECK(has(text(report({histogram(50)})), "p99   above 1 s"));
  CHECK(has(text(report({histogram(0)})), "p99 lies in a wide bucket, 100 ms to 1 s"));
}

TEST_CASE("a counter by which no error would show is told with the labels that it has") {
  ScrapeReport seen = report({"n{app=\"x\",result=\"ok\"} 5\n"});
  CHECK_FALSE(seen.is_good());
  CHECK(has(text(seen), "none would show"));
  CHECK(has(text(seen), "the counter has no label code. It has app, result"));
}

TEST_CASE("where no series counts requests, likely ones are named") {
  ScrapeReport seen = report({"# TYPE shop_requests_total counter\nshop_requests_total 5\n"});
  CHECK_FALSE(seen.is_good());
  CHECK(has(text(seen), "These could: shop_requests_total"));
  CHECK_FALSE(has(text(seen), "Traffic"));
}

TEST_CASE("a summary, a native histogram's absence and a doubtful unit are told") {
  CHECK(has(text(report({"n{app=\"x\",code=\"200\"} 5\n# TYPE h summary\nh_sum 1\nh_count 5\n"})),
            "h is a summary"));
  CHECK(
      has(text(report({"n{app=\"x\",code=\"200\"} 5\n"})), "latency is not judged: no histogram"));
  CHECK(has(text(report({"n{app=\"x\",code=\"200\"} 5\nh_bucket{le=\"10000\"} 5\n"
                         "h_bucket{le=\"+Inf\"} 5\n"})),
            "are they milliseconds? (--unit)"));
}

TEST_CASE("a target that serves both versions is shown for each") {
  std::vector<source::Share> shares;
  shares.push_back({Side::Baseline, *source::Matchers::parse("v=\"1\"")});
  shares.push_back({Side::Canary, *source::Matchers::parse("v=\"2\"")});
  auto both = [](int v1, int v2) {
    return "n{v=\"1\",code=\"200\"} " + std::to_string(v1) + "\nn{v=\"2\",code=\"200\"} " +
           std::to_string(v2) + "\nn{v=\"3\",code=\"200\"} 9\n";
  };
  RequestSeries series{
      .counter = {"n"}, .error_when = {"code=~\"5..\""}, .errors = {}, .histogram = {}};
  std::string said = text(report({both(1, 1), both(101, 3)}, series, std::move(shares)));
  CHECK(has(said, "Traffic of V1, in 2s\n  requests  100       50/s\n"));
  CHECK(has(said, "Traffic of V2, in 2s\n  requests  2        1/s\n"));
  CHECK(has(said, "1 series of n does not match"));
}

TEST_CASE("own metrics are shown as this target has them") {
  std::vector<ValueSeries> values{
      {.name = "memory", .series = "rss"},
      {.name = "cpu", .series = "cpu_total", .kind = ValueSeries::Kind::Rate},
      {.name = "queue", .series = "absent"}};
  auto page = [](int cpu) {
    return "n{app=\"x\",code=\"200\"} 5\nrss 1500\ncpu_total " + std::to_string(cpu) + "\n";
  };
  std::string said = text(report({page(1), page(4)}, kSeries, {{Side::Canary, {}}}, values));
  CHECK(has(said, "  memory    1500\n"));
  CHECK(has(said, "  cpu       1.5/s\n"));
  CHECK(has(said, "  queue     not there (absent)\n"));
}

TEST_CASE("many pages are shown by the first two and the last, and any that did not come") {
  ScrapeReport seen = report({page(900, 9, 909, 0)});
  for (int i = 0; i < 9; ++i) seen.rounds.push_back(seen.rounds[0]);
  seen.rounds[5].trouble = "timed out";
  std::string said = text(seen);
  CHECK(has(said, "  page 2  "));
  CHECK_FALSE(has(said, "  page 3  "));
  CHECK(has(said, "  ...     3 pages more like these\n  page 6  timed out\n"));
  CHECK(has(said, "  ...     3 pages more like these\n  page 10  "));
}

TEST_CASE("a report for programs says the same") {
  nlohmann::json seen =
      nlohmann::json::parse(scrape_json(report({page(900, 0, 900, 0), page(1088, 12, 1080, 20)})));
  CHECK(seen.at("ok") == true);
  CHECK(seen.at("span_seconds") == 2.0);
  CHECK(seen.at("versions").at(0).at("grown").at("requests") == 200.0);
  CHECK(seen.at("versions").at(0).at("grown").at("errors") == 12.0);
  const nlohmann::json& latency = seen.at("versions").at(0).at("grown").at("latency");
  CHECK(latency.at("counts") == nlohmann::json{180.0, 0.0, 20.0, 0.0});
  CHECK(latency.at("quantiles").at(1).at("above") == 0.1);
  CHECK(latency.at("quantiles").at(1).at("at_most") == 0.25);
  CHECK(seen.at("used").at("n").at("errors") == 1);
  CHECK(seen.at("left_out").size() == 3);
}

TEST_CASE("a page of nothing says what could be done") {
  Result<source::Survey> survey = source::Survey::of("# TYPE up gauge\nup 1\n", "text/plain");
  ScrapeReport nothing = report_of_nothing(*survey);
  nothing.rounds.push_back({.format = "text"});
  CHECK_FALSE(nothing.is_good());
  CHECK(has(text(nothing), "is this the right target?"));
}
