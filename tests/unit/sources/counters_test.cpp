#include "sources/counters.h"

#include <doctest/doctest.h>

using namespace davy;
using namespace davy::source;

namespace {

const RequestSeries kSeries{
    .counter = {"n"}, .error_when = {"code=~\"5..\""}, .errors = {"e"}, .histogram = {"h"}};

Reading read(const std::string& body, std::vector<Share> shares = {{Side::Canary}}) {
  Result<Rules> rules = Rules::compile(kSeries);
  REQUIRE(rules);
  Result<Reading> reading = read_metrics(body, *rules, shares, 1000);
  if (!reading) MESSAGE(reading.error().what);
  REQUIRE(reading);
  return std::move(*reading);
}

/// What a target adds from `before` to `after`.
Tally added(const std::string& before, const std::string& after) {
  TargetCounters target;
  target.start_from(read(before));
  target.advance_to(read(after));
  return target.tally(Side::Canary);
}

std::string buckets(const std::string& name, std::initializer_list<int> cumulative) {
  const char* bounds[] = {"0.1", "0.5", "+Inf"};
  std::string body;
  std::size_t i = 3 - cumulative.size();
  for (int count : cumulative) {
    body += name + "_bucket{le=\"" + bounds[i++] + "\"} " + std::to_string(count) + "\n";
  }
  return body;
}

}  // namespace

TEST_CASE("a counter's growth counts, and that of error series as errors too") {
  Tally tally =
      added("n{code=\"200\"} 100\nn{code=\"500\"} 5\n", "n{code=\"200\"} 110\nn{code=\"500\"} 7\n");
  CHECK(tally.requests == 12);
  CHECK(tally.errors == 2);
}

TEST_CASE("error counters of their own count as errors only") {
  Tally tally = added("n 100\ne 1\n", "n 110\ne 4\n");
  CHECK(tally.requests == 10);
  CHECK(tally.errors == 3);
}

TEST_CASE("a counter that went backwards was reset and counts from 0") {
  CHECK(added("n 100\n", "n 7\n").requests == 7);
  CHECK(added("n 100\n", "n 0\n").requests == 0);
}

TEST_CASE("a series that appears later than its target counts in full") {
  Tally tally = added("n{code=\"200\"} 100\n", "n{code=\"200\"} 100\nn{code=\"500\"} 3\n");
  CHECK(tally.requests == 3);
  CHECK(tally.errors == 3);
  CHECK(added("other 1\n", "n{code=\"200\"} 4\n").requests == 4);
}

TEST_CASE("the order of labels makes no other series") {
  CHECK(added("n{a=\"1\",b=\"2\"} 10\n", "n{b=\"2\",a=\"1\"} 11\n").requests == 1);
}

TEST_CASE("a series that is left out of one scrape goes on where it was") {
  TargetCounters target;
  target.start_from(read("n 100\n"));
  target.advance_to(read("other 1\n"));
  target.advance_to(read("n 103\n"));
  CHECK(target.tally(Side::Canary).requests == 3);
}

TEST_CASE("counters that are no counts are left out and told") {
  Reading reading =
      read("n{code=\"200\"} NaN\nn{code=\"201\"} +Inf\nn{code=\"202\"} -1\nn{code=\"203\"} 5\n");
  CHECK(reading.counters.size() == 1);
  CHECK(reading.remarks ==
        std::vector<std::string>{
            "3 counters left out that are no counts (NaN, infinite or negative) (n is -1)"});
  CHECK(added("n 5\n", "n NaN\n").requests == 0);
}

TEST_CASE("a series that stands there twice counts once and is told") {
  TargetCounters target;
  target.start_from(read("n 100\n"));
  CHECK(target.advance_to(read("n 101\nn 50\n")) ==
        std::vector<std::string>{"1 series stand there twice (only the first counts)"});
  CHECK(target.tally(Side::Canary).requests == 1);
}

TEST_CASE("a histogram's growth comes per bucket at its bounds") {
  Tally tally = added(buckets("h", {10, 20, 30}), buckets("h", {11, 25, 36}));
  CHECK(*at_common_bounds(tally.latency) == Histogram{{0.1, 0.5}, {1, 4, 1}});
}

TEST_CASE("a histogram with fewer in all was reset and counts from 0") {
  Tally tally = added(buckets("h", {10, 20, 30}), buckets("h", {1, 2, 4}));
  CHECK(*at_common_bounds(tally.latency) == Histogram{{0.1, 0.5}, {1, 1, 2}});
}

