// Sidekiq's keys as versions 7 and 8 write them, in a real Redis.

#include <doctest/doctest.h>

#include <fmt/format.h>

#include <algorithm>

#include "davy/time.h"
#include "lab/probe.h"
#include "lab/process.h"
#include "lab/redis.h"

using namespace davy;

namespace {

/// What a running Sidekiq leaves in Redis.
struct World {
  explicit World(std::string its_prefix = "") : prefix(std::move(its_prefix)) {
    beat(0);
    queue("default");
  }
  static double now() { return static_cast<double>(machine_clock().wall()) / 1000; }
  void queue(const std::string& name) { redis.cli({"SADD", prefix + "queues", name}); }
  /// The head is the newest, as LPUSH makes it; Sidekiq works from the other end.
  void enqueue(const std::string& name, const std::string& stamps) {
    redis.cli({"LPUSH", prefix + "queue:" + name,
               R"({"class":"Mail","args":[{"enqueued_at":1}],"jid":"b4a577edbccf1d805744efa9")" +
                   stamps + "}"});
  }
  void beat(double age, bool is_quiet = false, const std::string& identity = "web:7:ab") {
    redis.cli({"SADD", prefix + "processes", identity});
    redis.cli({"HSET", prefix + identity, "info", "{}", "busy", "0", "beat",
               fmt::format("{:.6f}", now() - age), "quiet", is_quiet ? "true" : "false"});
  }
  Outcome look(lab::Settings settings = {}) const {
    settings.insert(settings.begin(), {"url", redis.url()});
    return lab::run_probe("sidekiq", settings);
  }

  lab::Redis redis;
  std::string prefix;
};

double also(const Outcome& seen, const std::string& name) {
  auto found = std::find_if(seen.also.begin(), seen.also.end(),
                            [&](const Measurement& m) { return m.name == name; });
  return found == seen.also.end() ? -1 : found->value;
}

std::string millis(double age) {
  return fmt::format(R"(,"enqueued_at":{:.0f},"created_at":1)", (World::now() - age) * 1000);
}
std::string fraction(double age) {
  return fmt::format(R"(,"created_at":1.5,"enqueued_at":{:.4f})", World::now() - age);
}

}  // namespace

TEST_CASE("an empty queue of a living Sidekiq passes with latency 0") {
  World world;
  Outcome seen = world.look({{"queues", "default"}});
  CHECK(lab::show(seen) == "pass");
  CHECK(seen.unit == "s");
  CHECK(also(seen, "default.latency") == 0);
  CHECK(also(seen, "processes") == 1);
  CHECK(also(seen, "retry") == 0);
}

TEST_CASE("the oldest job's age is read in milliseconds and in seconds by its type") {
  World world;
  for (const std::string& stamp :
       {millis(600), fraction(600), fmt::format(R"(,"created_at":{:.4f})", World::now() - 600)}) {
    CAPTURE(stamp);
    world.redis.cli({"DEL", "queue:default"});
    world.enqueue("default", stamp);
    world.enqueue("default", millis(1));  // a newer one does not hide it
    Outcome seen = world.look({{"max_latency", "5m"}});
    CHECK(seen.kind == Outcome::Kind::Fail);
    CHECK(seen.reason == "latency");
    CHECK_FALSE(seen.hard);
    CHECK(seen.value >= 600);
    CHECK(seen.value < 900);
    CHECK(seen.clear_of_fail < 0);
    CHECK(world.look({{"max_latency", "1h"}}).kind == Outcome::Kind::Pass);
  }
}

TEST_CASE("a job from the future has waited for nothing") {
  World world;
  world.enqueue("default", millis(-3600));
  Outcome seen = world.look();
  CHECK(lab::show(seen) == "pass");
  CHECK(also(seen, "default.latency") == 0);
}

TEST_CASE("a job without a time or that is no JSON is told as such") {
  World world;
  world.enqueue("default", "");
  CHECK(world.look().reason == "protocol");
  world.redis.cli({"DEL", "queue:default"});
  world.redis.cli({"LPUSH", "queue:default", std::string(5000, '[')});
  CHECK(world.look().reason == "protocol");
}

TEST_CASE("a misspelt queue fails hard and the existing ones are named") {
  World world;
  Outcome seen = world.look({{"queues", "defualt"}});
  CHECK(seen.reason == "unknown_queue");
  CHECK(seen.hard);
  CHECK(seen.message.find("there are: default") != std::string::npos);
}

TEST_CASE("a queue that Sidekiq has cleared is still known to a check that saw it") {
  World world;
  lab::ProbeRunner probe("sidekiq", {{"url", world.redis.url()}, {"queues", "default"}});
  CHECK(probe.run().kind == Outcome::Kind::Pass);
  world.redis.cli({"SREM", "queues", "default"});
  CHECK(lab::show(probe.run()) == "pass");
}

TEST_CASE("a paused queue warns and its latency fails nothing") {
  World world;
  world.enqueue("default", millis(6000));
  world.redis.cli({"SADD", "paused", "default"});
  Outcome seen = world.look();
  CHECK(seen.kind == Outcome::Kind::Warn);
  CHECK(seen.reason == "paused");
  CHECK(also(seen, "default.latency") > 5000);
}

TEST_CASE("without a process with a fresh heartbeat Sidekiq is down") {
  World world;
  world.beat(90);
  Outcome stuck = world.look();
  CHECK(stuck.kind == Outcome::Kind::Fail);
  CHECK(stuck.reason == "no_process");
  CHECK(world.look({{"max_beat_age", "10m"}}).kind == Outcome::Kind::Pass);
  world.redis.cli({"DEL", "web:7:ab"});  // as after 60 s without a beat
  CHECK(world.look().reason == "no_process");
  world.beat(1, true, "web:8:cd");
  Outcome quiet = world.look();
  CHECK(quiet.kind == Outcome::Kind::Warn);
  CHECK(quiet.reason == "quiet");
}

TEST_CASE("scheduled jobs that nobody enqueues warn, and retries and dead ones are counted") {
  World world;
  world.redis.cli({"ZADD", "schedule", fmt::format("{:.3f}", World::now() - 4000), "{}"});
  world.redis.cli({"ZADD", "dead", "1", "a", "2", "b"});
  Outcome seen = world.look();
  CHECK(seen.kind == Outcome::Kind::Warn);
  CHECK(seen.reason == "overdue");
  CHECK(also(seen, "dead") == 2);
}

TEST_CASE("keys with a prefix are found by their namespace") {
  World world("shop:");
  CHECK(lab::show(world.look({{"namespace", "shop"}, {"queues", "default"}})) == "pass");
  CHECK(world.look().reason == "no_process");
}

TEST_CASE("a Redis that is down fails the check of Sidekiq as refused") {
  lab::Redis redis;
  redis.kill();
  CHECK(lab::run_probe("sidekiq", {{"url", redis.url()}}).reason == "refused");
}
