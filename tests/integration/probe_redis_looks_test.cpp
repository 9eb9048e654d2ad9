// What the redis probe looks at beside PING, on real servers.

#include <doctest/doctest.h>

#include <algorithm>

#include "lab/probe.h"
#include "lab/process.h"
#include "lab/redis.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

Outcome look(const lab::Redis& redis, lab::Settings settings,
             std::chrono::milliseconds timeout = 10s) {
  if (settings.empty() || settings[0].first != "url")
    settings.insert(settings.begin(), {"url", redis.url()});
  return lab::run_probe("redis", settings, timeout);
}

const Measurement* find(const Outcome& seen, const std::string& name) {
  auto found = std::find_if(seen.also.begin(), seen.also.end(),
                            [&](const Measurement& m) { return m.name == name; });
  return found == seen.also.end() ? nullptr : &*found;
}

}  // namespace

TEST_CASE("a Redis on a Unix socket passes by its path, and a missing socket is refused") {
  lab::TempDir dir;
  lab::Redis redis({"--unixsocket", dir / "redis.sock", "--requirepass", "secret"});
  // It listens there a moment after it does on its port.
  REQUIRE(lab::eventually([&] {
    return look(redis, {{"url", "unix://" + (dir / "redis.sock")}}).reason != "refused";
  }));
  CHECK(lab::show(look(redis, {{"url", "unix://:secret@" + (dir / "redis.sock") + "?db=3"}})) ==
        "pass");
  CHECK(look(redis, {{"url", "unix://" + (dir / "redis.sock")}}).reason == "auth");
  CHECK(look(redis, {{"url", "unix://" + (dir / "no.sock")}}).reason == "refused");
  for (std::string bad : {"unix://host/path", "unix:///", "unix:///a?db=x", "unix:///a?x=1"}) {
    CAPTURE(bad);
    CHECK(lab::refusal("redis", {{"url", bad}}) != "");
  }
}

TEST_CASE("memory above its limit fails where nothing is evicted, warns where keys are") {
  lab::Redis redis({"--maxmemory", "100mb", "--maxmemory-policy", "noeviction"});
  Outcome low = look(redis, {{"max_memory_used", "90%"}});
  CHECK(lab::show(low) == "pass");
  CHECK(low.clear_of_fail > 0);
  REQUIRE(find(low, "memory_used") != nullptr);
  CHECK(find(low, "memory_used")->value > 0);
  Outcome full = look(redis, {{"max_memory_used", "0.01%"}});
  CHECK(full.kind == Outcome::Kind::Fail);
  CHECK(full.reason == "memory");
  CHECK_FALSE(full.hard);
  CHECK(full.clear_of_fail < 0);
  redis.cli({"CONFIG", "SET", "maxmemory-policy", "allkeys-lru"});
  CHECK(look(redis, {{"max_memory_used", "0.01%"}}).kind == Outcome::Kind::Warn);
  redis.cli({"CONFIG", "SET", "maxmemory", "0"});
  Outcome unlimited = look(redis, {{"max_memory_used", "0.01%"}});
  CHECK(lab::show(unlimited) == "pass: max_memory_used is not judged: maxmemory is 0");
}

TEST_CASE("a maintenance key fails hard while it exists") {
  lab::Redis redis;
  lab::ProbeRunner probe("redis", {{"url", redis.url()}, {"maintenance_key", "app:maintenance"}});
  CHECK(lab::show(probe.run()) == "pass");
  redis.cli({"SET", "app:maintenance", "1"});
  Outcome seen = probe.run();
  CHECK(seen.reason == "maintenance");
  CHECK(seen.hard);
  redis.cli({"DEL", "app:maintenance"});
  CHECK(lab::show(probe.run()) == "pass");
}

TEST_CASE("a write is made only when its key is given, and expires by itself") {
  lab::Redis redis;
  CHECK(lab::show(look(redis, {{"expect", "writable"}})) == "pass");
  CHECK(redis.cli({"DBSIZE"}) == "0\n");
  CHECK(lab::show(look(redis, {{"expect", "writable"}, {"write_key", "davy:here"}})) == "pass");
  CHECK(redis.cli({"GET", "davy:here"}) == "1\n");
  CHECK(std::stoi(redis.cli({"TTL", "davy:here"})) > 0);
  CHECK(lab::refusal("redis", {{"url", redis.url()}, {"write_key", "k"}}) != "");
}

TEST_CASE("a replica that hears its primary is young, and without it its link is down") {
  lab::Redis primary;
  lab::Redis replica({"--replicaof", "127.0.0.1", std::to_string(primary.port())});
  lab::Settings settings = {{"expect", "replica"}, {"max_replica_age", "30s"}};
  REQUIRE(lab::eventually([&] { return look(replica, settings).kind == Outcome::Kind::Pass; }));
  Outcome well = look(replica, settings);
  CHECK(find(well, "replica_age") != nullptr);
  CHECK(well.clear_of_fail > 0);
  CHECK(look(primary, {{"max_replica_age", "1ms"}}).kind == Outcome::Kind::Pass);
  primary.kill();
  REQUIRE(lab::eventually([&] { return look(replica, settings).reason == "link_down"; }));
  CHECK(look(replica, {}).kind == Outcome::Kind::Pass);  // it goes on serving what it has
  CHECK(lab::refusal("redis",
                     {{"url", primary.url()}, {"expect", "primary"}, {"max_replica_age", "1s"}}) !=
        "");
}

TEST_CASE("a replica whose primary has frozen gets old while its link is up") {
  lab::Redis primary;
  lab::Redis replica({"--replicaof", "127.0.0.1", std::to_string(primary.port())});
  lab::Settings settings = {{"expect", "replica"}, {"max_replica_age", "500ms"}};
  REQUIRE(lab::eventually([&] { return look(replica, settings).kind == Outcome::Kind::Pass; }));
  primary.pause();
  REQUIRE(lab::eventually([&] { return look(replica, settings).reason == "lag"; }));
  primary.resume();
}

TEST_CASE("a cluster that covers all slots passes, one that does not fails softly") {
  lab::Redis node({"--cluster-enabled", "yes", "--cluster-node-timeout", "500", "--cluster-port",
                   std::to_string(lab::free_port())});
  Outcome seen = look(node, {{"cluster", "true"}});
  INFO(lab::show(seen));
  CHECK(seen.reason == "clusterdown");
  CHECK_FALSE(seen.hard);
  node.cli({"CLUSTER", "ADDSLOTSRANGE", "0", "16383"});
  CHECK(lab::eventually([&] { return lab::show(look(node, {{"cluster", "true"}})) == "pass"; }));
  lab::Redis single;
  CHECK(look(single, {{"cluster", "true"}}).reason == "not_a_cluster");
}

TEST_CASE("a user without the right to a look gets a warning with the command's name") {
  lab::Redis redis({"--user", "probe", "on", ">secret", "+ping"});
  for (const auto& row :
       {std::tuple("max_memory_used", "90%", "INFO"), std::tuple("maintenance_key", "k", "EXISTS"),
        std::tuple("cluster", "true", "CLUSTER")}) {
    const auto& [option, value, command] = row;
    CAPTURE(std::get<0>(row));
    Outcome seen = look(redis, {{"url", redis.url("probe:secret")}, {option, value}});
    CHECK(seen.kind == Outcome::Kind::Warn);
    CHECK(seen.reason == "no_permission");
    CHECK(seen.message.find(command) != std::string::npos);
    CHECK(seen.message.find("secret") == std::string::npos);
  }
}
