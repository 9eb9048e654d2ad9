// A run survives SIGKILL, and whatever the disk does.

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "lab/agent.h"
#include "lab/exporter.h"
#include "lab/tmpfs.h"

using namespace davy;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

constexpr const char* kPolicy = "{ min_stage: 1s, warm_up: 0s, latency: off }";

std::string config(const std::string& state_dir, lab::Exporter& v1, lab::Exporter& v2,
                   const std::string& policy = kPolicy) {
  return fmt::format(R"(state_dir: {}
deployments:
  - name: shop
    source: {{ scrape: {{ baseline: ["{}"], canary: ["{}"], every: 200ms }} }}
    requests: {{ counter: http_requests_total, error_when: 'code=~"5.."' }}
    policy: {}
)",
                     state_dir, v1.url(), v2.url(), policy);
}

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream all;
  all << in.rdbuf();
  return all.str();
}

/// Empty while the agent has only just started and knows no deployment yet.
json verdict(lab::Agent& agent) {
  json seen = json::parse(agent.get("/v1/deployments/shop/verdict").body, nullptr, false);
  return seen.is_object() ? seen : json::object();
}

double canary_requests(const std::string& recording) {
  double sum = 0;
  std::istringstream lines(recording);
  for (std::string line; std::getline(lines, line);)
    sum += json::parse(line)["canary"]["requests"].get<double>();
  return sum;
}

}  // namespace

TEST_CASE(
    "a run that was killed three times ends with the verdict of an unbroken one, bit for bit") {
  lab::TempDir dir;
  lab::Exporter v1(1000, 0.003);
  lab::Exporter v2(400, 0.01);
  lab::Agent agent(config(dir.path(), v1, v2));
  for (int i = 0; i < 3; ++i) {
    std::this_thread::sleep_for(1500ms);
    agent.kill();
    agent.start_again();
  }
  CHECK(lab::eventually([&] {  // the log is written a moment later
    return agent.process().output().find("goes on with the saved run") != std::string::npos;
  }));
  CHECK(lab::eventually([&] { return verdict(agent)["verdict"] == "fail"; }, 90s));
  json broken = verdict(agent);
  agent.kill();

  std::string recording = read(dir / "shop.ndjson");
  lab::write_file(dir / "policy.yaml", std::string("policy: ") + kPolicy);
  lab::Finished replayed = lab::run(
      {{DAVY_BINARY, "replay", dir / "shop.ndjson", "--policy", dir / "policy.yaml", "--json"}});
  REQUIRE(replayed.code == 1);
  json unbroken = json::parse(replayed.output);
  for (const std::string key :
       {"verdict", "t", "score", "reason", "rollback", "requests", "metrics"}) {
    CAPTURE(key);
    CHECK(broken[key] == unbroken[key]);
  }
  // Nothing was counted twice, and nothing between two lives was lost: what was recorded is what
  // the exporter gave out since the first scrape, but for rounds that were not saved any more.
  double given = v2.requests() - v2.per_scrape();
  double recorded = canary_requests(recording);
  CHECK(recorded <= given);
  CHECK(recorded >= given - 2 * v2.per_scrape());
}

TEST_CASE(
    "a saved run is gone on with only under the same settings, and a new run begins a recording") {
  lab::TempDir dir;
  lab::Exporter v1(1000, 0.003);
  lab::Exporter v2(400, 0.003);
  lab::Agent agent(config(dir.path(), v1, v2));
  REQUIRE(lab::eventually([&] { return verdict(agent)["requests"]["canary"] > 1000; }));
  REQUIRE(agent.post("/v1/deployments/shop/runs", "{\"revision\": \"v3\"}").status == 202);
  REQUIRE(lab::eventually([&] {
    json seen = verdict(agent);
    return seen["revision"] == "v3" && seen["requests"]["canary"] > 1000;
  }));
  CHECK(std::filesystem::exists(dir / "shop.previous.ndjson"));
  agent.kill();
  agent.start_again();
  // Opened by hand, so the config does not know it: the state does.
  CHECK(lab::eventually([&] { return verdict(agent)["revision"] == "v3"; }));
  CHECK(verdict(agent)["requests"]["canary"] > 1000);

  agent.reload(config(dir.path(), v1, v2, "{ min_stage: 2s, warm_up: 0s, latency: off }"));
  bool is_told = lab::eventually(
      [&] { return agent.process().output().find("settings have changed") != std::string::npos; });
  CAPTURE(agent.process().output());
  CHECK(is_told);
}

TEST_CASE("a damaged state begins a new run at half the level, and says so") {
  lab::TempDir dir;
  lab::Exporter v1(1000, 0.003);
  lab::Exporter v2(400, 0.003);
  lab::Agent agent(config(dir.path(), v1, v2));
  REQUIRE(lab::eventually([&] { return verdict(agent)["requests"]["canary"] > 1000; }));
  agent.kill();
  std::string state = read(dir / "shop.state");
  state[state.size() / 2] ^= 1;
  lab::write_file(dir / "shop.state", state);
  agent.start_again();
  CHECK(lab::eventually([&] {
    return agent.process().output().find("shop.state: is damaged") != std::string::npos;
  }));
  CHECK(lab::eventually([&] {
    return std::abs(verdict(agent)["rollback"]["limit"].get<double>() - std::log(200)) < 1e-9;
  }));
  CHECK(agent.get("/metrics")
            .body.find("davy_run_resumes_total{deployment=\"shop\",result=\"refused\"} 1") !=
        std::string::npos);
}

TEST_CASE("on a full disk the run goes on unsaved, and is saved again when there is room") {
  lab::Tmpfs dir("size=64k");
  if (!dir) return;
  lab::Exporter v1(1000, 0.003);
  lab::Exporter v2(400, 0.003);
  lab::write_file(dir / "ballast", std::string(60 << 10, 'x'));
  lab::Agent agent(config(dir.path(), v1, v2));
  CHECK(lab::eventually([&] {
    return agent.process().output().find("the run cannot be saved") != std::string::npos;
  }));
  CHECK(agent.process().output().find("No space left on device") != std::string::npos);
  CHECK(lab::eventually([&] { return verdict(agent)["requests"]["canary"] > 2000; }));
  CHECK(agent.get("/metrics")
            .body.find("davy_run_saves_total{deployment=\"shop\",result=\"failed\"}") !=
        std::string::npos);
  std::filesystem::remove(dir / "ballast");
  CHECK(lab::eventually([&] {
    return agent.process().output().find("the run is saved again") != std::string::npos;
  }));
  // Nothing of the recording is missing, nothing stands there twice.
  agent.kill();
  std::string recording = read(dir / "shop.ndjson");
  double before = 0;
  std::istringstream lines(recording);
  for (std::string line; std::getline(lines, line);) {
    json block = json::parse(line);
    if (before > 0)
      CHECK(block["t"].get<double>() - block["dt"].get<double>() ==
            doctest::Approx(before).epsilon(0.05));
    before = block["t"];
  }
  CHECK(before > 0);
}
