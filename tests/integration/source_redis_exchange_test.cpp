// The judge's end of the exchange on a real Redis: what a stream may hold, and what may befall it.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "lab/process.h"
#include "lab/redis.h"
#include "lab/server.h"
#include "lab/source.h"
#include "net/redis.h"
#include "sources/exchange/block.h"

using namespace davy;
using namespace davy::source;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t kSlot = 100;  // ms

/// Somebody who writes to the stream of the deployment "shop".
class Writer {
 public:
  explicit Writer(const lab::Redis& redis) : client_(*net::parse_redis_url(redis.url())) {}

  net::RedisReply ask(const std::vector<std::string>& words) {
    Call call{Deadline::in(20s), net_};
    if (auto trouble = client_.begin(call)) throw std::runtime_error(trouble->what);
    net::RedisAnswer answer = client_.command(words, call);
    if (auto* error = std::get_if<net::RedisError>(&answer)) throw std::runtime_error(error->what);
    return std::get<net::RedisReply>(answer);
  }
  std::string add(const std::string& bytes, const std::string& id = "*",
                  const std::string& field = "block") {
    return ask({"XADD", "davy:exchange:shop", id, field, bytes}).text;
  }
  /// The server's time.
  std::int64_t now() {
    net::RedisReply time = ask({"TIME"});
    return std::stoll(time.items[0].text) * 1000 + std::stoll(time.items[1].text) / 1000;
  }

 private:
  net::Means net_;
  net::RedisClient client_;
};

struct Instance {
  std::string version;
  std::string name;
  std::uint64_t sequence = 0;
  std::int64_t end = 0;

  /// The next slots; the first one begins now.
  ExchangeBlock block(Writer& writer, double requests, int slots = 1) {
    if (end == 0) end = (writer.now() / kSlot + 1) * kSlot;
    ExchangeBlock block{.deployment = "shop",
                        .version = version,
                        .instance = name,
                        .incarnation = 5,
                        .sequence = ++sequence,
                        .from = end,
                        .to = end + slots * kSlot,
                        .requests = requests};
    end = block.to;
    return block;
  }
  std::string publish(Writer& writer, double requests) {
    return writer.add(*encode(block(writer, requests)));
  }
};

lab::Settings settings(const std::string& url, const std::string& patience = "30s") {
  return {{"url", url},
          {"baseline", "v1"},
          {"canary", "v2"},
          {"every", "100ms"},
          {"patience", patience}};
}

/// Rounds until so many requests have been judged, and what else they told.
struct Judged {
  double requests = 0;
  std::string trouble;
  std::map<std::string, double> events;
  bool was_blind = false;

  void take(const Collected& collected) {
    if (collected.block)
      requests += collected.block->baseline.requests + collected.block->canary.requests;
    if (!collected.trouble.empty()) trouble = collected.trouble;
    for (const SourceEvent& event : collected.events)
      events[std::string(event.name)] += event.times;
    was_blind |= collected.blind;
  }
  bool reaches(lab::SourceRunner& judge, double wanted) {
    return lab::eventually([&] {
      take(judge.collect());
      return requests >= wanted;
    });
  }
};

}  // namespace

TEST_CASE("blocks of both versions are judged once they are there, on any number of judges") {
  lab::Redis redis;
  Writer writer(redis);
  lab::SourceRunner one("redis_exchange", settings(redis.url()), {});
  lab::SourceRunner other("redis_exchange", settings(redis.url()), {});
  for (lab::SourceRunner* judge : {&one, &other}) {
    Collected first = judge->collect();
    CHECK_FALSE(first.block);
    CHECK(first.trouble == "");
  }
  Instance v1{"v1", "a"};
  Instance v2{"v2", "b"};
  v2.end = v1.block(writer, 0).from;
  v1 = {"v1", "a", 0, v2.end};
  for (int i = 0; i < 3; ++i) {
    v1.publish(writer, 100);
    v2.publish(writer, 10);
  }
  for (lab::SourceRunner* judge : {&one, &other}) {
    Judged judged;
    CHECK(judged.reaches(*judge, 330));
    CHECK(judged.requests == 330);
    CHECK(judged.events["merged_requests"] == 330);
    CHECK(judged.trouble == "");
    CHECK(judge->source().describe() == "redis_exchange of 1 baseline and 1 canary instances");
  }
}

