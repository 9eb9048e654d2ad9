// Faults of Redis, made on real servers: every one must come out as its own reason.

#include <doctest/doctest.h>

#include "lab/probe.h"
#include "lab/process.h"
#include "lab/redis.h"
#include "lab/tmpfs.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

Outcome look(const lab::Redis& redis, lab::Settings settings,
             std::chrono::milliseconds timeout = 10s) {
  settings.insert(settings.begin(), {"url", redis.url()});
  return lab::run_probe("redis", settings, timeout);
}
const lab::Settings kWritable = {{"expect", "writable"}, {"write_key", "davy:here"}};

}  // namespace

TEST_CASE("a Redis that reads its data after a start is loading, softly") {
  lab::Redis redis({"--enable-debug-command", "yes", "--loading-process-events-interval-bytes",
                    "1024", "--key-load-delay", "0"});
  redis.cli({"DEBUG", "POPULATE", "20000"});
  redis.cli({"SAVE"});
  redis.cli({"CONFIG", "SET", "key-load-delay", "1000"});
  lab::Process reload({{"redis-cli", "-p", std::to_string(redis.port()), "DEBUG", "RELOAD"}});
  Outcome seen;
  REQUIRE(lab::eventually([&] { return (seen = look(redis, {})).reason == "loading"; }));
  CHECK(seen.kind == Outcome::Kind::Fail);
  CHECK_FALSE(seen.hard);
}

TEST_CASE("a full Redis answers PING, and fails a write") {
  lab::Redis redis({"--maxmemory", "500kb", "--maxmemory-policy", "noeviction"});
  CHECK(lab::show(look(redis, {})) == "pass");
  CHECK(lab::show(look(redis, {{"expect", "writable"}})) == "pass");
  Outcome seen = look(redis, kWritable);
  CHECK(seen.reason == "out_of_memory");
  CHECK_FALSE(seen.hard);
}

TEST_CASE("a Redis whose disk is full warns, and fails only where writes are expected") {
  lab::Tmpfs disk("size=32k");
  if (!disk) return;
  lab::Redis redis({"--dir", disk.path(), "--save", "3600 1", "--rdbcompression", "no"});
  redis.cli({"SET", "a", std::string(100000, 'x')});
  redis.cli({"BGSAVE"});
  REQUIRE(lab::eventually([&] { return look(redis, {}).reason == "misconf"; }));
  CHECK(look(redis, {}).kind == Outcome::Kind::Warn);
  CHECK(look(redis, kWritable).kind == Outcome::Kind::Fail);
  CHECK(look(redis, kWritable).reason == "misconf");
}

TEST_CASE("writes that are paused time out while PING passes, and all that is paused times out") {
  lab::Redis redis;
  redis.cli({"CLIENT", "PAUSE", "60000", "WRITE"});
  CHECK(lab::show(look(redis, {{"expect", "writable"}})) == "pass");
  Outcome seen = look(redis, kWritable, 300ms);
  CHECK(seen.reason == "timeout");
  CHECK(seen.message.find("SET: no answer in time") != std::string::npos);
  redis.cli({"CLIENT", "UNPAUSE"});
  CHECK(lab::show(look(redis, kWritable)) == "pass");
  redis.cli({"CLIENT", "PAUSE", "600", "ALL"});
  CHECK(look(redis, {}, 200ms).reason == "timeout");
  CHECK(lab::eventually([&] { return look(redis, {}).kind == Outcome::Kind::Pass; }));
}

TEST_CASE("writes without enough replicas fail where writes are expected") {
  lab::Redis redis({"--min-replicas-to-write", "1"});
  CHECK(lab::show(look(redis, {})) == "pass");
  Outcome seen = look(redis, kWritable);
  CHECK(seen.reason == "no_replicas");
}

