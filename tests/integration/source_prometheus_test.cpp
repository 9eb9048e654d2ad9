// The source `prometheus` with a real Prometheus, which scrapes every second. What servers may do
// wrong: prometheus_api_test.cpp in tests/fault.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <ostream>
#include <string>

#include "base/guarded.h"
#include "lab/prometheus.h"
#include "lab/protobuf_page.h"
#include "lab/server.h"
#include "lab/source.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

const RequestSeries kSeries{
    .counter = {"n"}, .error_when = {"code=~\"5..\""}, .errors = {}, .histogram = {"h"}};

/// Answers every request with what its page is at that moment.
struct Exporter {
  std::shared_ptr<Guarded<std::string>> page = std::make_shared<Guarded<std::string>>();
  lab::Server server;

  explicit Exporter(const std::string& type = "text/plain; version=0.0.4")
      : server([page = page, type](const lab::Connection& connection) {
          while (!connection.receive_until("\r\n\r\n").empty()) {
            std::string body = *page->lock();
            if (!connection.send(
                    fmt::format("HTTP/1.1 200 OK\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
                                type, body.size())) ||
                !connection.send(body)) {
              return;
            }
          }
        }) {}

  void show(const std::string& text) { *page->lock() = text; }
  lab::Prometheus::Target target(const std::string& pod, const std::string& version) const {
    return {server.address(), {{"pod", pod}, {"version", version}}};
  }
};

std::string n(int ok, int bad) {
  return fmt::format("# TYPE n counter\nn{{code=\"200\"}} {}\nn{{code=\"500\"}} {}\n", ok, bad);
}
std::string h(int fast, int slow) {
  return fmt::format(
      "# TYPE h histogram\nh_bucket{{le=\"0.1\"}} {0}\nh_bucket{{le=\"0.5\"}} "
      "{1}\nh_bucket{{le=\"+Inf\"}} {1}\nh_count {1}\nh_sum 1\n",
      fast, fast + slow);
}
std::string started(double at) {
  return fmt::format("process_start_time_seconds {}\n", at);
}

lab::Settings settings_for(const lab::Prometheus& prometheus, const lab::Settings& more = {}) {
  lab::Settings settings = {{"url", prometheus.url()},
                            {"baseline_when", "version=\"v1\""},
                            {"canary_when", "version=\"v2\""},
                            {"selector", "job=\"shop\""}};
  settings.insert(settings.end(), more.begin(), more.end());
  return settings;
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Everything of a version but the names of its instances.
struct Counts {
  double requests, errors;
  std::optional<Histogram> latency;
  std::vector<double> pods;  // requests, errors and restarts of each
  std::vector<double> values;

  explicit Counts(const VersionCounts& v)
      : requests(v.requests), errors(v.errors), latency(v.latency) {
    for (const PodCounts& pod : v.pods) {
      for (double part : {pod.requests, pod.errors, pod.restarts}) pods.push_back(part);
    }
    for (const Value& value : v.values) values.push_back(value.value);
  }
  friend bool operator==(const Counts&, const Counts&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Counts& c) {
    return out << fmt::format("{} requests, {} errors, latency [{}], instances [{}], values [{}]",
                              c.requests, c.errors,
                              c.latency ? fmt::format("{}", fmt::join(c.latency->counts, " ")) : "",
                              fmt::join(c.pods, " "), fmt::join(c.values, " "));
  }
};

}  // namespace

