#include <doctest/doctest.h>

#include "lab/probe.h"
#include "lab/process.h"
#include "lab/redis.h"
#include "lab/server.h"
#include "net/redis.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

Outcome probe(const std::string& url, const std::string& expect = "any",
              std::chrono::milliseconds timeout = 10s) {
  return lab::run_probe("redis", {{"url", url}, {"expect", expect}}, timeout);
}

/// Kept for all tests that leave it as they found it.
lab::Redis& shared_redis() {
  static lab::Redis redis;
  return redis;
}

}  // namespace

TEST_CASE("a Redis that answers passes and is asked on the same connection again") {
  lab::Redis& redis = shared_redis();
  lab::ProbeRunner probe("redis", {{"url", redis.url("", "3")}});
  CHECK(lab::show(probe.run()) == "pass");
  auto connections_made = [&] {
    std::string stats = redis.cli({"INFO", "stats"});
    return std::stoi(stats.substr(stats.find("total_connections_received:") + 27));
  };
  int before = connections_made();
  for (int i = 0; i < 5; ++i) CHECK(probe.run().kind == Outcome::Kind::Pass);
  CHECK(connections_made() == before + 1);  // that of redis-cli
}

TEST_CASE("a Redis that is down is refused and an unknown one does not resolve") {
  std::string address = "127.0.0.1:" + std::to_string(lab::free_port());
  CHECK(lab::show(probe("redis://" + address)) ==
        "fail refused: connect to " + address + ": refused");
  CHECK(probe("redis://no-such-host.invalid").reason == "resolve");
}

TEST_CASE("a frozen Redis times out on a new connection and on a kept one, and recovers") {
  lab::Redis redis;
  lab::ProbeRunner kept("redis", {{"url", redis.url()}});
  CHECK(kept.run().kind == Outcome::Kind::Pass);
  redis.pause();
  Outcome seen = kept.run(300ms);
  CHECK(lab::show(seen) == "fail timeout: redis 127.0.0.1:" + std::to_string(redis.port()) +
                               ": PING: no answer in time");
  CHECK_FALSE(seen.hard);
  CHECK(probe(redis.url(), "any", 300ms).reason == "timeout");
  redis.resume();
  CHECK(kept.run().kind == Outcome::Kind::Pass);
}

TEST_CASE("a restarted Redis is no failure for a kept connection") {
  lab::Redis redis;
  lab::ProbeRunner kept("redis", {{"url", redis.url()}});
  CHECK(kept.run().kind == Outcome::Kind::Pass);
  redis.kill();
  CHECK(kept.run().reason == "refused");
  redis.start();
  CHECK(kept.run().kind == Outcome::Kind::Pass);
  redis.kill();
  redis.start();
  CHECK(kept.run().kind == Outcome::Kind::Pass);
}

TEST_CASE("a missing or wrong password fails hard and is not shown") {
  lab::Redis redis({"--requirepass", "s3cret/pass"});
  CHECK(probe(redis.url(":s3cret%2Fpass")).kind == Outcome::Kind::Pass);
  CHECK(probe(redis.url("default:s3cret%2Fpass", "1")).kind == Outcome::Kind::Pass);
  for (std::string user_info : {"", ":hunter2", "default:hunter2", "nobody:hunter2"}) {
    CAPTURE(user_info);
    Outcome seen = probe(redis.url(user_info));
    CHECK(seen.kind == Outcome::Kind::Fail);
    CHECK(seen.hard);
    CHECK(seen.reason == "auth");
    CHECK(seen.message.find("hunter2") == std::string::npos);
  }
}

TEST_CASE("a password for a Redis that has none fails hard") {
  lab::Redis& redis = shared_redis();
  CHECK(lab::show(probe(redis.url("nobody:hunter2"))).rfind("fail hard auth", 0) == 0);
  CHECK(lab::show(probe(redis.url(":hunter2"))).rfind("fail hard auth", 0) == 0);
}

TEST_CASE("a password is used again after a reconnect") {
  lab::Redis redis({"--requirepass", "secret"});
  lab::ProbeRunner kept("redis", {{"url", redis.url(":secret")}});
  CHECK(kept.run().kind == Outcome::Kind::Pass);
  redis.kill();
  redis.start();
  CHECK(kept.run().kind == Outcome::Kind::Pass);
}

TEST_CASE("a user who may not ask for the role fails hard with the command's name") {
  lab::Redis redis({"--user", "probe", "on", ">secret", "+ping"});
  CHECK(probe(redis.url("probe:secret")).kind == Outcome::Kind::Pass);
  Outcome seen = probe(redis.url("probe:secret"), "primary");
  CHECK(seen.reason == "permission");
  CHECK(seen.hard);
  CHECK(seen.message.find("ROLE") != std::string::npos);
}

TEST_CASE("a database that does not exist fails hard") {
  Outcome seen = probe(shared_redis().url("", "99"));
  CHECK(seen.reason == "database");
  CHECK(seen.hard);
}

TEST_CASE("a primary is a primary and writable, and not a replica") {
  lab::Redis& redis = shared_redis();
  CHECK(probe(redis.url(), "primary").kind == Outcome::Kind::Pass);
  CHECK(probe(redis.url(), "writable").kind == Outcome::Kind::Pass);
  CHECK(lab::show(probe(redis.url(), "replica")) ==
        "fail hard role: redis 127.0.0.1:" + std::to_string(redis.port()) +
            ": expected replica, got role \"master\"");
}

