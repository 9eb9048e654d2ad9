// The sidecar's own life: killed, restarted, reloaded, stopped while a probe hangs.
// Fault group "sidecar life".

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "lab/agent.h"
#include "lab/server.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

std::string http_check(const std::string& url, const std::string& more = "") {
  return fmt::format(
      "  - {{ name: app, http: {{ url: \"{}\" }}, roles: [startup, readiness, deploy], period: 1s, "
      "timeout: 900ms{} }}\n",
      url, more);
}

/// Passes at first; silent from the moment that it is told to be.
struct Moody {
  std::atomic<bool> is_silent = false;
  lab::Server server{[this](const lab::Connection& connection) {
    if (is_silent) return connection.hang();
    lab::http(200, "ok")(connection);
  }};
};

struct Bench {
  lab::TempDir state;
  Moody app;

  std::string config(const std::string& max_age = "60s") const {
    return fmt::format("state_dir: \"{}\"\nrestore_max_age: {}\ndrain_delay: 100ms\nchecks:\n{}",
                       state.path(), max_age, http_check(app.server.url()));
  }
  std::string file() const { return state / "checks.state"; }
  /// Until the pass is on disk.
  void wait_until_saved(lab::Agent& agent) const {
    REQUIRE(lab::eventually([&] { return agent.health("/readyz").status == 200; }));
    // The first may have been made before there was a result.
    REQUIRE(lab::eventually([&] {
      constexpr std::string_view kSaves = "davy_check_states_saves_total{result=\"ok\"} ";
      std::string metrics = agent.get("/metrics").body;
      std::size_t at = metrics.find(kSaves);
      return at != std::string::npos && std::stoi(metrics.substr(at + kSaves.size())) >= 2;
    }));
    REQUIRE(std::filesystem::file_size(file()) > 100);
  }
};

}  // namespace

TEST_CASE("a sidecar that is killed and started again is ready at once, and says how it knows") {
  Bench b;
  lab::Agent agent(b.config());
  b.wait_until_saved(agent);
  agent.kill();
  b.app.is_silent = true;  // nothing new can be learnt for a while
  agent.start_again();
  CHECK(lab::eventually([&] { return agent.health("/readyz").status == 200; }, 600ms));
  CHECK(agent.health("/readyz?verbose").body.find("(restored)") != std::string::npos);
  CHECK(agent.health("/deployz").status == 503);  // proves nothing to a release
  CHECK(agent.health("/startupz").status == 200);
  CHECK(lab::eventually([&] { return agent.health("/readyz").status == 503; }));
  CHECK(agent.health("/startupz").status == 200);
}

TEST_CASE("what is older than restore_max_age is not taken up") {
  Bench b;
  lab::Agent agent(b.config());
  b.wait_until_saved(agent);
  agent.kill();
  b.app.is_silent = true;
  agent.configure(b.config("1ms"));
  agent.start_again();
  CHECK(agent.health("/readyz").status == 503);
  CHECK(agent.health("/startupz").status == 503);
}

TEST_CASE("a check whose settings changed in the meantime starts as not known") {
  Bench b;
  lab::Agent agent(b.config());
  b.wait_until_saved(agent);
  agent.kill();
  lab::Server other(lab::mute());
  std::string config = b.config();
  config.replace(config.find(b.app.server.url()), b.app.server.url().size(), other.url());
  agent.configure(config);
  agent.start_again();
  CHECK(agent.health("/readyz").status == 503);
}