TEST_CASE("junk in the stream is counted and skipped for ever, and the first of it is told") {
  lab::Redis redis;
  Writer writer(redis);
  lab::SourceRunner judge("redis_exchange", settings(redis.url()), {});
  judge.collect();
  Instance v1{"v1", "a"};
  std::string good = *encode(v1.block(writer, 100));
  std::string first = writer.add("hello");
  writer.add(std::string("\0\xff", 2));
  writer.add(good.substr(0, good.size() - 3));
  writer.add(good, "*", "other");
  writer.ask({"XADD", "davy:exchange:shop", "*", "block", good, "more", "x"});
  writer.add(std::string(100'000, 'D'));
  writer.add(good);
  Judged judged;
  CHECK(judged.reaches(judge, 100));
  CHECK(judged.requests == 100);
  CHECK(judged.events["junk_entries"] == 6);
  CHECK(judged.trouble ==
        fmt::format("redis 127.0.0.1:{}, stream davy:exchange:shop: 6 entries are "
                    "no blocks (skipped), entry {}: it is no davy block",
                    redis.port(), first));
  CHECK(judge.collect().trouble == "");
  CHECK_FALSE(judged.was_blind);
}

TEST_CASE("a giant entry costs a look at its head, and is skipped") {
  lab::Redis redis;
  Writer writer(redis);
  std::string giant(20 << 20, 'x');
  writer.add(giant);
  lab::SourceRunner judge("redis_exchange", settings(redis.url()), {});
  // It is the last entry, and nobody has to read it; a busy machine may need a second try.
  CHECK(lab::eventually([&] { return judge.collect().trouble.empty(); }));
  Instance v1{"v1", "a"};
  v1.publish(writer, 100);
  std::string id = writer.add(giant);
  v1.publish(writer, 10);
  Judged judged;
  CHECK(judged.reaches(judge, 110));
  CHECK(judged.requests == 110);
  CHECK(judged.events["junk_entries"] == 1);
  CHECK(judged.trouble.find("entry " + id + ": it is larger than 16 MiB") != std::string::npos);
}

TEST_CASE("what is no stream, no Redis, or without rights is told, and blind after three rounds") {
  lab::Redis redis({"--user", "judge", "on", ">secret", "~davy:exchange:shop", "+xread", "+xrange",
                    "+xrevrange", "--user", "poor", "on", ">secret", "~davy:exchange:shop",
                    "+xread", "+time"});
  redis.cli({"SET", "davy:exchange:shop", "text"});
  std::string closed = "redis://127.0.0.1:" + std::to_string(lab::free_port());
  lab::Server mute(lab::mute());
  lab::Server other(lab::banner("220 mail ready\r\n"));
  struct Case {
    std::string url;
    std::string said;
  };
  for (const Case& c : {Case{redis.url(), "WRONGTYPE"}, Case{closed, "refused"},
                        Case{"redis://" + mute.address(), "no answer in time"},
                        Case{"redis://" + other.address(), "not a Redis answer"},
                        Case{redis.url("judge:wrong"), "WRONGPASS"},
                        Case{redis.url("judge:secret"), "docs/config.md says which rights"},
                        Case{redis.url("poor:secret"), "docs/config.md says which rights"}}) {
    CAPTURE(c.url);
    lab::SourceRunner judge("redis_exchange", settings(c.url), {});
    for (int i = 1; i <= 4; ++i) {
      Collected collected = judge.collect();
      CAPTURE(collected.trouble);
      CHECK(collected.trouble.find(c.said) != std::string::npos);
      CHECK(collected.trouble.find("secret") == std::string::npos);
      CHECK(collected.blind == (i >= 3));
      CHECK_FALSE(collected.block);
    }
  }
}

TEST_CASE("a user with no more rights than the documented ones can judge") {
  lab::Redis redis({"--user", "judge", "on", ">secret", "resetchannels", "~davy:exchange:*",
                    "-@all", "+time", "+xread", "+xrange", "+xrevrange"});
  Writer writer(redis);
  lab::SourceRunner judge("redis_exchange", settings(redis.url("judge:secret")), {});
  judge.collect();
  Instance v1{"v1", "a"};
  v1.publish(writer, 100);
  Judged judged;
  CHECK(judged.reaches(judge, 100));
  CHECK(judged.trouble == "");
}

TEST_CASE("a Redis that comes back empty, and is filled again, doubles nothing and loses nothing") {
  lab::Redis redis;
  lab::SourceRunner judge("redis_exchange", settings(redis.url()), {});
  judge.collect();
  Instance v1{"v1", "a"};
  std::vector<std::string> all;
  {
    Writer writer(redis);
    for (int i = 0; i < 5; ++i) all.push_back(*encode(v1.block(writer, 100)));
    for (int i = 0; i < 3; ++i) writer.add(all[static_cast<std::size_t>(i)]);
  }
  Judged judged;
  REQUIRE(judged.reaches(judge, 300));
  redis.kill();
  CHECK(judge.collect().trouble != "");
  redis.start();
  Writer writer(redis);
  // A clock of long ago: ids begin below those that were read.
  int id = 0;
  for (const std::string& bytes : all) writer.add(bytes, fmt::format("1000-{}", ++id));
  CHECK(judged.reaches(judge, 500));
  for (int i = 0; i < 3; ++i) judged.take(judge.collect());
  CHECK(judged.requests == 500);
  CHECK(judged.events["duplicate_blocks"] == 3);
  CHECK(judged.events["stream_lost"] == 1);
  CHECK(judged.events["late_blocks"] == 0);
}

TEST_CASE("a stream that somebody deletes is read from its new beginning") {
  lab::Redis redis;
  Writer writer(redis);
  lab::SourceRunner judge("redis_exchange", settings(redis.url()), {});
  judge.collect();
  Instance v1{"v1", "a"};
  writer.add(*encode(v1.block(writer, 100)), "9000000000000-0");  // an id of the far future
  Judged judged;
  REQUIRE(judged.reaches(judge, 100));
  writer.ask({"DEL", "davy:exchange:shop"});
  v1.publish(writer, 10);
  CHECK(judged.reaches(judge, 110));
  CHECK(judged.requests == 110);
  CHECK(judged.events["stream_lost"] == 1);
}

TEST_CASE("a judge that was killed goes on with the next entry, on what it saved") {
  lab::Redis redis;
  Writer writer(redis);
  lab::SourceRunner judge("redis_exchange", settings(redis.url()), {});
  judge.collect();
  Instance v1{"v1", "a"};
  v1.publish(writer, 100);
  Judged judged;
  REQUIRE(judged.reaches(judge, 100));
  std::string saved = judge.saved();
  v1.publish(writer, 20);
  REQUIRE(judged.reaches(judge, 120));  // and is killed before it saves that
  lab::SourceRunner next("redis_exchange", settings(redis.url()), {});
  REQUIRE(next.load(saved));
  v1.publish(writer, 3);
  Judged again;
  CHECK(again.reaches(next, 23));
  CHECK(again.requests == 23);
  CHECK(again.events["duplicate_blocks"] == 0);

  lab::Settings of_v3 = settings(redis.url());
  of_v3[2].second = "v3";
  lab::SourceRunner stranger("redis_exchange", of_v3, {});
  CHECK_FALSE(stranger.load(saved));
}

TEST_CASE("while Redis is frozen a round ends by its deadline, and afterwards all is there") {
  lab::Redis redis;
  Writer writer(redis);
  lab::SourceRunner judge("redis_exchange", settings(redis.url(), "500ms"), {});
  judge.collect();
  Instance v1{"v1", "a"};
  v1.publish(writer, 100);
  Judged judged;
  REQUIRE(judged.reaches(judge, 100));
  redis.pause();
  for (int i = 0; i < 12; ++i) CHECK(judge.collect().trouble != "");
  redis.resume();
  v1.publish(writer, 10);
  CHECK(judged.reaches(judge, 110));
  CHECK(judged.requests == 110);
  CHECK(judged.events["instance_lost"] == 0);
}

TEST_CASE("settings that cannot work are refused with what would") {
  auto refusal = [](lab::Settings changed) {
    lab::Settings all = settings("redis://127.0.0.1:6379");
    for (auto& [name, value] : changed) {
      for (auto& [known, old] : all) {
        if (known == name) old = value;
      }
    }
    auto made = lab::make_source("redis_exchange", all, {});
    return made ? "" : made.error().setting + ": " + made.error().what;
  };
  CHECK(refusal({}) == "");
  CHECK(refusal({{"url", "http://x"}}).starts_with("url: not a Redis URL"));
  CHECK(refusal({{"canary", "v1"}}).starts_with("canary: is v1, as the baseline is"));
  CHECK(refusal({{"baseline", "v 1"}}).starts_with("baseline: has characters"));
  CHECK(refusal({{"every", "50ms"}}).starts_with("every: 50ms is too often"));
  CHECK(refusal({{"patience", "100ms"}}).starts_with("patience: 100ms is not possible"));
  CHECK(refusal({{"patience", "11m"}}).starts_with("patience: 11m is not possible"));
}
