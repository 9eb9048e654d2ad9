// An agent that runs out of something itself: descriptors, processes, processor time, somebody to
// read its log, places for connections. Fault group "resources".
//
// In every row its answers go on, and what it could not ask says nothing about what it asks.
// Memory: nothing of ours survives a failed allocation, the process ends and is restarted; that is
// fault/sidecar_life_test.cpp. Thousands of checks at once: bench/.

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "lab/agent.h"
#include "lab/probe.h"
#include "lab/server.h"
#include "net/socket.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

std::string http_check(int number, const std::string& url) {
  return fmt::format(
      "  - {{ name: app-{}, http: {{ url: \"{}\" }}, roles: [readiness], period: 500ms, timeout: "
      "400ms, failure_threshold: 2, stale_after: 10m }}\n",
      number, url);
}

nlohmann::json look(lab::Agent& agent, const std::string& check) {
  nlohmann::json seen =
      nlohmann::json::parse(agent.get("/v1/checks/" + check).body, nullptr, false);
  return seen.is_discarded() ? nlohmann::json::object() : seen;  // not known yet
}

/// Whether some run of the check ended so, and none of them as a failure.
bool has_only_errors(const nlohmann::json& check, const std::vector<std::string>& reasons) {
  if (!check.contains("history")) return false;
  bool is_found = false;
  for (const auto& run : check["history"]) {
    if (run["outcome"] == "fail") return false;
    bool is_meant =
        std::find(reasons.begin(), reasons.end(), run.value("reason", "")) != reasons.end();
    is_found = is_found || (run["outcome"] == "error" && is_meant);
  }
  return is_found;
}

/// Answers of /livez on connections of their own, out of `n` asked.
int alive(lab::Agent& agent, int n) {
  int answered = 0;
  for (int i = 0; i < n; ++i) answered += agent.health("/livez").status == 200 ? 1 : 0;
  return answered;
}

