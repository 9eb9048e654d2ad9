#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "base/guarded.h"
#include "lab/server.h"
#include "lab/source.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

/// Answers every request with what its text is at that moment.
struct Exporter {
  std::shared_ptr<Guarded<std::string>> text = std::make_shared<Guarded<std::string>>();
  lab::Server server{[text = text](const lab::Connection& connection) {
    while (!connection.receive_until("\r\n\r\n").empty()) {
      std::string body = *text->lock();
      if (!connection.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " +
                           std::to_string(body.size()) + "\r\n\r\n" + body)) {
        return;
      }
    }
  }};

  void count(int ok, int bad) {
    *text->lock() =
        "n{code=\"200\"} " + std::to_string(ok) + "\nn{code=\"500\"} " + std::to_string(bad) + "\n";
  }
  void show(const std::string& page) { *text->lock() = page; }
  std::string url() const { return server.url("/metrics"); }
};

/// The start time of a process that is `age` seconds old now.
std::string started(double age) {
  return "process_start_time_seconds " +
         std::to_string(static_cast<double>(machine_clock().wall()) / 1e3 - age) + "\n";
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("two exporters become blocks, over one connection each") {
  Exporter v1;
  Exporter v2;
  v1.count(100, 1);
  v2.count(10, 0);
  lab::Scraping scraping(v1.url(), v2.url());
  CHECK(scraping.source().describe() == "scrape of 1 baseline and 1 canary targets");
  Collected first = scraping.collect();
  CHECK(first.trouble == "");
  CHECK_FALSE(first.block);
  v1.count(150, 2);
  v2.count(14, 1);
  Collected second = scraping.collect();
  REQUIRE(second.block);
  CHECK(second.block->dt > 0);
  CHECK(second.block->baseline.requests == 51);
  CHECK(second.block->baseline.errors == 1);
  CHECK(second.block->canary.requests == 5);
  CHECK(second.block->canary.errors == 1);
  CHECK(second.block->baseline.pods.at(0).id == v1.server.address());
  CHECK(v1.server.connections() == 1);
}

TEST_CASE("a canary that refuses is told, and blinds after three rounds") {
  Exporter v1;
  v1.count(1, 0);
  std::string gone = lab::Server(lab::mute()).url("/metrics");
  lab::Scraping scraping(v1.url(), gone);
  CHECK_FALSE(scraping.collect().blind);
  CHECK_FALSE(scraping.collect().blind);
  Collected third = scraping.collect();
  CHECK(third.blind);
  CHECK(holds(third.trouble, "no canary target answers; canary " + gone + ": connect to "));
  CHECK(holds(third.trouble, "refused (3 times"));
  CHECK(third.baseline_targets == 1);
  CHECK(third.canary_targets == 0);
}

TEST_CASE("a body without end is refused at the limit") {
  Exporter v1;
  v1.count(1, 0);
  lab::Server endless(lab::huge("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"));
  lab::Scraping scraping(v1.url(), endless.url("/metrics"), {{"max_body", "1MiB"}});
  Collected collected = scraping.collect();
  CHECK(holds(collected.trouble, "canary " + endless.url("/metrics") + ": "));
  CHECK(holds(collected.trouble, "larger than 1 MiB"));
}

TEST_CASE("a body of 100 MB is refused by the default limit") {
  Exporter v1;
  v1.count(1, 0);
  lab::Server large(lab::huge("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"));
  lab::Scraping scraping(v1.url(), large.url("/metrics"), {{"every", "30s"}, {"timeout", "20s"}});
  CHECK(holds(scraping.collect().trouble, "larger than 32 MiB"));
}

TEST_CASE("a body that ends before its length is refused") {
  Exporter v1;
  v1.count(1, 0);
  lab::Server cut(lab::raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nn{code=\"200\"} 1\n"));
  lab::Scraping scraping(v1.url(), cut.url("/metrics"));
  Collected collected = scraping.collect();
  CHECK(collected.canary_targets == 0);
  CHECK(holds(collected.trouble, "(1 time)"));
}

TEST_CASE("pages that are no metrics are told as what they are") {
  Exporter v1;
  v1.count(1, 0);
  lab::Server html(lab::http(200, "<!DOCTYPE html><html></html>\n"));
  CHECK(holds(lab::Scraping(v1.url(), html.url("/")).collect().trouble,
              "answered HTML, not metrics (is the path right? /metrics is usual)"));
  lab::Server broken(lab::http(503, "no"));
  CHECK(holds(lab::Scraping(v1.url(), broken.url("/")).collect().trouble,
              "answered 503 (200 would be right)"));
}

TEST_CASE("a target that says nothing holds neither the round nor the other targets") {
  Exporter v1;
  v1.count(1, 0);
  lab::Server mute(lab::mute());
  lab::Scraping scraping(v1.url(), mute.url("/metrics"), {{"timeout", "200ms"}});
  for (int round = 1; round <= 3; ++round) {
    Collected collected = scraping.collect();
    CHECK(collected.baseline_targets == 1);
    CHECK(collected.canary_targets == 0);
    CHECK(collected.blind == (round == 3));
  }
}

TEST_CASE("a source may end while a target still holds a worker") {
  Exporter v1;
  v1.count(1, 0);
  lab::Server drip(lab::drip("HTTP/1.1 200 OK\r\n\r\n", 10));
  lab::Scraping(v1.url(), drip.url("/metrics"), {{"timeout", "100ms"}}).collect(1ms);
  CHECK(true);  // the sanitizers say whether the worker touched what is gone
}

TEST_CASE("a name that cannot be looked up is told") {
  Exporter v1;
  v1.count(1, 0);
  lab::Scraping scraping(v1.url(), "http://name.invalid/metrics", {{"timeout", "4s"}});
  Collected collected = scraping.collect();
  CHECK(collected.baseline_targets == 1);
  CHECK(holds(collected.trouble, "canary http://name.invalid/metrics: "));
}

TEST_CASE("the settings of a scrape that contradict each other are refused") {
  auto refused = [&](const lab::Settings& settings) {
    auto made = lab::make_source("scrape", settings, lab::Scraping::kSeries);
    return made ? "" : made.error().setting + ": " + made.error().what;
  };
  CHECK(refused({{"baseline", "http://a/"}}) ==
        ": canary is missing (the metrics URL of its instances)");
  CHECK(holds(refused({{"baseline", "http://a/"}, {"canary", "http://a/"}}),
              "canary: http://a/ stands there twice"));
  CHECK(holds(refused({{"baseline", "a"}, {"canary", "http://a/"}}), "baseline: "));
  CHECK(holds(refused({{"targets", "http://a/"}, {"canary", "http://b/"}}),
              "canary: stands beside targets"));
  CHECK(holds(refused({{"targets", "http://a/"}}), "baseline_when is missing"));
  CHECK(
      holds(refused({{"targets", "http://a/"}, {"baseline_when", "x"}, {"canary_when", "a=\"b\""}}),
            "baseline_when: \"x\" is not a selector"));
  CHECK(holds(
      refused(
          {{"baseline", "http://a/"}, {"canary", "http://b/"}, {"every", "1s"}, {"timeout", "2s"}}),
      "timeout: 2s is not within the interval of 1s"));
  CHECK(refused({{"baseline", "http://a/"}, {"canary", "http://b/"}, {"every", "1s"}}) == "");
  CHECK(refused(
            {{"targets", "http://a/"}, {"baseline_when", "s=\"1\""}, {"canary_when", "s=\"2\""}}) ==
        "");
}

TEST_CASE("a canary that restarted between two scrapes is seen by its start time") {
  Exporter v1;
  Exporter v2;
  v1.count(100, 0);
  std::string latency = "h_bucket{le=\"0.1\"} 2\nh_bucket{le=\"+Inf\"} 3\n";
  v1.show("n{code=\"200\"} 100\n" + latency);
  v2.show(started(600) + "n{code=\"200\"} 10\n" + latency);
  lab::Scraping scraping(v1.url(), v2.url());
  scraping.collect();
  v2.show(started(2) + "n{code=\"200\"} 11\n" + latency);
  Collected second = scraping.collect();
  REQUIRE(second.block);
  const PodCounts& pod = second.block->canary.pods.at(0);
  CHECK(pod.requests == 11);
  CHECK(pod.restarts == 1);
  REQUIRE(pod.age);
  CHECK(*pod.age >= 2);
  CHECK(*pod.age < 60);
  REQUIRE(pod.latency);
  CHECK(*pod.latency == Histogram{{0.1}, {2, 1}});
  CHECK_FALSE(second.block->baseline.pods.at(0).age);
  CHECK(second.block->baseline.pods.at(0).restarts == 0);
}

TEST_CASE("one target that serves both versions tells their metrics apart, and no instances") {
  Exporter both;
  auto page = [](int v1, int v2) {
    return started(5) + "n{server=\"v1\",code=\"200\"} " + std::to_string(10 * v1) +
           "\nn{server=\"v2\",code=\"200\"} " + std::to_string(10 * v2) + "\nr{server=\"v1\"} " +
           std::to_string(v1) + "\nr{server=\"v2\"} " + std::to_string(v2) +
           "\nq{server=\"v1\"} 3\nq{server=\"v2\",shard=\"a\"} 4\n" +
           "q{server=\"v2\",shard=\"b\"} 5\nq 1000\n";
  };
  both.show(page(0, 0));
  lab::Scraping scraping({{"targets", both.url()},
                          {"baseline_when", "server=\"v1\""},
                          {"canary_when", "server=\"v2\""}},
                         {{.name = "queue", .series = "q"},
                          {.name = "reads",
                           .series = "r",
                           .kind = ValueSeries::Kind::Rate,
                           .per = ValueSeries::Per::Request}});
  scraping.collect();
  both.show(page(5, 9));
  Collected second = scraping.collect();
  REQUIRE(second.block);
  CHECK(second.block->baseline.requests == 50);
  CHECK(second.block->canary.requests == 90);
  REQUIRE(second.block->baseline.values.size() == 2);
  CHECK(second.block->baseline.values[0].value == 3);
  CHECK(second.block->baseline.values[1].value == 0.1);
  REQUIRE(second.block->canary.values.size() == 2);
  CHECK(second.block->canary.values[0].name == "queue");
  CHECK(second.block->canary.values[0].value == 9);
  CHECK(second.block->canary.values[1].value == 0.1);
  CHECK(second.block->canary.pods.empty());
}

TEST_CASE("a davy that was killed goes on with what it saved, nothing twice and nothing lost") {
  Exporter v1;
  Exporter v2;
  v1.count(100, 0);
  v2.count(10, 0);
  std::string saved;
  {
    lab::Scraping killed(v1.url(), v2.url());
    killed.collect();
    v1.count(200, 0);
    v2.count(20, 0);
    CHECK(killed.collect().block);
    saved = killed.saved();
    v1.count(250, 0);
    v2.count(25, 0);
    CHECK(killed.collect().block);  // not saved, so not judged
  }
  v1.count(300, 3);
  v2.count(30, 1);
  lab::Scraping next(v1.url(), v2.url());
  REQUIRE(next.load(saved));
  Collected first = next.collect();
  REQUIRE(first.block);
  CHECK(first.block->baseline.requests == 103);
  CHECK(first.block->canary.requests == 11);
  CHECK(first.block->canary.errors == 1);

  CHECK_FALSE(lab::Scraping(v2.url(), v1.url()).load(saved));
  CHECK_FALSE(lab::Scraping(v1.url(), v2.url()).load(saved.substr(0, saved.size() - 1)));
  CHECK_FALSE(lab::Scraping(v1.url(), v2.url(), {}, {{.name = "m", .series = "m"}}).load(saved));
}

TEST_CASE("a metric that cannot be read is refused") {
  auto made = lab::make_source("scrape", {{"baseline", "http://a/"}, {"canary", "http://b/"}},
                               lab::Scraping::kSeries, {{.name = "queue", .series = "1"}});
  REQUIRE_FALSE(made);
  CHECK(made.error().setting == "metrics");
}