TEST_CASE("a replica is a replica and neither a primary nor writable") {
  lab::Redis primary;
  lab::Redis replica({"--replicaof", "127.0.0.1", std::to_string(primary.port())});
  REQUIRE(
      lab::eventually([&] { return probe(replica.url(), "replica").kind == Outcome::Kind::Pass; }));
  CHECK(probe(replica.url(), "any").kind == Outcome::Kind::Pass);
  CHECK(probe(replica.url(), "primary").reason == "role");
  CHECK(probe(replica.url(), "writable").reason == "role");
}

TEST_CASE("a replica that serves no stale data fails softly while its primary is gone") {
  lab::Redis primary;
  lab::Redis replica({"--replicaof", "127.0.0.1", std::to_string(primary.port()),
                      "--replica-serve-stale-data", "no"});
  REQUIRE(lab::eventually([&] { return probe(replica.url()).kind == Outcome::Kind::Pass; }));
  primary.kill();
  REQUIRE(lab::eventually([&] { return probe(replica.url()).kind == Outcome::Kind::Fail; }));
  Outcome seen = probe(replica.url());
  CHECK(seen.reason == "masterdown");
  CHECK_FALSE(seen.hard);
}

TEST_CASE("a Redis whose saves fail warns, and fails only when writes are expected") {
  lab::Redis redis({"--save", "3600 1"});
  // Its directory goes away under it: the next save fails, also for root.
  redis.cli({"SET", "a", "1"});
  std::string gone = redis.dir().path();
  REQUIRE(lab::run({{"rm", "-rf", gone}}).code == 0);
  redis.cli({"BGSAVE"});
  REQUIRE(
      lab::eventually([&] { return redis.cli({"PING"}).find("MISCONF") != std::string::npos; }));

  for (std::string expect : {"any", "primary"}) {
    Outcome seen = probe(redis.url(), expect);
    CHECK(seen.kind == Outcome::Kind::Warn);
    CHECK(seen.reason == "misconf");
  }
  Outcome seen = probe(redis.url(), "writable");
  CHECK(seen.kind == Outcome::Kind::Fail);
  CHECK(seen.reason == "misconf");
}

TEST_CASE("a Redis that takes no more clients says so") {
  lab::Redis redis({"--maxclients", "1"});
  lab::ProbeRunner first("redis", {{"url", redis.url()}});
  REQUIRE(lab::eventually(
      [&] { return first.run().kind == Outcome::Kind::Pass; }));  // once the lab's own is gone
  CHECK(probe(redis.url()).reason == "too_many_connections");
}

TEST_CASE("a Redis that is busy with a script fails softly") {
  lab::Redis redis({"--lua-time-limit", "50"});
  lab::Process script(
      {{"redis-cli", "-p", std::to_string(redis.port()), "EVAL", "while true do end", "0"}});
  Outcome seen;
  REQUIRE(lab::eventually([&] { return (seen = probe(redis.url())).reason == "busy"; }));
  CHECK_FALSE(seen.hard);
}

TEST_CASE("something that is not Redis is a protocol failure") {
  lab::Server web(lab::raw("HTTP/1.1 400 Bad Request\r\n\r\n"));
  CHECK(probe("redis://" + web.address()).reason == "protocol");
  lab::Server number(lab::raw(":1\r\n"));
  CHECK(probe("redis://" + number.address()).reason == "protocol");
}

TEST_CASE("an answer that drips ends at the deadline, and a late whole one is an answer") {
  lab::Server drip(lab::drip("+PO", 50));
  CHECK(probe("redis://" + drip.address(), "any", 300ms).reason == "timeout");
  lab::Server slow(lab::byte_at_a_time("+PONG\r\n"));
  CHECK(probe("redis://" + slow.address()).kind == Outcome::Kind::Pass);
}

TEST_CASE("a Redis that hangs up is closed") {
  lab::Server reset(lab::reset());
  CHECK(probe("redis://" + reset.address()).reason == "closed");
}

TEST_CASE("an endless answer ends at the deadline at the latest") {
  lab::Server many(lab::raw("*100000000\r\n"));
  CHECK(probe("redis://" + many.address()).kind == Outcome::Kind::Fail);
}

TEST_CASE("wrong Redis URLs are refused without their password") {
  for (std::string bad : {"http://:hunter2@h", "h:6379", "redis://", "redis://:hunter2@h/zero",
                          "redis://:hunter2@h/-1", "redis://:hunter2@h:0",
                          "redis://:hunter2@h?db=1", "redis://:hunter2@a,b"}) {
    CAPTURE(bad);
    std::string refusal = lab::refusal("redis", {{"url", bad}});
    CHECK(refusal != "");
    CHECK(refusal.find("hunter2") == std::string::npos);
  }
  std::string tls = lab::refusal("redis", {{"url", "rediss://:hunter2@h"}});
  CHECK((tls == "") == net::redis_has_tls());
  CHECK((tls == "" || tls.find("TLS") != std::string::npos));
  CHECK(tls.find("hunter2") == std::string::npos);
  CHECK(lab::refusal("redis", {{"url", "redis://h"}}) == "");
}