/// So many connections to a port of loopback; each has asked once, and is kept.
std::vector<net::Socket> crowd(int port, int size, const std::string& question) {
  std::vector<net::Socket> all;
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (int i = 0; i < size; ++i) {
    net::Socket one(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(one.fd(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) continue;
    [[maybe_unused]] ssize_t sent =
        ::send(one.fd(), question.data(), question.size(), MSG_NOSIGNAL);
    all.push_back(std::move(one));
  }
  return all;
}

int port_of(const std::string& url) {
  return std::stoi(url.substr(url.rfind(':') + 1));
}

}  // namespace

TEST_CASE("without descriptors checks say resources, an error and no failure, and answers go on") {
  lab::Server app(lab::http(200, "ok"));
  // Silent ones take a descriptor each for as long as they are asked.
  lab::Server mute(lab::mute());
  std::string checks;
  for (int i = 0; i < 30; ++i) checks += http_check(i, mute.url());
  checks += http_check(99, app.url());
  lab::Agent agent("checks:\n" + checks, {"prlimit", "--nofile=32"});
  bool is_said = lab::eventually([&] {
    for (int i = 0; i < 30; ++i) {
      if (look(agent, fmt::format("app-{}", i)).value("reason", "") == "resources") return true;
    }
    return false;
  });
  CHECK_MESSAGE(is_said, agent.get("/readyz?verbose").body);
  CHECK(alive(agent, 100) == 100);
  CHECK(agent.health("/readyz").status == 503);
  // Whoever answers is never blamed for what we lack: it passes, or we could not ask.
  nlohmann::json good = look(agent, "app-99");
  for (const auto& run : good["history"]) {
    CAPTURE(run.dump());
    CHECK((run["outcome"] == "pass" || run["reason"] == "resources" || run["reason"] == "timeout"));
  }
}

TEST_CASE("without a thread or a process more, checks say so and answers go on") {
  if (geteuid() != 0) {
    MESSAGE("skipped: a limit of processes for another user needs root");
    return;
  }
  lab::Server mute(lab::mute());
  std::string checks =
      "  - { name: script, exec: { command: [\"true\"] }, roles: [readiness], period: 500ms, "
      "timeout: 400ms, stale_after: 10m }\n";
  for (int i = 0; i < 20; ++i) checks += http_check(i, mute.url());
  // Limits count all that a user runs: a number that nobody else has.
  std::string user = std::to_string(600'000 + getpid() % 100'000);
  lab::TempDir dir;  // the build's directory may be closed to others
  std::filesystem::copy_file(DAVY_BINARY, dir / "davy");
  REQUIRE(chmod(dir.path().c_str(), 0755) == 0);
  constexpr const char* kRun =
      "cp \"$5\" \"$1.yaml\" && chmod 644 \"$1.yaml\" && exec setpriv --reuid \"$0\" --regid "
      "\"$0\" "
      "--clear-groups prlimit --nproc=14 \"$1\" agent --config \"$1.yaml\"";
  lab::Agent agent("drain_delay: 100ms\nchecks:\n" + checks,
                   {"sh", "-c", kRun, user, dir / "davy"});
  bool is_said = lab::eventually([&] {
    int unasked = 0;
    for (int i = 0; i < 20; ++i) {
      std::string reason = look(agent, fmt::format("app-{}", i)).value("reason", "");
      unasked += reason == "no_worker" ? 1 : 0;
    }
    return unasked > 0;
  });
  CHECK_MESSAGE(is_said, agent.get("/readyz?verbose").body);
  CHECK(lab::eventually([&] {
    std::string reason = look(agent, "script").value("reason", "");
    return reason == "resources" || reason == "no_worker";
  }));
  INFO(look(agent, "script").dump());
  CHECK(has_only_errors(look(agent, "script"), {"resources", "no_worker"}));
  CHECK(alive(agent, 100) == 100);
  CHECK(agent.get("/metrics").status == 200);
  agent.process().signal(SIGTERM);
  CHECK(agent.process().wait(20s) == 0);
  CHECK(agent.process().stderr_text().find("defect") == std::string::npos);
}

TEST_CASE("an agent whose processor is taken by others still answers, and its checks pass") {
  lab::Server app(lab::http(200, "ok"));
  std::vector<std::unique_ptr<lab::Process>> burners;
  for (int i = 0; i < 4; ++i) {
    burners.push_back(std::make_unique<lab::Process>(
        lab::Command{{"taskset", "-c", "0", "sh", "-c", "while :; do :; done"}}));
  }
  lab::Agent agent("checks:\n" + http_check(0, app.url()), {"taskset", "-c", "0"});
  CHECK(lab::eventually([&] { return agent.health("/readyz").status == 200; }));
  CHECK(alive(agent, 50) == 50);
  CHECK(lab::eventually([&] { return look(agent, "app-0")["history"].size() > 4; }));
  CHECK(agent.health("/readyz").status == 200);
}

TEST_CASE("a log that nobody reads holds neither checks nor answers") {
  lab::TempDir dir;
  REQUIRE(mkfifo((dir / "log").c_str(), 0600) == 0);
  // Somebody has it open and never reads it; it is full before the agent begins.
  int reader = open((dir / "log").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  int writer = open((dir / "log").c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  const std::string page(4096, '.');
  while (write(writer, page.data(), page.size()) > 0) {
  }
  std::atomic<bool> is_well = true;
  lab::Server app([&](const lab::Connection& peer) { lab::http(is_well ? 200 : 500, "")(peer); });
  lab::Agent agent("drain_delay: 100ms\nchecks:\n" + http_check(0, app.url()),
                   {"sh", "-c", "exec \"$0\" \"$@\" 2>'" + (dir / "log") + "'"});
  for (int i = 0; i < 3; ++i) {
    CHECK(lab::eventually([&] { return agent.health("/readyz").status == 200; }));
    is_well = false;
    CHECK(lab::eventually([&] { return agent.health("/readyz").status == 503; }));
    is_well = true;
  }
  CHECK(alive(agent, 50) == 50);
  agent.process().signal(SIGTERM);
  CHECK(agent.process().wait(20s) == 0);
  close(reader);
  close(writer);
}

TEST_CASE("two thousand pollers that keep their connections keep no new prober out") {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  constexpr int kPollers = 2000;
  if (files.rlim_cur < kPollers + 200) {
    MESSAGE("skipped: two thousand connections need as many descriptors");
    return;
  }
  lab::Server app(lab::http(200, "ok"));
  lab::Agent agent("checks:\n" + http_check(0, app.url()));
  REQUIRE(lab::eventually([&] { return agent.health("/readyz").status == 200; }));
  for (const char* question :
       {"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n", "GET /readyz HTTP/1.1\r\n", ""}) {
    std::vector<net::Socket> pollers = crowd(port_of(agent.health_url()), kPollers, question);
    CHECK(pollers.size() == kPollers);
    CHECK(alive(agent, 50) == 50);
    CHECK(agent.health("/readyz").status == 200);
    long open = 0;
    for (const auto& fd :
         std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", agent.process().pid()))) {
      static_cast<void>(fd);
      ++open;
    }
    CHECK(open < 700);  // 512 of them, and the agent's own
  }
  CHECK(agent.get("/metrics").body.find("davy_http_shed_total{listener=\"health\"}") !=
        std::string::npos);
  CHECK(lab::eventually([&] { return agent.health("/readyz").status == 200; }));
}