TEST_CASE("a script that runs before its limit hangs, and beyond it is busy") {
  lab::Redis redis({"--busy-reply-threshold", "700"});
  lab::Process script(
      {{"redis-cli", "-p", std::to_string(redis.port()), "EVAL", "while true do end", "0"}});
  REQUIRE(lab::eventually([&] { return look(redis, {}, 100ms).reason != ""; }));
  Outcome seen;
  REQUIRE(lab::eventually([&] { return (seen = look(redis, {})).reason == "busy"; }));
  CHECK_FALSE(seen.hard);
  redis.cli({"SCRIPT", "KILL"});
  CHECK(lab::eventually([&] { return look(redis, {}).kind == Outcome::Kind::Pass; }));
}

TEST_CASE("a kept connection to a primary that was demoted fails hard by its role") {
  lab::Redis first;
  lab::Redis second({"--replicaof", "127.0.0.1", std::to_string(first.port())});
  lab::ProbeRunner primary("redis", {{"url", first.url()}, {"expect", "writable"}});
  lab::ProbeRunner replica("redis", {{"url", second.url()}, {"expect", "replica"}});
  REQUIRE(lab::eventually([&] { return replica.run().kind == Outcome::Kind::Pass; }));
  CHECK(primary.run().kind == Outcome::Kind::Pass);
  second.cli({"REPLICAOF", "NO", "ONE"});
  first.cli({"REPLICAOF", "127.0.0.1", std::to_string(second.port())});
  for (lab::ProbeRunner* probe : {&primary, &replica}) {
    Outcome seen = probe->run();
    INFO(lab::show(seen));
    CHECK(seen.reason == "role");
    CHECK(seen.hard);
  }
}

TEST_CASE("a check by sentinels follows a failover") {
  lab::Redis first;
  lab::Redis second({"--replicaof", "127.0.0.1", std::to_string(first.port())});
  REQUIRE(lab::eventually([&] {
    return look(second, {{"expect", "replica"}, {"max_replica_age", "1m"}}).kind ==
           Outcome::Kind::Pass;
  }));
  lab::TempDir dir;
  int port = lab::free_port();
  lab::write_file(dir / "sentinel.conf", "bind 127.0.0.1\nport " + std::to_string(port) + "\ndir " +
                                             dir.path() + "\nsentinel monitor mymaster 127.0.0.1 " +
                                             std::to_string(first.port()) +
                                             " 1\nsentinel down-after-milliseconds mymaster 300\n"
                                             "sentinel failover-timeout mymaster 2000\n");
  lab::Process sentinel({{"redis-server", dir / "sentinel.conf", "--sentinel"}});
  lab::ProbeRunner probe("redis", {{"url", "redis://any"},
                                   {"sentinels", "127.0.0.1:" + std::to_string(port)},
                                   {"sentinel_name", "mymaster"},
                                   {"expect", "writable"},
                                   {"write_key", "davy:here"}});
  REQUIRE(lab::eventually([&] { return probe.run().kind == Outcome::Kind::Pass; }));
  CHECK(first.cli({"EXISTS", "davy:here"}) == "1\n");
  // Only a sentinel that has seen the replica can promote it.
  REQUIRE(lab::eventually([&] {
    return lab::run({{"redis-cli", "-p", std::to_string(port), "SENTINEL", "replicas", "mymaster"}})
               .output.find(std::to_string(second.port())) != std::string::npos;
  }));
  first.kill();
  CHECK(probe.run().kind == Outcome::Kind::Fail);
  CHECK(lab::eventually([&] { return probe.run().kind == Outcome::Kind::Pass; }));
  sentinel.kill();
  Outcome seen = probe.run();
  CHECK(seen.reason == "no_sentinel");
  CHECK(lab::refusal("redis", {{"url", "redis://any"}, {"sentinels", "127.0.0.1:1"}}) != "");
}

TEST_CASE("a client that only may PING is told what it may not do, hard where the role counts") {
  lab::Redis redis({"--user", "probe", "on", ">secret", "+ping"});
  Outcome seen =
      lab::run_probe("redis", {{"url", redis.url("probe:secret")}, {"expect", "writable"}});
  CHECK(seen.reason == "permission");
  CHECK(seen.hard);
}