TEST_CASE("a damaged state file is refused, said, and replaced by the next one") {
  Bench b;
  lab::Agent agent(b.config());
  b.wait_until_saved(agent);
  agent.kill();
  std::fstream file(b.file(), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(80);
  file.put('\xff').put('\xff');
  file.close();
  agent.start_again();
  CHECK(agent.process().stderr_text().find("is damaged") != std::string::npos);
  CHECK(agent.get("/metrics").body.find("davy_check_states_restored_total{result=\"refused\"} 1") !=
        std::string::npos);
  b.wait_until_saved(agent);
  agent.kill();
  agent.start_again();
  CHECK(agent.process().stderr_text().find("is damaged") == std::string::npos);
}

TEST_CASE("two sidecars on one state_dir: the second says so and keeps nothing there") {
  Bench b;
  lab::Agent first(b.config());
  b.wait_until_saved(first);
  lab::Agent second(b.config());
  CHECK(second.process().stderr_text().find("another davy keeps its own there") !=
        std::string::npos);
  CHECK(lab::eventually([&] { return second.health("/readyz").status == 200; }));
  first.kill();
  second.kill();
  second.start_again();  // the lock went with its owner
  CHECK(second.process().stderr_text().find("another davy") == std::string::npos);
}

TEST_CASE("a state_dir that cannot be written to is said once, counted, and changes nothing else") {
  Moody app;
  lab::Agent agent("state_dir: /proc/no-such-place\ndrain_delay: 100ms\nchecks:\n" +
                   http_check(app.server.url()));
  CHECK(lab::eventually([&] { return agent.health("/readyz").status == 200; }));
  CHECK(agent.process().stderr_text().find("check states are not kept over a restart") !=
        std::string::npos);
  CHECK(agent.get("/metrics").body.find("davy_check_states_saves_total{result=\"failed\"} 1") !=
        std::string::npos);
}

TEST_CASE("a reload that drops or renames a check while it runs leaves nothing of it behind") {
  Moody app;
  app.is_silent = true;
  lab::Agent agent("drain_delay: 100ms\nchecks:\n" + http_check(app.server.url()));
  REQUIRE(lab::eventually([&] { return app.server.connections() > 0; }));
  std::string renamed = http_check(app.server.url());
  renamed.replace(renamed.find("name: app"), 9, "name: web");
  agent.reload("drain_delay: 100ms\nchecks:\n" + renamed);
  REQUIRE(lab::eventually([&] { return agent.get("/v1/checks/web").status == 200; }));
  CHECK(agent.get("/v1/checks/app").status == 404);
  app.is_silent = false;
  CHECK(lab::eventually([&] { return agent.health("/readyz").status == 200; }));
}

TEST_CASE("SIGTERM while a probe hangs ends the sidecar within its grace, with 0") {
  Moody app;
  app.is_silent = true;
  lab::Agent agent("drain_delay: 100ms\nchecks:\n" +
                   http_check(app.server.url(), ", initial_delay: 0s"));
  REQUIRE(lab::eventually([&] { return app.server.connections() > 0; }));
  agent.process().signal(SIGTERM);
  CHECK(agent.process().wait(20s) == 0);
}

TEST_CASE("as process 1 of a container it leaves no zombies of others") {
  std::vector<std::string> apart = {"unshare", "--fork", "--pid", "--mount-proc", "--kill-child"};
  std::vector<std::string> trial = apart;
  trial.push_back("true");
  if (lab::Finished tried = lab::run({trial}); tried.code != 0) {
    MESSAGE("skipped: a pid namespace of one's own needs root, on a root that is a mount: "
            << tried.output);
    return;
  }
  Moody app;
  lab::Agent agent("drain_delay: 100ms\nchecks:\n" + http_check(app.server.url()), apart);
  std::string children = fmt::format("/proc/{0}/task/{0}/children", agent.process().pid());
  std::string first;
  std::ifstream(children) >> first;
  REQUIRE_FALSE(first.empty());
  // Its parent ends at once, so it becomes the agent's, and then ends itself.
  for (int i = 0; i < 20; ++i)
    lab::run({{"nsenter", "-t", first, "-p", "-m", "sh", "-c", "sleep 0.01 & exit 0"}});
  auto zombies = [&] {
    lab::Finished seen = lab::run({{"nsenter", "-t", first, "-p", "-m", "ps", "-eo", "stat="}});
    return std::count(seen.output.begin(), seen.output.end(), 'Z');
  };
  CHECK(lab::eventually([&] { return zombies() == 0; }));
  CHECK(agent.health("/livez").status == 200);
}

TEST_CASE("another process in the app's place starts up anew before traffic comes") {
  lab::TempDir dir;
  Moody app;
  auto process = std::make_unique<lab::Process>(lab::Command{{"sleep", "1000"}});
  lab::write_file(dir / "pid", std::to_string(process->pid()) + "\n");
  lab::Agent agent(fmt::format(
      "checks:\n  - {{ name: process, process: {{ pidfile: \"{}\" }}, roles: [liveness], "
      "period: 300ms }}\n{}",
      dir / "pid", http_check(app.server.url())));
  REQUIRE(lab::eventually([&] {
    return agent.health("/startupz").status == 200 &&
           agent.get("/v1/checks/process").body.find("\"instance\": \"pid") != std::string::npos;
  }));
  app.is_silent = true;  // the next one takes its time
  process->kill();
  process = std::make_unique<lab::Process>(lab::Command{{"sleep", "1000"}});
  lab::write_file(dir / "pid", std::to_string(process->pid()) + "\n");
  CHECK(lab::eventually([&] { return agent.health("/startupz").status == 503; }));
  CHECK(agent.health("/readyz").status == 503);
  CHECK(agent.health("/livez").status == 200);
  app.is_silent = false;
  CHECK(lab::eventually([&] { return agent.health("/readyz").status == 200; }));
}

TEST_CASE("restarts that do not help are not asked for without end") {
  lab::Server app(lab::http(500, ""));
  lab::Agent agent(
      "liveness_budget: { restarts: 1, within: 10m }\nchecks:\n"
      "  - { name: app, http: { url: \"" +
      app.url() +
      "\" }, roles: [liveness], period: 200ms, "
      "failure_threshold: 1 }\n");
  REQUIRE(lab::eventually([&] { return agent.health("/livez").status == 503; }));
  agent.reload(
      "liveness_budget: { restarts: 1, within: 10m }\nchecks:\n"
      "  - { name: app, http: { url: \"" +
      app.url() +
      "\" }, roles: [liveness], period: 300ms, "
      "failure_threshold: 1 }\n");  // lives again as unknown, and fails again
  CHECK(lab::eventually([&] {
    return agent.health("/livez").body == "ok; liveness suppressed: restarts do not help (app)\n";
  }));
  CHECK(agent.get("/metrics").body.find("davy_liveness_suppressed 1") != std::string::npos);
}

TEST_CASE("an application reports in, and is missed when it stops") {
  lab::Agent agent(
      "checks:\n  - { name: queue, heartbeat: { ttl: 700ms }, period: 200ms, "
      "failure_threshold: 1 }\n");
  CHECK(agent.post("/v1/checks/queue/heartbeat", "{\"status\": \"nonsense\"}").status == 400);
  CHECK(agent.post("/v1/checks/queue/heartbeat", "").status == 202);
  CHECK(lab::eventually([&] { return agent.health("/readyz").status == 200; }));
  CHECK(agent.post("/v1/checks/queue/heartbeat", "{\"status\": \"fail\", \"message\": \"stopped\"}")
            .status == 202);
  CHECK(lab::eventually(
      [&] { return agent.get("/readyz?verbose").body.find("stopped") != std::string::npos; }));
  CHECK(agent.post("/v1/checks/queue/heartbeat", "").status == 202);
  CHECK(lab::eventually([&] { return agent.health("/readyz/queue").status == 200; }));
  CHECK(lab::eventually([&] { return agent.health("/readyz/queue").status == 503; }));
}

TEST_CASE("somebody mutes a check, everyone sees it, and it counts again when they say so") {
  Moody app;
  lab::Agent agent("checks:\n" + http_check(app.server.url()));
  REQUIRE(lab::eventually([&] { return agent.health("/readyz").status == 200; }));
  app.is_silent = true;
  REQUIRE(lab::eventually([&] { return agent.health("/readyz").status == 503; }));
  CHECK(agent.post("/v1/checks/app/mute", "{\"for\": \"30m\"}").status == 400);  // by whom?
  CHECK(agent.post("/v1/checks/app/mute", "{\"for\": \"30m\", \"by\": \"ann\", \"why\": \"known\"}")
            .status == 202);
  CHECK(agent.health("/readyz").status == 200);
  CHECK(agent.health("/readyz?verbose").body.find("muted by ann until 20") != std::string::npos);
  CHECK(agent.post("/v1/checks/app/unmute", "").status == 202);
  CHECK(agent.health("/readyz").status == 503);
}

TEST_CASE("a check shows its last results, and can be run on demand") {
  Moody app;
  lab::Agent agent("checks:\n" + http_check(app.server.url(), ", period_fast: 1s"));
  REQUIRE(lab::eventually([&] { return agent.health("/readyz").status == 200; }));
  std::string page = agent.get("/v1/checks/app").body;
  CHECK(page.find("\"history\"") != std::string::npos);
  CHECK(page.find("\"outcome\": \"pass\"") != std::string::npos);
  CHECK(agent.post("/v1/checks/app/run", "").status == 202);
  CHECK(agent.post("/v1/checks/nobody/run", "").status == 404);
  CHECK(agent.get("/v1/checks/app/run").status == 405);
}

TEST_CASE("a pipeline waits for the deploy role, and gives up when it has to") {
  Moody app;
  app.is_silent = true;
  lab::Agent agent("checks:\n" + http_check(app.server.url()));
  std::vector<std::string> ask = {"healthcheck", "--url",  agent.health_url(),
                                  "--role",      "deploy", "--wait"};
  std::vector<std::string> soon = ask;
  soon.push_back("600ms");
  CHECK(lab::davy(soon).code == 1);
  app.is_silent = false;
  ask.push_back("60s");
  CHECK(lab::davy(ask).code == 0);
}
