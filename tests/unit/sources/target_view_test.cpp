#include "sources/suggest/target_view.h"

#include <doctest/doctest.h>
#include <fstream>
#include <sstream>

#include "stats/buckets.h"

using namespace davy;
using namespace davy::source;

namespace {

constexpr Time kNow{std::chrono::hours(1)};

Rules rules(const RequestSeries& series, const std::vector<ValueSeries>& values = {}) {
  Result<Rules> compiled = Rules::compile(series, values);
  REQUIRE(compiled);
  return std::move(*compiled);
}

TargetView view_of(const RequestSeries& series) {
  return TargetView(rules(series), {{Side::Canary}}, 1000);
}

Page page(const std::string& body, int second, const std::string& type = "text/plain") {
  return {body, type, kNow + std::chrono::seconds(second)};
}

const RequestSeries kSeries{
    .counter = {"n"}, .error_when = {"code=~\"5..\""}, .errors = {"e"}, .histogram = {"h"}};

}  // namespace

TEST_CASE("a view tells what came since the first page, and all that the last one counts") {
  TargetView view = view_of(kSeries);
  CHECK(view.pages() == 0);
  CHECK(view.span() == 0);
  REQUIRE(
      view.see(page("n{code=\"200\"} 10\nn{code=\"500\"} 1\nh_bucket{le=\"1\"} 5\n"
                    "h_bucket{le=\"+Inf\"} 11\n",
                    0)));
  REQUIRE(
      view.see(page("n{code=\"200\"} 14\nn{code=\"500\"} 3\nh_bucket{le=\"1\"} 6\n"
                    "h_bucket{le=\"+Inf\"} 17\n",
                    2)));
  CHECK(view.pages() == 2);
  CHECK(view.span() == 2);
  CHECK(view.grown(Side::Canary).requests == 6);
  CHECK(view.grown(Side::Canary).errors == 2);
  CHECK(*at_common_bounds(view.grown(Side::Canary).latency) == Histogram{{1}, {1, 5}});
  CHECK(view.whole(Side::Canary).requests == 17);
  CHECK(view.whole(Side::Canary).errors == 3);
  CHECK(*at_common_bounds(view.whole(Side::Canary).latency) == Histogram{{1}, {6, 11}});
  CHECK(view.whole(Side::Baseline).requests == 0);
  CHECK(view.reads().size() == 2);
  CHECK(view.reads()[1].samples == 4);
  CHECK(view.reads()[1].predicted == 4);
  CHECK(view.reads()[1].wanted == 3);
}

TEST_CASE("a view tells which series it used, and as what") {
  TargetView view = view_of(kSeries);
  REQUIRE(
      view.see(page("n{code=\"200\",a=\"x=y\"} 10\nn{code=\"500\",a=\"z\"} 1\ne 4\n"
                    "h_bucket{le=\"1\",m=\"b\"} 5\nh_bucket{le=\"+Inf\",m=\"b\"} 11\nother 3\n",
                    0)));
  auto used = view.used();
  CHECK(used.size() == 3);
  CHECK(used.at("n").requests == 2);
  CHECK(used.at("n").errors == 1);
  CHECK(used.at("n").labels.at("a") == std::set<std::string>{"x=y", "z"});
  CHECK(used.at("e").requests == 0);
  CHECK(used.at("e").errors == 1);
  CHECK(used.at("h").histograms == 1);
  CHECK(used.at("h").bounds == std::vector<double>{1});
  CHECK(used.at("h").labels.count("le") == 0);
}

TEST_CASE("what was left out is told once, whatever page it was on") {
  TargetView view = view_of(kSeries);
  REQUIRE(view.see(page("n{code=\"200\"} NaN\n", 0)));
  REQUIRE(view.see(page("n{code=\"200\"} NaN\n", 1)));
  REQUIRE(view.see(page("n{code=\"200\"} 1\nbroken{\n", 2)));
  CHECK(view.remarks().size() == 2);
}

TEST_CASE("a page that is none changes nothing of what was counted") {
  TargetView view = view_of(kSeries);
  REQUIRE(view.see(page("n{code=\"200\"} 10\n", 0)));
  CHECK_FALSE(view.see(page("<html>", 1)));
  REQUIRE(view.see(page("n{code=\"200\"} 13\n", 2)));
  CHECK(view.pages() == 2);
  CHECK(view.grown(Side::Canary).requests == 3);
}

TEST_CASE("a native histogram of a real Go process is read") {
  std::ifstream in(DAVY_SOURCE_DIR "/tests/data/clients/go_client.pb", std::ios::binary);
  std::ostringstream all;
  all << in.rdbuf();
  TargetView view = view_of({.counter = {"http_requests_total"},
                             .error_when = {"code=~\"5..\""},
                             .errors = {},
                             .histogram = {"native_seconds"}});
  REQUIRE(view.see(page(all.str(), 0, "application/vnd.google.protobuf; encoding=delimited")));
  CHECK(view.accept().starts_with("application/vnd.google.protobuf"));
  CHECK(view.whole(Side::Canary).requests == 100);
  CHECK(view.whole(Side::Canary).errors == 5);
  std::optional<Histogram> latency = at_common_bounds(view.whole(Side::Canary).latency);
  REQUIRE(latency);
  CHECK(stats::total(*latency) == 1001);
  // 1 ms to 1 s in steps of 1 ms.
  std::optional<Enclosed> p95 = enclose(*latency, 0.95);
  REQUIRE(p95);
  CHECK(p95->above < 0.95);
  CHECK(p95->above > 0.85);
  CHECK(*p95->at_most >= 0.95);
  CHECK(*p95->at_most < 1.05);
}

TEST_CASE("a quantile is enclosed by the bounds of its bucket") {
  Histogram h{{0.1, 0.2, 0.5}, {50, 44, 5, 1}};
  auto in = [&](double q) { return *enclose(h, q); };
  CHECK(in(0.5).above == 0);
  CHECK(*in(0.5).at_most == 0.1);
  CHECK(in(0.94).above == 0.1);
  CHECK(*in(0.95).at_most == 0.5);
  CHECK(in(0.99).above == 0.2);
  CHECK_FALSE(enclose(h, 0.995));
  CHECK_FALSE(enclose({{0.1}, {1, 0}}, 0.5));
  CHECK_FALSE(enclose({{0.1}, {0, 0}}, 0.5));
  CHECK(enclose({{0.1}, {2, 0}}, 0.5));
  Enclosed last = *enclose({{0.1, 0.2}, {1, 0, 99}}, 0.99);
  CHECK(last.above == 0.2);
  CHECK_FALSE(last.at_most);
}
