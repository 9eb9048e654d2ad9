// Three sidecars and a judge over a real Redis, each of them killed in turn. Fault group
// "exchange".
//
// What is shown is totals: an exporter knows how many requests it has told of, the judge how many
// it has judged, and the two are equal in the end, not one more and not one less. Every sidecar has
// begun to count before there is traffic, so that there is no first scrape to leave out.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>
#include <csignal>
#include <memory>
#include <nlohmann/json.hpp>

#include "lab/agent.h"
#include "lab/exporter.h"
#include "lab/redis.h"
#include "lab/wall_clock.h"

using namespace davy;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

constexpr std::size_t kSidecars = 3;
constexpr const char* kVersions[kSidecars] = {"v1", "v1", "v2"};

/// Servers that take Redis' commands, as far as they are installed.
std::vector<std::string> programs() {
  std::vector<std::string> all = {"redis-server"};
  if (lab::is_installed("valkey-server")) {
    all.emplace_back("valkey-server");
  } else {
    MESSAGE("skipped for Valkey: there is no valkey-server (Debian 12 has no such package)");
  }
  return all;
}

struct Fleet {
  explicit Fleet(lab::Redis& redis, std::vector<std::string> prefix_of_last = {},
                 const std::string& patience = "30s")
      : judge(judge_config(redis, patience)) {
    for (std::size_t i = 0; i < kSidecars; ++i) {
      exporters[i] = std::make_unique<lab::Exporter>(0, 0);
      sidecars[i] = std::make_unique<lab::Agent>(
          sidecar_config(i, redis),
          i + 1 == kSidecars ? prefix_of_last : std::vector<std::string>());
    }
  }

  std::string judge_config(const lab::Redis& redis, const std::string& patience) const {
    return fmt::format(R"(state_dir: {}
deployments:
  - name: shop
    source: {{ redis_exchange: {{ url: "{}", baseline: v1, canary: v2, every: 500ms, patience: {} }} }}
    policy: {{ min_stage: 1s, warm_up: 0s, latency: off }}
)",
                       judge_dir.path(), redis.url(), patience);
  }
  std::string sidecar_config(std::size_t i, const lab::Redis& redis) const {
    return fmt::format(R"(state_dir: {}
publish:
  - deployment: shop
    version: {}
    instance: web-{}
    source: {{ scrape: {{ targets: "{}", every: 250ms }} }}
    requests: {{ counter: http_requests_total, error_when: 'code=~"5.."' }}
    to: {{ redis_exchange: {{ url: "{}" }} }}
)",
                       dirs[i].path(), kVersions[i], i, exporters[i]->url(), redis.url());
  }

  json deployment() {
    json seen = json::parse(judge.get("/v1/deployments/shop").body, nullptr, false);
    return seen.is_object() ? seen : json::object();
  }
  json verdict() {
    json seen = json::parse(judge.get("/v1/deployments/shop/verdict").body, nullptr, false);
    return seen.is_object() ? seen : json::object();
  }
  double judged(const std::string& version) {
    json seen = verdict();
    return seen.contains("requests") ? seen["requests"][version].get<double>() : -1;
  }
  double served(const std::string& version) {
    double sum = 0;
    for (std::size_t i = 0; i < kSidecars; ++i) {
      if (version == (kVersions[i] == std::string("v1") ? "baseline" : "canary"))
        sum += exporters[i]->requests();
    }
    return sum;
  }

  /// Of what befell the judge's source since it was started.
  double event_count(const std::string& event) {
    std::string metrics = judge.get("/metrics").body;
    std::string series =
        fmt::format("davy_source_events_total{{deployment=\"shop\",event=\"{}\"}} ", event);
    std::size_t at = metrics.find(series);
    return at == std::string::npos ? 0 : std::stod(metrics.substr(at + series.size()));
  }

  /// Every sidecar has begun, and the judge knows.
  bool all_are_there() {
    return lab::eventually([&] {
      return deployment().value("source", "").find("2 baseline and 1 canary") != std::string::npos;
    });
  }
  void set_traffic(double per_scrape, double baseline_errors, double canary_errors) {
    for (std::size_t i = 0; i < kSidecars; ++i)
      exporters[i]->set(per_scrape,
                        kVersions[i] == std::string("v1") ? baseline_errors : canary_errors);
  }
  /// Some more of what is being served has been judged.
  bool goes_on() {
    double before = judged("canary");
    return lab::eventually([&] { return judged("canary") >= before + 1000; });
  }
  std::string logs() {
    std::string all = "judge:\n" + judge.process().output();
    for (std::size_t i = 0; i < kSidecars; ++i)
      all += fmt::format("web-{}:\n{}", i, sidecars[i]->process().output());
    return all;
  }

  /// Traffic ends; then all that was served has been judged, and not one request more.
  void check_totals() {
    set_traffic(0, 0, 0);
    bool are_equal = lab::eventually(
        [&] {
          return judged("baseline") == served("baseline") && judged("canary") == served("canary");
        },
        60s);
    // What is judged later has no more requests in it.
    double blocks = event_count("merged_blocks");
    CHECK(lab::eventually([&] { return event_count("merged_blocks") >= blocks + 12; }));
    INFO(logs());
    CHECK(are_equal);
    CHECK(judged("baseline") == served("baseline"));
    CHECK(judged("canary") == served("canary"));
    for (const char* event : {"late_blocks", "lost_blocks", "instance_lost", "unjudged_blocks"}) {
      CAPTURE(event);
      CHECK(event_count(event) == 0);
    }
  }

  std::array<lab::TempDir, kSidecars> dirs;
  lab::TempDir judge_dir;
  std::array<std::unique_ptr<lab::Exporter>, kSidecars> exporters;
  std::array<std::unique_ptr<lab::Agent>, kSidecars> sidecars;
  lab::Agent judge;
};

}  // namespace

