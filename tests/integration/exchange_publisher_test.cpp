// A publisher on a real Redis: every block it makes gets into the stream, whatever Redis does.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <map>
#include <thread>

#include "base/archive.h"
#include "davy/heartbeats.h"
#include "davy/publisher.h"
#include "lab/process.h"
#include "lab/redis.h"
#include "lab/source.h"
#include "net/means.h"
#include "sources/exchange/block.h"
#include "sources/exchange/stream.h"

using namespace davy;
using namespace davy::source;
using namespace std::chrono_literals;

namespace {

constexpr Duration kEvery = 100ms;

/// What an instance serves: 7 requests in each round, whether or not a block comes of it.
struct Served final : Source {
  double* total;
  double since = 0;
  Time last{};
  std::string trouble{};
  bool has_base = false;
  bool is_down = false;

  explicit Served(double* all) : total(all) {}

  Collected collect(const SourceContext& ctx) override {
    CHECK(ctx.canary_alone);
    Collected collected{.trouble = is_down ? "its target is down" : ""};
    Time now = ctx.clock.now();
    if (!std::exchange(has_base, true)) {
      last = now;
      return collected;
    }
    since += 7;
    *total += 7;
    if (is_down) return collected;
    Block block;
    block.dt = seconds(now - std::exchange(last, now));
    block.canary.requests = std::exchange(since, 0);
    block.canary.errors = 1;
    block.canary.latency = Histogram{{0.1, 1}, {block.canary.requests, 0, 0}};
    block.canary.pods = {{.id = "x", .restarts = 1, .age = 50},
                         {.id = "y", .restarts = 2, .age = 9}};
    block.canary.values = {{"memory", 5}};
    collected.block = block;
    return collected;
  }
  Duration every() const override { return kEvery; }
  std::string describe() const override { return "served"; }
  void archive(Archive& state) override { state(since, last.since_boot, has_base); }
};

/// A publisher as the agent would run it, slot by slot.
class Sidecar {
 public:
  explicit Sidecar(const std::string& url, const std::string& version = "v2",
                   const lab::Settings& more = {})
      : url_(url), version_(version), more_(more) {
    make();
  }

  /// As after kill -9, when this was saved.
  bool restart(std::string saved) {
    make();
    Archive in = Archive::reader(std::move(saved));
    publisher_->archive(in);
    return !in.failed() && in.at_end();
  }
  std::string saved() {
    Archive out = Archive::writer();
    publisher_->archive(out);
    return out.bytes();
  }

  void count(bool is_last = false) {
    if (!is_last) std::this_thread::sleep_for(publisher_->until_due(machine_clock().now()));
    publisher_->count(context(), is_last);
  }
  PublisherReport send(Duration patience = 10s) {
    PublisherReport report = publisher_->send(context(patience));
    for (const SourceEvent& event : report.events) events[std::string(event.name)] += event.times;
    return report;
  }
  /// Some slots, each sent.
  PublisherReport slots(int number) {
    PublisherReport report;
    for (int i = 0; i < number; ++i) {
      count();
      report = send();
    }
    return report;
  }

  Publisher& publisher() { return *publisher_; }
  Served& source() { return *served_; }
  double served = 0;
  std::map<std::string, double> events;

 private:
  void make() {
    auto source = std::make_unique<Served>(&served);
    served_ = source.get();
    const PublisherKind& kind = *lab::source_kind("redis_exchange").publisher;
    lab::Settings settings = {{"url", url_}};
    settings.insert(settings.end(), more_.begin(), more_.end());
    Options options = lab::options_for(kind.options, settings);
    auto made = kind.make({.options = options,
                           .deployment = "shop",
                           .version = version_,
                           .instance = "web-1",
                           .values = {{.name = "memory", .series = "m"}},
                           .source = std::move(source)});
    if (!made) throw std::runtime_error(made.error().setting + ": " + made.error().what);
    publisher_ = std::move(*made);
  }
  SourceContext context(Duration patience = 10s) {
    return {.deadline = Deadline::in(patience),
            .net = net_,
            .workers = workers_,
            .clock = machine_clock(),
            .heartbeats = heartbeats_,
            .canary_alone = true};
  }

  const std::string url_;
  const std::string version_;
  const lab::Settings more_;
  net::Means net_;
  Heartbeats heartbeats_;
  Workers workers_{"source", 2, 8};
  std::unique_ptr<Publisher> publisher_;
  Served* served_ = nullptr;
};

/// What is in the stream, by number; the copies of a block must be the same.
std::map<std::uint64_t, ExchangeBlock> blocks_in(const lab::Redis& redis) {
  net::Means net;
  Call call{Deadline::in(20s), net};
  ExchangeStream stream(*net::parse_redis_url(redis.url()), "davy:exchange:shop");
  std::map<std::uint64_t, ExchangeBlock> blocks;
  REQUIRE(stream.begin(call));
  StreamId last;
  while (true) {
    auto entries = stream.read_after(last, call);
    REQUIRE(entries);
    if (entries->empty()) return blocks;
    for (const ExchangeStream::Entry& entry : *entries) {
      Result<ExchangeBlock> block = decode(entry.bytes);
      REQUIRE(block);
      auto [at, is_new] = blocks.emplace(block->sequence, *block);
      if (!is_new) CHECK(at->second == *block);
      last = entry.id;
    }
  }
}

double requests_in(const std::map<std::uint64_t, ExchangeBlock>& blocks) {
  double sum = 0;
  for (const auto& [number, block] : blocks) sum += block.requests;
  return sum;
}

/// Numbers from 1 on, spans one behind the other.
void check_whole(const std::map<std::uint64_t, ExchangeBlock>& blocks) {
  std::uint64_t number = 0;
  std::int64_t end = 0;
  for (const auto& [at, block] : blocks) {
    CHECK(at == ++number);
    if (end > 0) CHECK(block.from == end);
    end = block.to;
    CHECK(block.to % 100 == 0);
    CHECK(block.from < block.to);
  }
}

}  // namespace

