// The agent's health answers while what it checks really breaks.

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "lab/agent.h"
#include "lab/postgres.h"
#include "lab/redis.h"
#include "lab/server.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

/// Checks that are quick to change their minds: at most 1 s to fail (2 x 200 ms + 400 ms), and less
/// to recover.
std::string quick(const std::string& name, const std::string& probe,
                  const std::string& roles = "readiness, deploy") {
  return fmt::format(
      "  - {{ name: {}, {}, roles: [{}], period: 500ms, timeout: 400ms, failure_threshold: 2 }}\n",
      name, probe, roles);
}

/// Answers within a prober's patience of 50 ms, out of `n` asked.
int answered_at_once(lab::Agent& agent, const std::string& path, int n) {
  int answered = 0;
  for (int i = 0; i < n; ++i) answered += agent.health(path, 50ms).status != 0 ? 1 : 0;
  return answered;
}

}  // namespace

TEST_CASE(
    "health is answered at once while PostgreSQL is frozen and Redis is dead, and follows them "
    "back") {
  lab::Postgres& postgres = lab::Postgres::shared();
  lab::Redis redis;
  lab::Server app(lab::http(200, "ok"));
  lab::Agent agent("checks:\n" +
                   quick("db", fmt::format("postgres: {{ dsn: \"{}\" }}", postgres.dsn())) +
                   quick("cache", fmt::format("redis: {{ url: \"{}\" }}", redis.url())) +
                   quick("app", fmt::format("http: {{ url: \"{}\" }}", app.url()), "liveness"));
  REQUIRE(lab::eventually([&] { return agent.health("/readyz").status == 200; }));
  CHECK(agent.health("/deployz").status == 200);

  postgres.pause();
  redis.kill();
  // A busy machine may cost a prober one of its 50 ms, not more.
  CHECK(answered_at_once(agent, "/livez", 100) >= 98);
  CHECK(answered_at_once(agent, "/readyz", 100) >= 98);
  CHECK(lab::eventually([&] {
    return agent.health("/readyz/db").status == 503 && agent.health("/readyz/cache").status == 503;
  }));
  INFO(agent.get("/readyz?verbose").body << agent.process().stderr_text());
  CHECK(agent.health("/readyz").status == 503);
  CHECK(agent.health("/readyz?verbose").body.find("[-]db failed") != std::string::npos);
  CHECK(agent.health("/livez").status == 200);
  CHECK(answered_at_once(agent, "/readyz", 100) >= 98);

  postgres.resume();
  redis.start();
  CHECK(lab::eventually([&] { return agent.health("/readyz").status == 200; }));
}

TEST_CASE("details are for the API listener, not for the open one") {
  lab::Agent agent("checks:\n" + quick("cache", "redis: { url: \"redis://127.0.0.1:1/0\" }"));
  REQUIRE(lab::eventually([&] {
    return agent.health("/readyz?verbose").body.find("[-]cache failed") != std::string::npos;
  }));
  CHECK(agent.health("/readyz?verbose").body.find("127.0.0.1:1") == std::string::npos);
  CHECK(agent.get("/readyz?verbose").body.find("127.0.0.1:1") != std::string::npos);
}

TEST_CASE("health speaks plain text, JSON and health+json, and refuses other methods") {
  lab::Server app(lab::http(200, "ok"));
  lab::Agent agent("checks:\n" + quick("app", fmt::format("http: {{ url: \"{}\" }}", app.url()),
                                       "liveness, readiness"));
  REQUIRE(lab::eventually([&] { return agent.health("/readyz").status == 200; }));
  CHECK(agent.health("/readyz").body == "ok\n");
  CHECK(agent.health("/readyz?verbose").body == "[+]app ok\nok\n");
  CHECK(agent.health("/readyz?exclude=nothing").body.find("no check \"nothing\"") !=
        std::string::npos);
  CHECK(agent.get("/readyz", 5s, "application/json").body.find("\"status\": \"pass\"") !=
        std::string::npos);
  CHECK(agent.health("/readyz/app").status == 200);
  CHECK(agent.health("/readyz/other").status == 404);
  CHECK(agent.health("/nowhere").status == 404);
  CHECK(agent.health("/startupz").status == 200);
  CHECK(agent.health("/healthz").status == 200);
  CHECK(agent.health("/v1/deployments").status == 404);
  CHECK(agent.post("/readyz", "").status == 405);
  CHECK(agent.get("/metrics").body.find("davy_check_status{check=\"app\",status=\"pass\"} 1") !=
        std::string::npos);
}

TEST_CASE("SIGTERM is answered with not-ready at once, then with exit code 0") {
  lab::Server app(lab::http(200, "ok"));
  lab::Agent agent(
      "drain_delay: 1500ms\nchecks:\n" +
      quick("app", fmt::format("http: {{ url: \"{}\" }}", app.url()), "liveness, readiness"));
  REQUIRE(lab::eventually([&] { return agent.health("/readyz").status == 200; }));
  agent.process().signal(SIGTERM);
  CHECK(lab::eventually([&] { return agent.health("/readyz").status == 503; }, 1s));
  CHECK(agent.health("/readyz").body == "fail: draining\n");
  CHECK(agent.health("/livez").status == 200);
  CHECK(agent.process().wait() == 0);
}

