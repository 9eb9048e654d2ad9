// Clocks that jump, are wrong, or have slept. Fault group "clock".
//
// The wall clock is moved by libfaketime under a running agent, the steady one (CLOCK_BOOTTIME) by
// a time namespace. A suspended machine that wakes up is unit/health/kubelet_table_test.cpp, on a
// clock moved by hand: no test may suspend the machine that it runs on. NTP slew moves the wall
// clock by less than the jumps here. A marker from the future: fault/marker_test.cpp.

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "lab/agent.h"
#include "lab/server.h"
#include "lab/tls_server.h"
#include "lab/wall_clock.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

nlohmann::json look(lab::Agent& agent, const std::string& check) {
  nlohmann::json seen =
      nlohmann::json::parse(agent.get("/v1/checks/" + check).body, nullptr, false);
  return seen.is_discarded() ? nlohmann::json::object() : seen;  // not known yet
}

/// "2026-11-20T18" of the last result.
std::string hour_of(const nlohmann::json& check) {
  return check.value("time", "").substr(0, 13);
}

/// The same of the true time, so many hours from now.
std::string hour_in(int hours) {
  std::time_t then = std::time(nullptr) + hours * 3600;
  std::tm utc{};
  gmtime_r(&then, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H", &utc);
  return text;
}

}  // namespace

TEST_CASE("the wall clock jumps an hour either way: nothing gets stale and no run moves") {
  lab::WallClock wall("+0");
  if (std::string why = wall.trouble(); !why.empty()) {
    MESSAGE("skipped: the wall clock cannot be moved here: " << why);
    return;
  }
  lab::Server app(lab::http(200, "ok"));
  lab::Agent agent(fmt::format("checks:\n  - {{ name: app, http: {{ url: \"{}\" }}, roles: "
                               "[readiness, deploy], period: 250ms, timeout: 200ms, stale_after: "
                               "20s }}\n",
                               app.url()),
                   wall.prefix());
  REQUIRE(lab::eventually([&] { return agent.health("/deployz").status == 200; }));
  for (int hours : {1, -1, 0}) {
    CAPTURE(hours);
    wall.move(fmt::format("{:+d}", hours * 3600));
    int before = app.connections();
    Time began = machine_clock().now();
    // The results carry the new time, so the jump has been seen.
    CHECK(lab::eventually([&] { return hour_of(look(agent, "app")) == hour_in(hours); }));
    CHECK(lab::eventually([&] {
      CHECK(agent.health("/readyz").status == 200);
      CHECK(agent.health("/deployz").status == 200);
      return app.connections() >= before + 6;
    }));
    double took = seconds(machine_clock().now() - began);
    CHECK(app.connections() - before <= took / 0.25 + 2);  // none made up for
    nlohmann::json seen = look(agent, "app");
    CHECK(seen["stale"] == false);
    CHECK(seen["stuck"] == false);
    CHECK(seen["consecutive_failures"] == 0);
    CHECK(seen["age_ms"] < 20'000);
  }
}

TEST_CASE("with a wall clock of long ago a certificate is not judged, and the clock suspected") {
  lab::WallClock wall("-20000d");
  if (std::string why = wall.trouble(); !why.empty()) {
    MESSAGE("skipped: the wall clock cannot be moved here: " << why);
    return;
  }
  lab::TlsServer server("IP:127.0.0.1", 40);
  lab::Agent agent(
      fmt::format("checks:\n  - {{ name: cert, tls_certificate: {{ address: \"{}\", ca_file: "
                  "\"{}\" }}, roles: [readiness], period: 500ms, timeout: 400ms }}\n",
                  server.address(), server.dir / "cert"),
      wall.prefix());
  CHECK(
      lab::eventually([&] { return look(agent, "cert").value("reason", "") == "clock_suspect"; }));
  nlohmann::json seen = look(agent, "cert");
  CHECK_MESSAGE(seen.value("status", "") == "pending", seen.dump());  // no word on the certificate
  wall.move("+0");
  CHECK(lab::eventually([&] { return agent.health("/readyz").status == 200; }));
}

TEST_CASE("what was known before the machine slept is too old to be taken up, whatever the date") {
  lab::Finished may = lab::run({{"unshare", "-T", "--boottime", "3600", "true"}});
  if (may.code != 0) {
    MESSAGE("skipped: a steady clock of one's own needs root and time namespaces: " << may.output);
    return;
  }
  lab::TempDir dir;
  std::atomic<bool> is_silent = false;
  lab::Server app([&](const lab::Connection& peer) {
    if (is_silent) return peer.hang();
    lab::http(200, "ok")(peer);
  });
  lab::write_file(dir / "slept", "0");
  lab::Agent agent(
      fmt::format(
          "state_dir: \"{}\"\nrestore_max_age: 5m\nchecks:\n  - {{ name: app, http: {{ url: "
          "\"{}\" }}, roles: [readiness], period: 1s, timeout: 900ms }}\n",
          dir.path(), app.url()),
      {"sh", "-c", "exec unshare -T --boottime \"$(cat \"$0\")\" -- \"$@\"", dir / "slept"});
  REQUIRE(lab::eventually([&] { return agent.health("/readyz").status == 200; }));
  REQUIRE(lab::eventually([&] {
    return agent.get("/metrics").body.find("davy_check_states_saves_total{result=\"ok\"}") !=
           std::string::npos;
  }));
  agent.kill();
  is_silent = true;
  agent.start_again();
  CHECK(lab::eventually([&] {
    return agent.health("/readyz?verbose").body.find("(restored)") != std::string::npos;
  }));
  agent.kill();
  lab::write_file(dir / "slept", "3600");
  agent.start_again();
  CHECK(agent.health("/readyz").status == 503);
  CHECK(agent.health("/readyz?verbose").body.find("(restored)") == std::string::npos);
  is_silent = false;
  CHECK(lab::eventually([&] { return agent.health("/readyz").status == 200; }));
}