TEST_CASE("slot by slot a block gets into the stream, with all that was counted") {
  lab::Redis redis;
  Sidecar sidecar(redis.url());
  CHECK(sidecar.publisher().describe() ==
        fmt::format("shop v2 as web-1 to redis 127.0.0.1:{}, stream davy:exchange:shop",
                    redis.port()));
  sidecar.count();  // nobody knows what time it is
  CHECK_FALSE(sidecar.source().has_base);
  CHECK(sidecar.send().trouble == "");
  PublisherReport report = sidecar.slots(4);
  CHECK(report.blocks == 3);
  CHECK(report.requests == 21);
  CHECK(report.waiting == 0);
  std::map<std::uint64_t, ExchangeBlock> blocks = blocks_in(redis);
  REQUIRE(blocks.size() == 3);
  check_whole(blocks);
  const ExchangeBlock& block = blocks[2];
  CHECK(block.deployment == "shop");
  CHECK(block.version == "v2");
  CHECK(block.instance == "web-1");
  CHECK(block.requests == 7);
  CHECK(block.errors == 1);
  CHECK(block.restarts == 3);
  CHECK(block.age == 9);
  CHECK(block.latency->counts[0] == 7);
  REQUIRE(block.values.size() == 1);
  CHECK(block.values[0].name == "memory");
  CHECK_FALSE(block.is_last);
}

TEST_CASE("blocks wait for a Redis that is away, and none is lost when it comes back empty") {
  lab::Redis redis;
  Sidecar sidecar(redis.url());
  sidecar.send();
  sidecar.slots(5);
  redis.kill();
  PublisherReport report = sidecar.slots(3);
  CHECK(report.waiting == 3);
  CHECK(report.trouble.find("(3 times; 3 blocks wait to be sent)") != std::string::npos);
  redis.start();
  report = sidecar.slots(1);
  CHECK(report.trouble == "");
  CHECK(report.waiting == 0);
  CHECK(sidecar.events["added_again"] == 4);
  std::map<std::uint64_t, ExchangeBlock> blocks = blocks_in(redis);
  check_whole(blocks);
  CHECK(requests_in(blocks) == sidecar.served);
}

TEST_CASE("a Redis that was restarted between two slots has all again") {
  lab::Redis redis;
  Sidecar sidecar(redis.url());
  sidecar.send();
  for (int i = 0; i < 4; ++i) {
    sidecar.slots(3);
    redis.kill();
    redis.start();
  }
  sidecar.slots(1);
  std::map<std::uint64_t, ExchangeBlock> blocks = blocks_in(redis);
  check_whole(blocks);
  CHECK(requests_in(blocks) == sidecar.served);
}

TEST_CASE("what a failover loses, or somebody deletes, is added again, and only that") {
  lab::Redis redis;
  Sidecar sidecar(redis.url());
  sidecar.send();
  sidecar.slots(4);
  redis.cli({"SAVE"});
  sidecar.slots(2);
  redis.kill();
  redis.start();  // with the three blocks of the snapshot
  sidecar.slots(1);
  CHECK(sidecar.events["added_again"] == 2);
  CHECK(requests_in(blocks_in(redis)) == sidecar.served);
  redis.cli({"DEL", "davy:exchange:shop"});  // over a connection that goes on
  sidecar.slots(1);
  CHECK(sidecar.events["added_again"] == 2 + 6);
  std::map<std::uint64_t, ExchangeBlock> blocks = blocks_in(redis);
  check_whole(blocks);
  CHECK(requests_in(blocks) == sidecar.served);
}

TEST_CASE("a full stream loses its oldest blocks, and nobody adds them again") {
  lab::Redis redis({"--stream-node-max-entries", "10"});
  Sidecar sidecar(redis.url(), "v2", {{"max_length", "100"}});
  sidecar.send();
  sidecar.slots(3);
  for (int i = 0; i < 150; ++i) redis.cli({"XADD", "davy:exchange:shop", "*", "x", "y"});
  redis.cli({"XTRIM", "davy:exchange:shop", "MAXLEN", "100"});
  sidecar.slots(3);
  CHECK(sidecar.events["added_again"] == 0);
  CHECK(std::stoi(redis.cli({"XLEN", "davy:exchange:shop"})) <= 110);
}