TEST_CASE(
    "sidecar, judge and Redis are killed in turn: a verdict, and not a request more or less") {
  for (const std::string& program : programs()) {
    // Nothing on disk, all on disk, and what there was some time ago.
    for (const std::string persistence : {"none", "appendonly", "old snapshot"}) {
      CAPTURE(program);
      CAPTURE(persistence);
      std::vector<std::string> arguments;
      if (persistence == "appendonly") arguments = {"--appendonly", "yes"};
      lab::Redis redis(arguments, program);
      Fleet fleet(redis);
      REQUIRE(fleet.all_are_there());
      fleet.set_traffic(1000, 0.003, 0.003);
      REQUIRE(fleet.goes_on());

      fleet.sidecars[1]->kill();
      CHECK(fleet.exporters[1]->requests() > 0);
      fleet.sidecars[1]->start_again();
      CHECK(fleet.goes_on());
      fleet.judge.kill();
      fleet.judge.start_again();
      CHECK(fleet.goes_on());
      if (persistence == "old snapshot") redis.cli({"SAVE"});
      CHECK(fleet.goes_on());
      redis.kill();
      double before = fleet.served("canary");
      CHECK(lab::eventually([&] { return fleet.served("canary") > before + 5000; }));
      redis.start();
      CHECK(fleet.goes_on());
      // All of them, at the worst time.
      redis.kill();
      fleet.judge.kill();
      for (auto& sidecar : fleet.sidecars) sidecar->kill();
      redis.start();
      for (auto& sidecar : fleet.sidecars) sidecar->start_again();
      fleet.judge.start_again();
      CHECK(fleet.goes_on());
      if (persistence == "none") {
        bool has_verdict =
            lab::eventually([&] { return fleet.verdict().value("verdict", "") == "pass"; }, 60s);
        CHECK(has_verdict);
      }
      fleet.check_totals();
    }
  }
}

TEST_CASE("a canary with more errors is rolled back by what its sidecar published") {
  lab::Redis redis;
  Fleet fleet(redis);
  REQUIRE(fleet.all_are_there());
  fleet.set_traffic(1000, 0.003, 0.03);
  bool has_failed =
      lab::eventually([&] { return fleet.verdict().value("verdict", "") == "fail"; }, 90s);
  INFO(fleet.logs());
  CHECK(has_failed);
}

TEST_CASE("a sidecar whose clock is an hour ahead changes nothing") {
  lab::WallClock wall("+3600");
  if (std::string why = wall.trouble(); !why.empty()) {
    MESSAGE("skipped: the wall clock cannot be moved here: " << why);
    return;
  }
  lab::Redis redis;
  Fleet fleet(redis, wall.prefix());
  REQUIRE(fleet.all_are_there());
  fleet.set_traffic(1000, 0.003, 0.003);
  REQUIRE(fleet.goes_on());
  wall.move("-3600");
  REQUIRE(fleet.goes_on());
  fleet.check_totals();
  CHECK(fleet.event_count("clock_skew") == 0);
}

TEST_CASE("a sidecar that is gone for good is told as lost, one that is stopped is not") {
  lab::Redis redis;
  Fleet fleet(redis, {}, "5s");
  REQUIRE(fleet.all_are_there());
  fleet.set_traffic(100, 0.003, 0.003);
  REQUIRE(fleet.goes_on());
  // It says that it leaves.
  fleet.sidecars[1]->process().signal(SIGTERM);
  REQUIRE(fleet.sidecars[1]->process().wait() == 0);
  CHECK(lab::eventually([&] {
    return fleet.deployment().value("source", "").find("1 baseline and 1 canary") !=
           std::string::npos;
  }));
  CHECK(fleet.goes_on());
  CHECK(fleet.deployment().value("trouble", "") == "");

  fleet.sidecars[2]->kill();
  bool is_told = lab::eventually(
      [&] {
        return fleet.deployment()
                   .value("trouble", "")
                   .find(
                       "canary web-2: lost, it has said "
                       "nothing for") != std::string::npos;
      },
      60s);
  INFO(fleet.deployment().dump());
  CHECK(is_told);
  CHECK(fleet.verdict().value("verdict", "") == "error");
  CHECK(fleet.event_count("instance_lost") == 1);
}