TEST_CASE("a Prometheus tells the same blocks as a scrape of the same instances") {
  Exporter v1;
  Exporter v2;
  double start = std::floor(static_cast<double>(machine_clock().wall()) / 1e3) - 100;
  std::string queue = "# TYPE q gauge\nq 4\n";
  v1.show(n(1000, 10) + h(900, 100) + queue);
  v2.show(n(100, 1) + h(90, 10) + started(start) + queue);
  lab::Prometheus prometheus({v1.target("a", "v1"), v2.target("b", "v2")});
  std::vector<ValueSeries> values = {{.name = "queue", .series = "q"}};
  lab::SourceRunner asking("prometheus", settings_for(prometheus), kSeries, values);
  lab::SourceRunner scraping(
      "scrape", {{"baseline", v1.server.url("/metrics")}, {"canary", v2.server.url("/metrics")}},
      kSeries, values);

  struct Step {
    std::string v1, v2;
    const char* shown;  // when this is 1 both have been scraped
  };
  const Step steps[] = {
      {n(1000, 10) + h(900, 100) + queue, n(100, 1) + h(90, 10) + started(start) + queue,
       "sum(n == bool 1000) and on() (n{code=\"200\",pod=\"b\"} == 100)"},
      {n(1100, 12) + h(990, 122) + queue, n(111, 2) + h(95, 18) + started(start) + queue,
       "1 + 0 * (n{code=\"200\",pod=\"a\"} == 1100) * on() (n{code=\"200\",pod=\"b\"} == 111)"},
      // V2 restarts and has no error series yet, V1 has a new one.
      {n(1150, 12) + "n{code=\"503\"} 3\n" + h(1000, 130) + queue,
       "# TYPE n counter\nn{code=\"200\"} 7\n" + h(6, 1) + started(start + 50) + "q 6\n",
       "1 + 0 * (n{code=\"503\",pod=\"a\"} == 3) * on() (n{code=\"200\",pod=\"b\"} == 7)"},
      // V2 restarts again, and V1's counters are reset although nobody says so.
      {n(30, 1) + h(20, 11) + queue, n(500, 4) + h(404, 100) + started(start + 80) + queue,
       "1 + 0 * (n{code=\"200\",pod=\"a\"} == 30) * on() (n{code=\"200\",pod=\"b\"} == 500)"},
      {n(31, 1) + h(20, 12) + queue, n(501, 4) + h(404, 101) + started(start + 80) + queue,
       "1 + 0 * (n{code=\"200\",pod=\"a\"} == 31) * on() (n{code=\"200\",pod=\"b\"} == 501)"},
  };
  int blocks = 0;
  for (const Step& step : steps) {
    v1.show(step.v1);
    v2.show(step.v2);
    REQUIRE(prometheus.shows(step.shown, 1));
    Collected told = asking.collect();
    Collected scraped = scraping.collect();
    CHECK(told.trouble == "");
    CHECK(scraped.trouble == "");
    REQUIRE(told.block.has_value() == scraped.block.has_value());
    CHECK(told.baseline_targets == 1);
    CHECK(told.canary_targets == 1);
    if (!told.block) continue;
    ++blocks;
    CHECK(Counts(told.block->baseline) == Counts(scraped.block->baseline));
    CHECK(Counts(told.block->canary) == Counts(scraped.block->canary));
    CHECK(told.block->canary.pods.at(0).id == "b");
    REQUIRE(told.block->canary.pods.at(0).age);
    CHECK(std::abs(*told.block->canary.pods.at(0).age - *scraped.block->canary.pods.at(0).age) <
          30);
  }
  CHECK(blocks == 4);
  CHECK(asking.source().every() == 15s);
  CHECK(asking.source().describe() ==
        "Prometheus at " + prometheus.url() +
            ": {job=\"shop\",version=\"v1\"} as the baseline, {job=\"shop\",version=\"v2\"} as the "
            "canary");
}

TEST_CASE("a process that restarted and counted on between two looks loses nothing in Prometheus") {
  Exporter v1;
  Exporter v2;
  v1.show(n(10, 0));
  v2.show(n(100, 0));
  lab::Prometheus prometheus({v1.target("a", "v1"), v2.target("b", "v2")});
  lab::SourceRunner asking("prometheus", settings_for(prometheus), kSeries);
  const std::string v2_ok = "n{pod=\"b\",code=\"200\"}";
  REQUIRE(prometheus.shows(v2_ok, 100));
  REQUIRE(prometheus.shows("n{pod=\"a\",code=\"200\"}", 10));
  asking.collect();
  for (int count : {150, 5, 200}) {
    v2.show(n(count, 0));
    REQUIRE(prometheus.shows(v2_ok, count));
  }
  Collected second = asking.collect();
  REQUIRE(second.block);
  CHECK(second.block->canary.requests == 250);
  CHECK(second.block->canary.pods.at(0).restarts == 1);
}

