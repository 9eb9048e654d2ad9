// Everything that an agent asks hangs at once, for as long as DAVY_LONG_SECONDS says (300).
//
// What it promises: nothing of the agent grows after the first minute, neither threads nor
// descriptors, processes or memory, no zombie is left behind, and both probes are answered
// throughout. Run by `./dev test --long` only. It prints its numbers.
// Hung: a frozen PostgreSQL and Redis, ports that accept and say nothing, a dead mount, commands
// that never end, and the only name server of a network of the test's own.

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "base/child.h"
#include "base/family.h"
#include "lab/agent.h"
#include "lab/dns_server.h"
#include "lab/hung_mount.h"
#include "lab/postgres.h"
#include "lab/redis.h"
#include "lab/server.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

std::chrono::seconds length() {
  const char* given = std::getenv("DAVY_LONG_SECONDS");
  return std::chrono::seconds(given != nullptr ? std::max(30, std::atoi(given)) : 300);
}

/// A number from /proc/PID/status, such as "Threads:" or "VmRSS:" (in KiB).
long status_number(pid_t pid, const std::string& key) {
  std::ifstream in(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(key)) return std::atol(line.c_str() + key.size());
  }
  return 0;
}

long descriptors(pid_t pid) {
  std::error_code gone;
  std::filesystem::directory_iterator entries(fmt::format("/proc/{}/fd", pid), gone);
  return gone ? 0 : std::distance(begin(entries), end(entries));
}

/// What the agent and everything below it hold at one moment.
struct Sample {
  long threads = 0;      // of the agent itself
  long descriptors = 0;  // of the agent itself
  long processes = 0;    // below it
  long zombies = 0;      // below it
  long rss_kib = 0;      // of the agent itself
};

Sample look(pid_t agent) {
  Sample seen{.threads = status_number(agent, "Threads:"),
              .descriptors = descriptors(agent),
              .rss_kib = status_number(agent, "VmRSS:")};
  std::vector<family::Member> all = family::everybody();
  std::vector<pid_t> family{agent};
  for (std::size_t i = 0; i < family.size(); ++i) {
    for (const family::Member& member : all) {
      if (member.parent != family[i]) continue;
      family.push_back(member.pid);
      ++(member.is_dead() ? seen.zombies : seen.processes);
    }
  }
  return seen;
}

/// The most of each in a stretch of samples.
Sample most_of(const std::vector<Sample>& samples, std::size_t from, std::size_t to) {
  Sample most;
  for (std::size_t i = from; i < to; ++i) {
    most.threads = std::max(most.threads, samples[i].threads);
    most.descriptors = std::max(most.descriptors, samples[i].descriptors);
    most.processes = std::max(most.processes, samples[i].processes);
    most.rss_kib = std::max(most.rss_kib, samples[i].rss_kib);
  }
  return most;
}

std::string show(const Sample& s) {
  return fmt::format("{} threads, {} descriptors, {} processes, {} KiB", s.threads, s.descriptors,
                     s.processes, s.rss_kib);
}

struct Polls {
  std::vector<double> ms;
  int unanswered = 0;
  int not_alive = 0;

  void ask(lab::Agent& agent, const std::string& path) {
    Time began = machine_clock().now();
    int status = agent.health(path, 2s).status;
    ms.push_back(seconds(machine_clock().now() - began) * 1000);
    if (status == 0) ++unanswered;
    if (path == "/livez" && status != 200) ++not_alive;
  }
  double percentile(double share) {
    std::sort(ms.begin(), ms.end());
    return ms[static_cast<std::size_t>(share * static_cast<double>(ms.size() - 1))];
  }
};

/// A dead child waits a moment for its parent; looks that see one so often in a row see the same.
constexpr int kLeftBehind = 3;

}  // namespace

