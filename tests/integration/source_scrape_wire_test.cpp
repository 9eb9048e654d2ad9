// Answers that are packed, endless, damaged or slow, as a scrape meets them.

#include <doctest/doctest.h>

#include <atomic>
#include <cstdio>
#include <future>

#include "lab/gzip.h"
#include "lab/process.h"
#include "lab/scraped.h"
#include "lab/server.h"
#include "lab/source.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string chunked(const std::string& body) {
  char size[20];
  std::snprintf(size, sizeof size, "%zx\r\n", body.size());
  return size + body + "\r\n0\r\n\r\n";
}

/// A round in which the canary answers like this and the baseline is well.
Collected round_with(const lab::Server& canary, lab::Settings more = {}) {
  lab::Scraped v1;
  v1.count(1, 0);
  Collected collected = lab::Scraping(v1.url(), canary.url("/metrics"), std::move(more)).collect();
  CHECK(collected.baseline_targets == 1);
  CHECK(collected.canary_targets == 0);
  CHECK(holds(collected.trouble, "canary " + canary.url("/metrics") + ": "));
  return collected;
}

}  // namespace

TEST_CASE("packed answers are counted as plain ones are") {
  lab::Scraped v1;
  std::atomic<int> asked = 0;
  lab::Scraped v2([&](const std::string&) {
    return lab::answer_of(200, lab::gzip(lab::page_of(10 * asked++, 0)),
                          "Content-Encoding: gzip\r\n");
  });
  v1.count(0, 0);
  lab::Scraping scrape(v1.url(), v2.url());
  CHECK(scrape.collect().trouble == "");
  v1.count(5, 0);
  Collected second = scrape.collect();
  REQUIRE(second.block);
  CHECK(second.block->baseline.requests == 5);
  CHECK(second.block->canary.requests == 10);
  CHECK(v2.connections() == 1);
}

TEST_CASE(
    "a target of this machine is asked for a plain answer, unless the config says otherwise") {
  lab::Scraped target;
  target.count(1, 0);
  lab::Scraping(target.url("/1"), target.url("/2")).collect();
  CHECK(holds(target.requests().at(0), "\r\nAccept-Encoding: identity\r\n"));
  lab::Scraping(target.url("/1"), target.url("/2"), {{"headers", "accept-encoding: gzip"}})
      .collect();
  CHECK(holds(target.requests().at(2), "\r\naccept-encoding: gzip\r\n"));
  CHECK_FALSE(holds(target.requests().at(2), "identity"));
}