TEST_CASE("a histogram that contradicts itself is left out and told") {
  for (const char* bad :
       {"h_bucket{le=\"0.1\"} 5\nh_bucket{le=\"+Inf\"} 3\n", "h_bucket{le=\"0.1\"} 5\n",
        "h_bucket{le=\"x\"} 5\nh_bucket{le=\"+Inf\"} 5\n", "h_bucket{le=\"+Inf\"} NaN\n",
        "h_bucket 5\n", "h_bucket{le=\"+Inf\"} 5\nh_bucket{le=\"+Inf\"} 5\n",
        "h_bucket{le=\"-1\"} 5\nh_bucket{le=\"+Inf\"} 5\n"}) {
    CAPTURE(bad);
    Reading reading = read(bad);
    CHECK(reading.histograms.empty());
    REQUIRE(reading.remarks.size() == 1);
    CHECK(reading.remarks[0].starts_with("1 histograms left out (h_bucket: "));
  }
}

TEST_CASE("a histogram whose buckets shrink while its total grows is left out and told") {
  TargetCounters target;
  target.start_from(read(buckets("h", {10, 20, 30})));
  CHECK(target.advance_to(read(buckets("h", {5, 20, 35}))) ==
        std::vector<std::string>{"1 histograms have buckets that shrank (left out this time)"});
  CHECK_FALSE(at_common_bounds(target.tally(Side::Canary).latency));
}

TEST_CASE("histograms with different bounds meet at those they share") {
  Tally::Histograms two = {{{0.1, 0.2, 0.5}, {1, 2, 3, 4}}, {{0.1, 0.3, 0.5}, {10, 20, 30, 40}}};
  CHECK(*at_common_bounds(two) == Histogram{{0.1, 0.5}, {11, 55, 44}});
  CHECK_FALSE(at_common_bounds({{{0.1}, {1, 2}}, {{0.2}, {1, 2}}}));
  CHECK_FALSE(at_common_bounds({}));
}

TEST_CASE("both versions' histograms meet at the bounds they share") {
  std::optional<Histogram> a = Histogram{{0.1, 0.2}, {1, 2, 3}};
  std::optional<Histogram> b = Histogram{{0.2, 0.4}, {1, 2, 3}};
  share_bounds(a, b);
  CHECK(*a == Histogram{{0.2}, {3, 3}});
  CHECK(*b == Histogram{{0.2}, {1, 5}});
  std::optional<Histogram> c = Histogram{{0.7}, {1, 2}};
  share_bounds(b, c);
  CHECK_FALSE(b);
  CHECK_FALSE(c);
}

TEST_CASE("names that are likely meant are suggested first and once") {
  Reading reading = read(
      "a_total 1\nb_request_seconds_count 1\nc_total 1\nb_request_seconds_count{x=\"1\"} 1\n"
      "d_requests_total 1\ne_total 1\n");
  CHECK(reading.others == "d_requests_total, b_request_seconds_count, a_total, c_total");
  CHECK(read("n 1\n").others == "");
}

TEST_CASE("more series than allowed are an error, not a part of them") {
  Result<Rules> rules = Rules::compile(kSeries);
  std::string body;
  for (int i = 0; i < 11; ++i) body += "n{i=\"" + std::to_string(i) + "\"} 1\n";
  CHECK(read_metrics(body, *rules, {{Side::Canary}}, 11));
  CHECK(read_metrics(body, *rules, {{Side::Canary}}, 10).error().what ==
        "has more than 10 series that match (narrow the selectors, or raise max_series)");
}

TEST_CASE("a target with labels that keep changing does not grow without end") {
  TargetCounters target;
  double requests = 0;
  for (int i = 0; i < 2000; ++i) {
    target.advance_to(read("n{id=\"" + std::to_string(i) + "\"} 1\n"));
    requests = target.tally(Side::Canary).requests;
  }
  CHECK(requests == 2000);
}

TEST_CASE("one target can tell of both versions apart by their labels") {
  std::vector<Share> shares = {{Side::Baseline, *Matchers::parse("server=\"v1\"")},
                               {Side::Canary, *Matchers::parse("server=\"v2\"")}};
  TargetCounters target;
  target.start_from(read("", shares));
  target.advance_to(read("n{server=\"v1\"} 5\nn{server=\"v2\"} 3\nn{server=\"v3\"} 99\n", shares));
  CHECK(target.tally(Side::Baseline).requests == 5);
  CHECK(target.tally(Side::Canary).requests == 3);
}

TEST_CASE("bounds in milliseconds become seconds") {
  RequestSeries series = kSeries;
  series.latency_unit = 1e-3;
  Result<Rules> rules = Rules::compile(series);
  Result<Reading> reading = read_metrics("h_bucket{le=\"250\"} 1\nh_bucket{le=\"+Inf\"} 1\n",
                                         *rules, {{Side::Canary}}, 10);
  CHECK(reading->histograms[0].bounds == std::vector<double>{0.25});
}

TEST_CASE("a selector that cannot be read names the setting to blame") {
  RequestSeries series = kSeries;
  series.error_when = {"code=5"};
  CHECK(Rules::compile(series).error().setting == "error_when");
  series = kSeries;
  series.histogram = {"h{"};
  CHECK(Rules::compile(series).error().setting == "histogram");
}
