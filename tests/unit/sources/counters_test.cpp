#include "sources/counters.h"

#include <doctest/doctest.h>

using namespace davy;
using namespace davy::source;

namespace {

const RequestSeries kSeries{
    .counter = {"n"}, .error_when = {"code=~\"5..\""}, .errors = {"e"}, .histogram = {"h"}};

constexpr Time kNow{std::chrono::hours(1)};

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
  target.start_from(read(before), kNow);
  target.advance_to(read(after), kNow);
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
  target.start_from(read("n 100\n"), kNow);
  target.advance_to(read("other 1\n"), kNow);
  target.advance_to(read("n 103\n"), kNow);
  CHECK(target.tally(Side::Canary).requests == 3);
}

TEST_CASE("counters that are no counts are left out and told") {
  Reading reading =
      read("n{code=\"200\"} NaN\nn{code=\"201\"} +Inf\nn{code=\"202\"} -1\nn{code=\"203\"} 5\n");
  CHECK(reading.counters.size() == 1);
  CHECK(reading.remarks ==
        std::vector<std::string>{
            "3 counters left out that are no counts, but NaN, infinite or negative (n is -1)"});
  CHECK(added("n 5\n", "n NaN\n").requests == 0);
}

TEST_CASE("a series that stands there twice counts once and is told") {
  TargetCounters target;
  target.start_from(read("n 100\n"), kNow);
  Reading twice = read("n 101\nn 50\n");
  CHECK(twice.remarks ==
        std::vector<std::string>{"1 series stand there twice, only the first counts (n)"});
  target.advance_to(twice, kNow);
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
        "h_bucket 5\n", "h_bucket{le=\"1\"} 5\nh_bucket{le=\"1.0\"} 5\nh_bucket{le=\"+Inf\"} 5\n",
        "h_bucket{le=\"-1\"} 5\nh_bucket{le=\"+Inf\"} 5\n"}) {
    CAPTURE(bad);
    Reading reading = read(bad);
    CHECK(reading.histograms.empty());
    REQUIRE(reading.remarks.size() == 1);
    CHECK(reading.remarks[0].starts_with("1 histograms left out (h_bucket: "));
  }
}

TEST_CASE("a bucket at 0 is part of the first one above") {
  Reading reading = read(
      "h_bucket{le=\"0.0\"} 2\nh_bucket{le=\"0.1\"} 5\nh_bucket{le=\"+Inf\"} 6\n"
      "h_bucket{a=\"1\",le=\"0\"} 3\nh_bucket{a=\"1\",le=\"+Inf\"} 3\n");
  CHECK(reading.remarks.empty());
  REQUIRE(reading.histograms.size() == 2);
  CHECK(reading.histograms[0].bounds == std::vector<double>{0.1});
  CHECK(reading.histograms[0].cumulative == std::vector<double>{5, 6});
  CHECK(reading.histograms[1].bounds.empty());
  CHECK(reading.histograms[1].cumulative == std::vector<double>{3});
}

TEST_CASE("a histogram whose buckets shrink while its total grows is left out and told") {
  TargetCounters target;
  target.start_from(read(buckets("h", {10, 20, 30})), kNow);
  CHECK(target.advance_to(read(buckets("h", {5, 20, 35})), kNow) ==
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
    target.advance_to(read("n{id=\"" + std::to_string(i) + "\"} 1\n"), kNow);
    requests = target.tally(Side::Canary).requests;
  }
  CHECK(requests == 2000);
}