TEST_CASE("an answer that unpacks to more than max_body is refused") {
  std::string bomb = lab::gzip(std::string(200 << 20, '#'));
  REQUIRE(bomb.size() < 300'000);
  lab::Server server(lab::http(200, bomb, {{"Content-Encoding", "gzip"}}));
  Collected collected = round_with(server, {{"every", "30s"}, {"timeout", "20s"}});
  CHECK(holds(collected.trouble, "the body is larger than 32 MiB when unpacked (1 time)"));
  CHECK(lab::times(collected, "body_too_large") == 1);
}

TEST_CASE("an answer that is packed without end and unpacks to nothing is refused") {
  lab::Server server([](const lab::Connection& peer) {
    peer.receive();
    peer.send("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n");
    std::string blocks = lab::endless_gzip(10'000);
    for (bool taken = peer.send(blocks); taken;) taken = peer.send(blocks.substr(10));
  });
  Collected collected =
      round_with(server, {{"max_body", "64KiB"}, {"every", "30s"}, {"timeout", "20s"}});
  CHECK(lab::times(collected, "body_too_large") == 1);
}

TEST_CASE("damaged chunks and cut packing are failures, not the ends of pages") {
  std::string page = "n{code=\"200\"} 12345\n";
  std::string packed = lab::gzip(page);
  std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n";
  for (const std::string& answer :
       {head + "\r\n10\r\n" + page + "\r\n0\r\n\r\n", head + "\r\nzz\r\n" + page,
        head + "Content-Encoding: gzip\r\n\r\n" + chunked(packed.substr(0, packed.size() - 1)),
        head + "Content-Encoding: gzip\r\n\r\n" + chunked(packed + "x"),
        head + "Content-Encoding: gzip\r\n\r\n" + chunked(page)}) {
    lab::Server server(lab::raw(answer));
    Collected collected = round_with(server);
    CHECK(holds(collected.trouble, "status 200, but the body "));
    CHECK(lab::times(collected, "scrape_failed") == 1);
  }
}

TEST_CASE("a page that drips costs its own target the round, and no other") {
  lab::Server dripping(lab::drip("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", 50));
  Collected collected = round_with(dripping, {{"timeout", "300ms"}});
  CHECK(lab::times(collected, "scrape_late") == 1);
}

TEST_CASE("a name that the resolver says nothing about costs the other targets no round") {
  lab::Scraped v1;
  v1.count(1, 0);
  std::promise<void> end;
  std::shared_future<void> ended = end.get_future().share();
  lab::SourceRunner scrape(
      "scrape", lab::Scraping::with(v1.url(), "http://silent.test/metrics", {{"timeout", "500ms"}}),
      lab::Scraping::kSeries, {}, [ended](const std::string&, Deadline) {
        ended.wait();
        return wire::LookedUp{wire::LookedUp::Kind::NoAnswer, {}, "too late"};
      });
  for (int round = 0; round < 3; ++round) {
    Collected collected = scrape.collect();
    CHECK(collected.baseline_targets == 1);
    CHECK(
        holds(collected.trouble, "canary http://silent.test/metrics: its name is being looked up"));
  }
  end.set_value();
}

TEST_CASE("a page of several megabytes is read whole over a connection that is kept") {
  std::atomic<int> asked = 0;
  std::string filler;
  for (int i = 0; i < 60'000; ++i)
    filler += "other_total{path=\"/orders/" + std::to_string(i) + "\",pod=\"x\"} 1\n";
  lab::Scraped v2([&](const std::string&) {
    return lab::answer_of(200, filler + lab::page_of(7 * asked++, 0));
  });
  lab::Scraped v1;
  v1.count(0, 0);
  lab::Scraping scrape(v1.url(), v2.url(), {{"every", "30s"}, {"timeout", "20s"}});
  scrape.collect();
  v1.count(1, 0);
  Collected second = scrape.collect();
  REQUIRE(second.block);
  CHECK(second.block->canary.requests == 7);
  CHECK(v2.connections() == 1);
}

TEST_CASE("an error page is read to its end, so that the connection is kept") {
  std::atomic<int> asked = 0;
  lab::Scraped v2([&](const std::string&) {
    return asked++ == 0 ? lab::answer_of(503, std::string(100'000, 'x'))
                        : lab::answer_of(200, lab::page_of(1, 0));
  });
  lab::Scraped v1;
  v1.count(1, 0);
  lab::Scraping scrape(v1.url(), v2.url());
  CHECK(holds(scrape.collect().trouble, "answered 503 (200 would be right)"));
  CHECK(scrape.collect().canary_targets == 1);
  CHECK(v2.connections() == 1);
}

TEST_CASE("targets that refuse, are not found or say nothing are counted as such") {
  lab::Scraped v1;
  v1.count(1, 0);
  std::string gone = lab::Server(lab::mute()).url("/metrics");
  Collected refused = lab::Scraping(v1.url(), gone).collect();
  CHECK(lab::times(refused, "scrape_failed") == 1);
  CHECK(lab::times(refused, "target_new") == 2);
  lab::Scraping unknown(v1.url(), "http://name.invalid/metrics");
  CHECK(lab::eventually([&] {
    Collected round = unknown.collect();
    return lab::times(round, "lookup_failed") == 1 && !holds(round.trouble, "does not answer");
  }));
  lab::Server mute(lab::mute());
  lab::Scraping waiting(v1.url(), mute.url("/metrics"), {{"timeout", "200ms"}});
  CHECK(lab::times(waiting.collect(), "scrape_late") == 1);
}

TEST_CASE("lines that are none and series of no use are counted, in every round that has them") {
  lab::Scraped v1;
  v1.count(1, 0);
  lab::Scraped v2([](const std::string&) {
    return lab::answer_of(200, lab::page_of(1, 0) + "n{code=\"200\"} 7\nn{code= 1\ngarbage\n" +
                                   "n{code=\"201\"} NaN\n");
  });
  lab::Scraping scrape(v1.url(), v2.url());
  for (int round = 0; round < 2; ++round) {
    Collected collected = scrape.collect();
    CHECK(lab::times(collected, "malformed_lines") == 2);
    CHECK(lab::times(collected, "left_out_series") == 2);
    CHECK(holds(collected.trouble, "2 malformed lines left out (line 4: "));
  }
}