TEST_CASE("SIGTERM ends the agent while a probe hangs for ever") {
  lab::Server mute(lab::mute());
  lab::Agent agent("drain_delay: 0s\nchecks:\n  - { name: app, http: { url: \"" + mute.url() +
                   "\" }, period: 60s, timeout: 60s }\n");
  REQUIRE(lab::eventually([&] { return mute.connections() > 0; }));
  agent.process().signal(SIGTERM);
  CHECK(agent.process().wait() == 0);
}

TEST_CASE("a reload with a broken file changes nothing, one with a good file does") {
  lab::Server app(lab::http(200, "ok"));
  std::string check = quick("app", fmt::format("http: {{ url: \"{}\" }}", app.url()));
  lab::Agent agent("checks:\n" + check);
  REQUIRE(lab::eventually([&] { return agent.health("/readyz").status == 200; }));
  agent.reload("checks:\n  - { name: app, htp: {} }\n");
  REQUIRE(lab::eventually(
      [&] { return agent.process().stderr_text().find("reload refused") != std::string::npos; }));
  CHECK(agent.process().stderr_text().find("davy.yaml:4") != std::string::npos);
  CHECK(agent.health("/readyz").status == 200);
  CHECK(agent.get("/metrics").body.find("davy_config_reloads_total{result=\"refused\"} 1") !=
        std::string::npos);
  agent.reload("checks:\n" + check + quick("gone", "tcp: { address: \"127.0.0.1:1\" }"));
  CHECK(lab::eventually([&] { return agent.health("/readyz/gone").status == 503; }));
  CHECK(agent.health("/readyz/app").status == 200);  // kept its state: it was not asked anew
}

TEST_CASE("a hung check is a failing check and is never started twice") {
  lab::Server mute(lab::mute());
  lab::Agent agent("checks:\n" + quick("app", fmt::format("http: {{ url: \"{}\" }}", mute.url())));
  CHECK(lab::eventually([&] {
    return agent.health("/readyz?verbose").body.find("[-]app failed") != std::string::npos;
  }));
  CHECK(agent.health("/readyz?verbose").body.find("timeout") != std::string::npos);
}

TEST_CASE("a taken port is said and ends the agent with 3") {
  lab::Server other(lab::mute());
  lab::TempDir dir;
  lab::write_file(dir / "davy.yaml",
                  fmt::format("service: x\nlisten: {{ health: \"{}\", api: \"127.0.0.1:0\" "
                              "}}\nchecks: [{{ name: d, disk: {{ path: / }} }}]\n",
                              other.address()));
  lab::Finished ended = lab::davy({"agent", "--config", dir / "davy.yaml"});
  CHECK(ended.code == 3);
  CHECK(ended.output.find("Address already in use") != std::string::npos);
}

TEST_CASE(
    "until startup has passed nothing is ready, from the first answer on, and nothing restarts") {
  lab::Server mute(lab::mute());
  lab::Agent agent("checks:\n" +
                   quick("boot", fmt::format("http: {{ url: \"{}\" }}", mute.url()), "startup") +
                   quick("root", "disk: { path: / }"));
  for (int i = 0; i < 20; ++i) {
    CHECK(agent.health("/startupz").status == 503);
    CHECK(agent.health("/readyz").status == 503);
    CHECK(agent.health("/livez").status == 200);
  }
  CHECK(agent.health("/readyz?exclude=root").status == 503);
}

TEST_CASE("a request for a thousand ranges gets the page once") {
  lab::Server app(lab::http(200, "ok"));
  lab::Agent agent("checks:\n" + quick("app", fmt::format("http: {{ url: \"{}\" }}", app.url())));
  std::string ranges = "Range: bytes=0-0";
  for (int i = 0; i < 500; ++i) ranges += ",0-";
  lab::Finished page = lab::run({{"curl", "-s", "-H", ranges, agent.api_url() + "/metrics"}});
  CHECK(page.output.size() < 100'000);
  CHECK(page.output.starts_with("# HELP davy_"));
}

TEST_CASE("no thread of the agent takes a signal that main may not be waiting for yet") {
  lab::Agent agent("checks:\n" + quick("marker", "migration_marker: { path: /nonexistent }"));
  std::string tasks = fmt::format("/proc/{}/task", agent.process().pid());
  int threads = 0;
  for (const auto& task : std::filesystem::directory_iterator(tasks)) {
    std::ifstream status(task.path() / "status");
    std::string line;
    while (std::getline(status, line) && !line.starts_with("SigBlk:")) {
    }
    REQUIRE(line.starts_with("SigBlk:"));
    std::uint64_t blocked = std::stoull(line.substr(7), nullptr, 16);
    for (int signal : {SIGTERM, SIGINT, SIGHUP}) {
      CAPTURE(signal);
      // Main itself waits in sigwait, which takes them out of its mask meanwhile.
      bool is_main = task.path().filename() == std::to_string(agent.process().pid());
      CHECK((is_main || (blocked >> (signal - 1) & 1) == 1));
    }
    ++threads;
  }
  CHECK(threads > 3);
}