TEST_CASE(
    "an instance that Prometheus no longer finds leaves without a trace, one that is down is "
    "told") {
  Exporter v1;
  Exporter first;
  auto second = std::make_unique<Exporter>();
  v1.show(n(10, 0));
  first.show(n(100, 0));
  second->show(n(1000, 0));
  std::vector<lab::Prometheus::Target> targets = {v1.target("a", "v1"), first.target("b", "v2"),
                                                  second->target("c", "v2")};
  lab::Prometheus prometheus(targets);
  lab::SourceRunner asking("prometheus",
                           settings_for(prometheus, {{"every", "1s"}, {"window", "20s"}}), kSeries);
  REQUIRE(prometheus.shows("count(n{code=\"200\"})", 3));
  CHECK(asking.collect().canary_targets == 2);

  second.reset();  // refuses from now on
  Collected down;
  REQUIRE(lab::eventually([&] {
    down = asking.collect();
    return !down.trouble.empty();
  }));
  CHECK(holds(down.trouble, "canary c: its last sample is "));
  CHECK(holds(down.trouble, "though it is scraped every 1s (is it down?)"));
  CHECK_FALSE(down.blind);
  CHECK(down.canary_targets == 1);
  CHECK(down.events.size() == 1);

  targets.pop_back();
  prometheus.set_targets(targets);
  Collected gone;
  REQUIRE(lab::eventually([&] {
    gone = asking.collect();
    return gone.trouble.empty();
  }));
  CHECK(gone.canary_targets == 1);
  first.show(n(105, 1));
  REQUIRE(prometheus.shows("n{pod=\"b\",code=\"200\"}", 105));
  Collected after;
  REQUIRE(lab::eventually([&] {
    after = asking.collect();
    return after.block && after.block->canary.requests > 0;
  }));
  CHECK(after.block->canary.requests == 6);
  CHECK(after.block->canary.pods.size() == 1);
}

TEST_CASE("native histograms are read from a Prometheus that stores them") {
  Exporter v1(lab::kProtobufType);
  Exporter v2(lab::kProtobufType);
  v1.show(lab::protobuf_page(100, 3, -8, {90, 10}));
  v2.show(lab::protobuf_page(10, 3, -8, {9, 1}));
  lab::Prometheus prometheus({v1.target("a", "v1"), v2.target("b", "v2")},
                             {"--enable-feature=native-histograms"});
  lab::SourceRunner asking("prometheus", settings_for(prometheus, {{"native_histograms", "true"}}),
                           kSeries);
  REQUIRE(prometheus.shows("count(n)", 2));
  asking.collect();
  v1.show(lab::protobuf_page(200, 3, -8, {170, 30}));
  v2.show(lab::protobuf_page(30, 2, -4, {14, 1, 15}));  // twice as wide
  REQUIRE(prometheus.shows("n{pod=\"a\"}", 200));
  REQUIRE(prometheus.shows("n{pod=\"b\"}", 30));
  Collected second = asking.collect();
  CHECK(second.trouble == "");
  REQUIRE(second.block);
  REQUIRE(second.block->baseline.latency);
  REQUIRE(second.block->canary.latency);
  // At the bounds that both have: buckets -8 and -7 of schema 3 end at 2^-1 and 2^-0.875; -4 to -2
  // of schema 2 at 2^-1, 2^-0.75 and 2^-0.5.
  auto counts_by_bound = [](const Histogram& h) {
    std::vector<std::pair<double, double>> some;
    for (std::size_t i = 0; i < h.bounds.size(); ++i) {
      if (h.counts[i] != 0) some.emplace_back(h.bounds[i], h.counts[i]);
    }
    return some;
  };
  using Some = std::vector<std::pair<double, double>>;
  CHECK(counts_by_bound(*second.block->baseline.latency) ==
        Some{{std::exp2(-1), 80}, {std::exp2(-0.75), 20}});
  CHECK(counts_by_bound(*second.block->canary.latency) ==
        Some{{std::exp2(-1), 5}, {std::exp2(-0.5), 15}});
}