TEST_CASE("one target can tell of both versions apart by their labels") {
  std::vector<Share> shares = {{Side::Baseline, *Matchers::parse("server=\"v1\"")},
                               {Side::Canary, *Matchers::parse("server=\"v2\"")}};
  TargetCounters target;
  target.start_from(read("", shares), kNow);
  target.advance_to(read("n{server=\"v1\"} 5\nn{server=\"v2\"} 3\nn{server=\"v3\"} 99\n", shares),
                    kNow);
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

TEST_CASE("a series that is gone after a restart counts from 0 when it is back") {
  TargetCounters target;
  target.start_from(read("process_start_time_seconds 1000\nn{code=\"500\"} 3\n"), kNow);
  target.advance_to(read("process_start_time_seconds 1005\n"), kNow + std::chrono::seconds(5));
  CHECK(target.restarts() == 1);
  target.advance_to(read("process_start_time_seconds 1005\nn{code=\"500\"} 4\n"),
                    kNow + std::chrono::seconds(10));
  CHECK(target.tally(Side::Canary).errors == 4);
  CHECK(target.restarts() == 1);
}

TEST_CASE("a histogram resets with its process although every bucket has overtaken the old one") {
  TargetCounters target;
  target.start_from(read("process_start_time_seconds 1000\n" + buckets("h", {1, 2, 3})), kNow);
  target.advance_to(read("process_start_time_seconds 1005\n" + buckets("h", {2, 4, 6})),
                    kNow + std::chrono::seconds(5));
  CHECK(*at_common_bounds(target.tally(Side::Canary).latency) == Histogram{{0.1, 0.5}, {2, 2, 2}});
}

TEST_CASE("one counter that falls does not reset the others") {
  TargetCounters target;
  target.start_from(read("n{path=\"a\"} 1000\nn{path=\"b\"} 7\n"), kNow);
  target.advance_to(read("n{path=\"a\"} 1001\nn{path=\"b\"} 2\n"), kNow);
  CHECK(target.tally(Side::Canary).requests == 3);
  CHECK(target.restarts() == 1);
}

TEST_CASE("a counter that falls while its process is known to be the same is no restart") {
  TargetCounters target;
  target.start_from(read("process_start_time_seconds 1000\nn 10\n"), kNow);
  target.advance_to(read("process_start_time_seconds 1000\nn 4\n"), kNow);
  CHECK(target.tally(Side::Canary).requests == 4);
  CHECK(target.restarts() == 0);
}

TEST_CASE("a clock that was set neither resets nor restarts") {
  TargetCounters target;
  target.start_from(read("process_start_time_seconds 1000\nn 5000\n"), kNow);
  target.advance_to(read("process_start_time_seconds 1000\nn 5001\n"),
                    kNow + std::chrono::minutes(1));
  CHECK(target.advance_to(read("process_start_time_seconds 990\nn 5003\n"),
                          kNow + std::chrono::minutes(2)) ==
        std::vector<std::string>{
            "its start time moved but its process is the same (was a clock set?)"});
  CHECK(target.tally(Side::Canary).requests == 3);
  CHECK(target.restarts() == 0);
}

TEST_CASE("an exporter that restarts beside its service does not reset the service's counters") {
  TargetCounters target;
  target.start_from(read("process_start_time_seconds 1000\nn 500000\n"), kNow);
  target.advance_to(read("process_start_time_seconds 1000\nn 500100\n"),
                    kNow + std::chrono::minutes(20));
  CHECK(target.advance_to(read("process_start_time_seconds 2204\nn 500101\n"),
                          kNow + std::chrono::seconds(1205)) ==
        std::vector<std::string>{
            "its start time is new but its counters go on (an exporter's own start time?)"});
  CHECK(target.tally(Side::Canary).requests == 101);
  CHECK(target.restarts() == 0);
}

TEST_CASE("several start times are none") {
  CHECK(*read("process_start_time_seconds 5\n").start == 5);
  CHECK_FALSE(read("process_start_time_seconds{x=\"1\"} 5\nprocess_start_time_seconds 6\n").start);
  CHECK_FALSE(read("process_start_time_seconds NaN\n").start);
  std::vector<Share> both = {{Side::Baseline, *Matchers::parse("server=\"v1\"")},
                             {Side::Canary, *Matchers::parse("server!=\"v1\"")}};
  CHECK_FALSE(read("process_start_time_seconds 5\n", both).start);
}

TEST_CASE("a metric's selector that cannot be read is blamed on the metrics") {
  using Kind = ValueSeries::Kind;
  auto wrong = [](const ValueSeries& value) { return Rules::compile(kSeries, {value}).error(); };
  CHECK(wrong({.name = "queue", .series = "q{"}).setting == "metrics");
  CHECK(
      wrong({.name = "queue", .series = "q{"}).what.starts_with("queue: \"q{\" is not a selector"));
  CHECK(wrong({.name = "q", .series = "q", .kind = Kind::Gauge, .per = ValueSeries::Per::Request})
            .what == "q: a gauge cannot be told per request (only a counter's growth can)");
}

TEST_CASE("a gauge's series that stands there twice counts once") {
  Result<Rules> rules = Rules::compile(kSeries, {{.name = "m", .series = "m"}});
  Result<Reading> reading = read_metrics("m 2\nm{x=\"1\"} 3\nm 2\n", *rules, {{Side::Canary}}, 10);
  CHECK(reading->values[index(Side::Canary)].at(0).gauge == 5);
  CHECK_FALSE(reading->values[index(Side::Baseline)].at(0).is_there);
}

TEST_CASE("a reading that was taken before the last one says nothing") {
  TargetCounters target;
  auto at = [](double t, const std::string& body) {
    Reading reading = read(body);
    reading.at = t;
    return reading;
  };
  target.start_from(at(100, "n 1000\n" + buckets("h", {1, 2, 3})), kNow);
  CHECK(target.advance_to(at(95, "n 990\n" + buckets("h", {1, 1, 1})), kNow).empty());
  CHECK(target.tally(Side::Canary).requests == 0);
  CHECK(target.restarts() == 0);
  REQUIRE(target.tally(Side::Canary).latency.size() == 1);  // there, without growth
  CHECK(target.tally(Side::Canary).latency.begin()->second == std::vector<double>{0, 0, 0});
  target.advance_to(at(100, "n 1000\n"), kNow);
  target.advance_to(at(110, "n 1004\n" + buckets("h", {1, 3, 5})), kNow);
  CHECK(target.tally(Side::Canary).requests == 4);
  CHECK(target.tally(Side::Canary).latency.begin()->second == std::vector<double>{0, 1, 1});
}

TEST_CASE("a histogram whose buckets became wider goes on at the bounds that stayed") {
  auto page = [](std::vector<double> bounds, std::vector<double> cumulative) {
    Reading reading;
    reading.histograms.push_back({"h", Side::Canary, std::move(bounds), std::move(cumulative)});
    return reading;
  };
  TargetCounters target;
  target.start_from(page({0.1, 0.2, 0.3, 0.4}, {10, 20, 30, 40, 50}), kNow);
  target.advance_to(page({0.2, 0.4}, {21, 43, 55}), kNow);
  CHECK(*at_common_bounds(target.tally(Side::Canary).latency) == Histogram{{0.2, 0.4}, {1, 2, 2}});
  // Buckets that have none in common are another histogram, which began at 0.
  target.clear_tallies();
  target.advance_to(page({0.5}, {60, 70}), kNow);
  CHECK(*at_common_bounds(target.tally(Side::Canary).latency) == Histogram{{0.5}, {60, 10}});
}