TEST_CASE("a publisher that is killed goes on where it saved, in one longer block") {
  lab::Redis redis;
  Sidecar sidecar(redis.url());
  sidecar.send();
  sidecar.slots(3);
  sidecar.count();
  std::string saved = sidecar.saved();
  sidecar.send();  // and killed before it knew that it had arrived
  REQUIRE(sidecar.restart(saved));
  std::this_thread::sleep_for(5 * kEvery);
  sidecar.send();
  sidecar.slots(2);
  std::map<std::uint64_t, ExchangeBlock> blocks = blocks_in(redis);
  check_whole(blocks);
  CHECK(requests_in(blocks) == sidecar.served);
  CHECK(blocks[4].to - blocks[4].from >= 500);

  Sidecar other(redis.url(), "v3");
  CHECK_FALSE(other.restart(saved));
  for (std::size_t i = 0; i < saved.size(); i += 3) {
    std::string cut = saved.substr(0, i);
    CHECK_FALSE(sidecar.restart(cut));
  }
}

TEST_CASE("a round that counts nothing makes the next block longer, and its trouble is told") {
  lab::Redis redis;
  Sidecar sidecar(redis.url());
  sidecar.send();
  sidecar.slots(2);
  sidecar.source().is_down = true;
  PublisherReport report = sidecar.slots(2);
  CHECK(report.trouble == "its target is down");
  CHECK(report.blocks == 1);
  sidecar.source().is_down = false;
  CHECK(sidecar.slots(1).trouble == "");
  std::map<std::uint64_t, ExchangeBlock> blocks = blocks_in(redis);
  check_whole(blocks);
  CHECK(blocks[2].to - blocks[2].from >= 300);
  CHECK(blocks[2].requests == 21);
}

TEST_CASE("the last block says that the instance leaves, and restarted it goes on behind it") {
  lab::Redis redis;
  Sidecar sidecar(redis.url());
  sidecar.count(true);  // of which nobody knows needs no farewell
  sidecar.send();
  CHECK(blocks_in(redis).empty());
  sidecar.slots(3);
  sidecar.count(true);
  std::string saved = sidecar.saved();
  CHECK(sidecar.send().trouble == "");
  std::map<std::uint64_t, ExchangeBlock> blocks = blocks_in(redis);
  REQUIRE(blocks.size() == 3);
  CHECK(blocks[3].is_last);
  check_whole(blocks);
  REQUIRE(sidecar.restart(saved));
  sidecar.send();
  sidecar.slots(1);
  blocks = blocks_in(redis);
  check_whole(blocks);
  CHECK_FALSE(blocks.rbegin()->second.is_last);
  CHECK(requests_in(blocks) == sidecar.served);
}

TEST_CASE("a user with no more rights than the documented ones can publish, one without is told") {
  lab::Redis redis({"--user", "publisher", "on", ">secret", "resetchannels", "~davy:exchange:*",
                    "-@all", "+time", "+xadd", "+xrange", "+xlen", "--user", "poor", "on",
                    ">secret", "~davy:exchange:*", "+time", "+xrange", "+xlen"});
  Sidecar sidecar(redis.url("publisher:secret"));
  sidecar.send();
  CHECK(sidecar.slots(3).trouble == "");
  Sidecar poor(redis.url("poor:secret"));
  poor.send();
  std::string trouble = poor.slots(3).trouble;
  CHECK(trouble.find("XADD: ") != std::string::npos);
  CHECK(trouble.find("docs/config.md says which rights") != std::string::npos);
  CHECK(trouble.find("secret") == std::string::npos);
}

TEST_CASE("while Redis is frozen sending ends by its deadline, and nothing is counted twice") {
  lab::Redis redis;
  Sidecar sidecar(redis.url());
  sidecar.send();
  sidecar.slots(3);
  redis.pause();
  for (int i = 0; i < 3; ++i) {
    sidecar.count();
    CHECK(sidecar.send(50ms).trouble.find("no answer in time") != std::string::npos);
  }
  redis.resume();
  sidecar.slots(1);
  std::map<std::uint64_t, ExchangeBlock> blocks = blocks_in(redis);
  check_whole(blocks);
  CHECK(requests_in(blocks) == sidecar.served);
}

TEST_CASE("settings that cannot work are refused with what would") {
  auto refusal = [](const std::string& version, const lab::Settings& more) -> std::string {
    try {
      Sidecar sidecar("redis://127.0.0.1:6379", version, more);
      return "";
    } catch (const std::runtime_error& e) {
      return e.what();
    }
  };
  CHECK(refusal("v2", {}) == "");
  CHECK(refusal("v 2", {}).starts_with("version: has characters"));
  CHECK(refusal("v2", {{"max_length", "10"}}).starts_with("max_length: is not possible"));
  CHECK(refusal("v2", {{"max_length", "100.5"}}).starts_with("max_length: is not possible"));
  CHECK_THROWS_WITH_AS(Sidecar("http://x"), doctest::Contains("url: not a Redis URL"),
                       std::runtime_error);
}