TEST_CASE("a Prometheus that was away is asked again, and the next block covers its absence") {
  Exporter v1;
  Exporter v2;
  v1.show(n(10, 0));
  v2.show(n(100, 0));
  lab::Prometheus prometheus({v1.target("a", "v1"), v2.target("b", "v2")});
  lab::SourceRunner asking("prometheus", settings_for(prometheus, {{"timeout", "1s"}}), kSeries);
  REQUIRE(prometheus.shows("count(n{code=\"200\"})", 2));
  asking.collect();
  prometheus.kill();
  for (int round = 1; round <= 3; ++round) {
    Collected away = asking.collect();
    CHECK(away.blind == (round == 3));
    CHECK_FALSE(away.block);
    CHECK(holds(away.trouble, "Prometheus at " + prometheus.url() + ": connect to "));
    CHECK(away.events.size() == 2);  // no_answers and retries
  }
  v1.show(n(20, 0));
  v2.show(n(160, 4));
  prometheus.start();
  REQUIRE(prometheus.shows("n{pod=\"b\",code=\"200\"}", 160));
  REQUIRE(prometheus.shows("n{pod=\"a\",code=\"200\"}", 20));
  Collected back = asking.collect();
  REQUIRE(back.block);
  CHECK(back.trouble == "");
  CHECK(back.block->canary.requests == 64);
  CHECK(back.block->canary.errors == 4);
  CHECK(back.block->baseline.requests == 10);
}

TEST_CASE("a Prometheus that hangs costs a round its timeout, and no more") {
  Exporter v1;
  v1.show(n(10, 0));
  lab::Prometheus prometheus({v1.target("a", "v1"), v1.target("b", "v2")});
  lab::SourceRunner asking("prometheus", settings_for(prometheus, {{"timeout", "500ms"}}), kSeries);
  REQUIRE(prometheus.shows("count(n{code=\"200\"})", 2));
  CHECK(asking.collect().trouble == "");
  prometheus.pause();
  Collected hung = asking.collect();
  CHECK(holds(hung.trouble, "timed out, with no answer (1 time)"));
  prometheus.resume();
  REQUIRE(lab::eventually([&] { return asking.collect().trouble.empty(); }));
}

TEST_CASE("a davy that was killed goes on with what it saved of a Prometheus") {
  Exporter v1;
  Exporter v2;
  v1.show(n(10, 0));
  v2.show(n(100, 0));
  lab::Prometheus prometheus({v1.target("a", "v1"), v2.target("b", "v2")});
  REQUIRE(prometheus.shows("count(n{code=\"200\"})", 2));
  std::string saved;
  {
    lab::SourceRunner killed("prometheus", settings_for(prometheus), kSeries);
    killed.collect();
    saved = killed.saved();
  }
  v2.show(n(130, 5));
  REQUIRE(prometheus.shows("n{pod=\"b\",code=\"200\"}", 130));
  lab::SourceRunner next("prometheus", settings_for(prometheus), kSeries);
  REQUIRE(next.load(saved));
  Collected first = next.collect();
  REQUIRE(first.block);
  CHECK(first.block->canary.requests == 35);
  CHECK(first.block->canary.errors == 5);

  auto loads = [&](const lab::Settings& more, const std::string& bytes) {
    return lab::SourceRunner("prometheus", settings_for(prometheus, more), kSeries).load(bytes);
  };
  CHECK(loads({{"every", "20s"}}, saved));
  CHECK_FALSE(loads({{"instance", "none"}}, saved));
  CHECK_FALSE(loads({{"native_histograms", "true"}}, saved));
  for (std::size_t size = 0; size < saved.size(); size += 7)
    CHECK_FALSE(loads({}, saved.substr(0, size)));
}