TEST_CASE("inner: everything hangs" * doctest::skip()) {
  lab::HungMount mount;
  REQUIRE(mount);
  lab::DnsServer names({.is_silent = true}, "127.0.0.1", 53);
  lab::Postgres postgres;
  lab::Redis redis;
  lab::Server mute(lab::mute());
  lab::Server drips(lab::drip("HTTP/1.1 200 OK\r\n\r\n", 20));
  std::vector<std::string> probes = {
      fmt::format("postgres: {{ dsn: \"{}\" }}", postgres.dsn()),
      fmt::format("postgres: {{ dsn: \"{}\", expect: primary }}", postgres.dsn()),
      fmt::format("postgres: {{ dsn: \"{}\" }}", postgres.dsn("postgres")),
      fmt::format("migrations: {{ dsn: \"{}\", tool: rails, expected: [\"1\"] }}", postgres.dsn()),
      "postgres: { dsn: \"postgresql://app@db.test/shop\" }",
      fmt::format("redis: {{ url: \"{}\" }}", redis.url()),
      fmt::format("redis: {{ url: \"{}\", expect: writable }}", redis.url()),
      fmt::format("sidekiq: {{ url: \"{}\" }}", redis.url()),
      "redis: { url: \"redis://cache.test/0\" }",
      fmt::format("tcp: {{ address: \"{}\", expect: \"220 \" }}", mute.address()),
      fmt::format("http: {{ url: \"{}\" }}", mute.url()),
      fmt::format("http: {{ url: \"{}\" }}", drips.url()),
      "http: { url: \"http://app.test/up\" }",
      fmt::format("grpc: {{ address: \"{}\" }}", mute.address()),
      fmt::format("tls_certificate: {{ address: \"{}\" }}", mute.address()),
      fmt::format("disk: {{ path: {} }}", mount.path()),
      fmt::format("disk: {{ path: {}, min_free: 1 }}", mount.path()),
      fmt::format("file: {{ path: {}/x }}", mount.path()),
      "exec: { command: [sleep, \"86400\"] }",
      "exec: { command: [sh, -c, \"setsid sleep 86400 & sleep 86400\"] }",
      fmt::format("dns: {{ name: db.test, servers: [\"{}\"] }}", names.address()),
      "dns: { name: db.test }",
  };
  // Quick, so that five minutes hold as many runs as an hour of the usual settings.
  std::string config = "drain_delay: 100ms\nchecks:\n";
  for (std::size_t i = 0; i < probes.size(); ++i) {
    config += fmt::format(
        "  - {{ name: check-{}, {}, period: 1s, period_down: 1s, period_fast: 1s, timeout: 500ms "
        "}}\n",
        i, probes[i]);
  }
  config += "  - { name: memory, memory: {}, roles: [liveness], period: 1s, timeout: 500ms }\n";
  postgres.pause();
  redis.pause();
  lab::Agent agent(config);
  pid_t pid = agent.process().pid();

  const auto whole = length();
  const auto warm = std::min<std::chrono::seconds>(60s, whole / 3);
  Time began = machine_clock().now();
  std::vector<Sample> samples;
  Polls polls;
  int zombie_looks = 0;
  int longest_zombie = 0;
  while (machine_clock().now() - began < whole) {
    polls.ask(agent, "/livez");
    polls.ask(agent, "/readyz");
    std::this_thread::sleep_for(100ms);
    Sample seen = look(pid);
    zombie_looks = seen.zombies > 0 ? zombie_looks + 1 : 0;
    longest_zombie = std::max(longest_zombie, zombie_looks);
    if (machine_clock().now() - began >= warm) samples.push_back(seen);
  }
  std::string metrics = agent.get("/metrics").body;

  std::size_t third = samples.size() / 3;
  REQUIRE(third > 10);
  Sample early = most_of(samples, 0, third);
  Sample late = most_of(samples, samples.size() - third, samples.size());
  MESSAGE(probes.size() << " hung checks for " << whole.count() << " s, " << samples.size()
                        << " looks after the first " << warm.count() << " s");
  MESSAGE("most in the first third:  " << show(early));
  MESSAGE("most in the last third:   " << show(late));
  MESSAGE("polls: " << polls.ms.size() << ", unanswered " << polls.unanswered << ", p50 "
                    << polls.percentile(0.5) << " ms, p99 " << polls.percentile(0.99) << " ms, max "
                    << polls.percentile(1) << " ms; looks in a row with a zombie: at most "
                    << longest_zombie);
  for (std::size_t at = metrics.find("davy_helpers"); at != std::string::npos;
       at = metrics.find("\ndavy_helpers", at + 1)) {
    at = metrics[at] == '\n' ? at + 1 : at;
    MESSAGE(metrics.substr(at, metrics.find('\n', at) - at));
  }
  CHECK(polls.unanswered == 0);
  CHECK(polls.not_alive == 0);
  CHECK(longest_zombie < kLeftBehind);
  // All threads, connections and helpers that a moment may need at once are not needed at every
  // moment: a few more may be met late. One per second would be hundreds.
  CHECK(late.threads <= early.threads + 2);
  CHECK(late.descriptors <= early.descriptors + 6);
  CHECK(late.processes <= early.processes + 4);
  CHECK(late.rss_kib <= early.rss_kib + std::max(1024L, early.rss_kib / 20));
  for (std::size_t i = 0; i < probes.size(); ++i) {
    INFO(probes[i]);
    INFO(agent.get(fmt::format("/v1/checks/check-{}", i)).body);
    CHECK(agent.get(fmt::format("/readyz/check-{}", i)).status == 503);
  }
  mount.abort();
}

TEST_CASE("while everything hangs nothing of the agent grows, and its answers go on") {
  lab::TempDir dir;
  lab::write_file(dir / "resolv.conf", "nameserver 127.0.0.1\n");
  std::string setup = "ip link set lo up && mount --bind " + dir / "resolv.conf" +
                      " /etc/resolv.conf && exec \"$0\" '-tc=inner: everything hangs' --no-skip";
  lab::Finished ran =
      lab::run({{"unshare", "-n", "-m", "sh", "-c", setup, own_path()}}, length() + 120s);
  if (ran.output.find("unshare:") != std::string::npos) {
    MESSAGE("skipped: a network of one's own needs root: " << ran.output);
    return;
  }
  MESSAGE(ran.output);
  CHECK(ran.code == 0);
  CHECK(ran.output.find("1 passed") != std::string::npos);
}
