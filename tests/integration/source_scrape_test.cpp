#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "base/guarded.h"
#include "base/workers.h"
#include "davy/source.h"
#include "lab/probe.h"
#include "lab/server.h"
#include "net/watchdog.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

const RequestSeries kSeries{
    .counter = {"n"}, .error_when = {"code=~\"5..\""}, .errors = {}, .histogram = {"h"}};

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
  std::string url() const { return server.url("/metrics"); }
};

/// A source as the agent would run it.
struct Scraping {
  net::Watchdog dog;
  std::unique_ptr<Source> source;
  Workers workers{"scrape", 8, 32};

  Scraping(const std::string& baseline, const std::string& canary, lab::Settings more = {}) {
    const SourceKind& kind = *source_kinds().at(0);
    lab::Settings settings = {{"baseline", baseline}, {"canary", canary}};
    settings.insert(settings.end(), more.begin(), more.end());
    auto made = kind.make(lab::options_for(kind.options, settings), kSeries);
    if (!made) FAIL(made.error().what);
    source = std::move(*made);
  }

  Collected collect() {
    return source->collect({Deadline::in(20s), dog, workers, machine_clock()});
  }
};

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("two exporters become blocks, over one connection each") {
  Exporter v1;
  Exporter v2;
  v1.count(100, 1);
  v2.count(10, 0);
  Scraping scraping(v1.url(), v2.url());
  CHECK(scraping.source->describe() == "scrape of 1 baseline and 1 canary targets");
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
  Scraping scraping(v1.url(), gone);
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
  Scraping scraping(v1.url(), endless.url("/metrics"), {{"max_body", "1MiB"}});
  Collected collected = scraping.collect();
  CHECK(holds(collected.trouble, "canary " + endless.url("/metrics") + ": "));
  CHECK(holds(collected.trouble, "larger than 1 MiB"));
}

TEST_CASE("a body of 100 MB is refused by the default limit") {
  Exporter v1;
  v1.count(1, 0);
  lab::Server large(lab::huge("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"));
  Scraping scraping(v1.url(), large.url("/metrics"), {{"every", "30s"}, {"timeout", "20s"}});
  CHECK(holds(scraping.collect().trouble, "larger than 32 MiB"));
}

TEST_CASE("a body that ends before its length is refused") {
  Exporter v1;
  v1.count(1, 0);
  lab::Server cut(lab::raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nn{code=\"200\"} 1\n"));
  Scraping scraping(v1.url(), cut.url("/metrics"));
  Collected collected = scraping.collect();
  CHECK(collected.canary_targets == 0);
  CHECK(holds(collected.trouble, "(1 time)"));
}

TEST_CASE("pages that are no metrics are told as what they are") {
  Exporter v1;
  v1.count(1, 0);
  lab::Server html(lab::http(200, "<!DOCTYPE html><html></html>\n"));
  CHECK(holds(Scraping(v1.url(), html.url("/")).collect().trouble,
              "answered HTML, not metrics (is the path right? /metrics is usual)"));
  lab::Server broken(lab::http(503, "no"));
  CHECK(holds(Scraping(v1.url(), broken.url("/")).collect().trouble,
              "answered 503 (200 would be right)"));
}

TEST_CASE("a target that says nothing holds neither the round nor the other targets") {
  Exporter v1;
  v1.count(1, 0);
  lab::Server mute(lab::mute());
  Scraping scraping(v1.url(), mute.url("/metrics"), {{"timeout", "200ms"}});
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
  net::Watchdog dog;
  Workers workers{"scrape", 4, 8};
  {
    Scraping scraping(v1.url(), drip.url("/metrics"), {{"timeout", "100ms"}});
    scraping.source->collect({Deadline::in(1ms), dog, workers, machine_clock()});
  }
  CHECK(true);  // the sanitizers say whether the worker touched what is gone
}

TEST_CASE("a name that cannot be looked up is told") {
  Exporter v1;
  v1.count(1, 0);
  Scraping scraping(v1.url(), "http://name.invalid/metrics", {{"timeout", "4s"}});
  Collected collected = scraping.collect();
  CHECK(collected.baseline_targets == 1);
  CHECK(holds(collected.trouble, "canary http://name.invalid/metrics: "));
}

TEST_CASE("the settings of a scrape that contradict each other are refused") {
  const SourceKind& kind = *source_kinds().at(0);
  auto refused = [&](const lab::Settings& settings) {
    auto made = kind.make(lab::options_for(kind.options, settings), kSeries);
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
