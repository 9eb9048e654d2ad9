// A network that drops, refuses and goes away, in a network namespace of the test's own with real
// packet filters, a real PostgreSQL and a real Redis. Fault group "network".
//
// In every row: each check has its reason, the agent's own answers go on, no check runs twice at
// once, and all is well again when the network is. Name servers: fault/resolver_test.cpp.

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <map>
#include <nlohmann/json.hpp>

#include "base/child.h"
#include "lab/agent.h"
#include "lab/postgres.h"
#include "lab/probe.h"
#include "lab/redis.h"
#include "lab/server.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

/// Runs the test of this name in a network that has nothing but loopback.
void run_inside(const std::string& inner) {
  std::string setup =
      "ip link set lo up && iptables -L -n >/dev/null && exec \"$0\" \"-tc=$1\" "
      "--no-skip";
  lab::Finished ran = lab::run({{"unshare", "-n", "sh", "-c", setup, own_path(), inner}}, 5min);
  bool may_not = ran.output.find("unshare:") != std::string::npos ||
                 ran.output.find("iptables") != std::string::npos;
  if (may_not && ran.code != 0) {
    MESSAGE("skipped: a network of one's own needs root and packet filters: " << ran.output);
    return;
  }
  CHECK_MESSAGE(ran.code == 0, ran.output);
  CHECK_MESSAGE(ran.output.find("1 passed") != std::string::npos, ran.output);
}

const std::vector<std::string> kDrop = {"DROP"};
const std::vector<std::string> kReset = {"REJECT", "--reject-with", "tcp-reset"};
const std::vector<std::string> kNoPort = {"REJECT", "--reject-with", "icmp-port-unreachable"};
const std::vector<std::string> kNoHost = {"REJECT", "--reject-with", "icmp-host-unreachable"};
const std::vector<std::string> kForbidden = {"REJECT", "--reject-with", "icmp-admin-prohibited"};

/// A packet filter rule for what goes to or comes from a port, until it goes out of scope.
class Rule {
 public:
  Rule(int port, const std::vector<std::string>& target) {
    add({"-p", "tcp", "--dport", std::to_string(port)}, target);
    // What rejects answers who asks, so that way stays open.
    if (target == kDrop) add({"-p", "tcp", "--sport", std::to_string(port)}, target);
  }
  ~Rule() {
    for (std::vector<std::string>& rule : rules_) {
      rule.insert(rule.begin(), {"iptables", "-w", "-D", "INPUT"});
      lab::run({rule});
    }
  }
  Rule(const Rule&) = delete;
  Rule& operator=(const Rule&) = delete;

 private:
  void add(std::vector<std::string> match, const std::vector<std::string>& target) {
    match.push_back("-j");
    match.insert(match.end(), target.begin(), target.end());
    rules_.push_back(match);
    match.insert(match.begin(), {"iptables", "-w", "-A", "INPUT"});
    lab::Finished added = lab::run({match});
    REQUIRE_MESSAGE(added.code == 0, added.output);
  }

  std::vector<std::vector<std::string>> rules_;
};

using Reasons = std::map<std::string, std::string>;

Reasons all_of(const std::string& reason) {
  return {{"db", reason}, {"cache", reason}, {"app", reason}, {"mail", reason}};
}

/// Four servers, and an agent that asks them.
struct World {
  lab::Postgres postgres;
  lab::Redis redis;
  lab::Server app{lab::http(200, "ok")};
  lab::Server mail{lab::banner("220 ready\r\n")};
  std::vector<std::unique_ptr<Rule>> rules;
  std::unique_ptr<lab::Agent> agent;

  void start() {
    auto check = [](const std::string& name, const std::string& probe) {
      return fmt::format(
          "  - {{ name: {}, {}, roles: [readiness], period: 500ms, timeout: 400ms, "
          "failure_threshold: 2 }}\n",
          name, probe);
    };
    agent = std::make_unique<lab::Agent>(
        "checks:\n" + check("db", fmt::format("postgres: {{ dsn: \"{}\" }}", postgres.dsn())) +
        check("cache", fmt::format("redis: {{ url: \"{}\" }}", redis.url())) +
        check("app", fmt::format("http: {{ url: \"{}\" }}", app.url())) +
        check("mail", fmt::format("tcp: {{ address: \"{}\", expect: \"220 \" }}", mail.address())));
  }
  void filter(const std::vector<std::string>& target) {
    for (int port : {postgres.port(), redis.port(), app.port(), mail.port()})
      rules.push_back(std::make_unique<Rule>(port, target));
  }
  nlohmann::json look(const std::string& check) {
    nlohmann::json seen =
        nlohmann::json::parse(agent->get("/v1/checks/" + check).body, nullptr, false);
    return seen.is_discarded() ? nlohmann::json::object() : seen;  // not known yet
  }
  /// Until each check fails with its reason; the agent answers all the while.
  void expect(const Reasons& reasons) {
    for (const auto& expected : reasons) {
      const std::string& check = expected.first;
      const std::string& reason = expected.second;
      std::string seen;
      bool is_as_expected = lab::eventually([&] {
        CHECK(agent->health("/livez").status == 200);
        nlohmann::json now = look(check);
        now.erase("history");
        seen = now.dump();
        return now.value("status", "") == "fail" && now.value("reason", "") == reason;
      });
      CHECK_MESSAGE(is_as_expected, check << " is not " << reason << ": " << seen);
    }
    CHECK(agent->health("/readyz").status == 503);
  }
  void expect_recovery() {
    rules.clear();
    bool is_ready = lab::eventually([&] { return agent->health("/readyz").status == 200; });
    CHECK_MESSAGE(is_ready, agent->get("/readyz?verbose").body);
    for (const char* check : {"db", "cache", "app", "mail"})
      CHECK(look(check).value("stuck", true) == false);
  }
};

}  // namespace

TEST_CASE("inner: packets are dropped before anybody has connected" * doctest::skip()) {
  World world;
  world.filter(kDrop);
  world.start();
  world.expect(all_of("timeout"));
  world.expect_recovery();
}

TEST_CASE("inner: packets are dropped while connections are idle" * doctest::skip()) {
  World world;
  world.start();
  REQUIRE(lab::eventually([&] { return world.agent->health("/readyz").status == 200; }));
  world.filter(kDrop);
  world.expect(all_of("timeout"));
  world.expect_recovery();
}

TEST_CASE("inner: connections are rejected" * doctest::skip()) {
  World world;
  world.start();
  REQUIRE(lab::eventually([&] { return world.agent->health("/readyz").status == 200; }));
  world.filter(kReset);
  world.expect(all_of("refused"));
  world.expect_recovery();
  world.filter(kNoHost);
  world.expect(all_of("unreachable"));
  world.expect_recovery();
  using Target = std::pair<std::vector<std::string>, std::string>;
  for (const Target& target : {Target{kNoPort, "refused"}, Target{kForbidden, "unreachable"}}) {
    world.filter(target.first);
    const std::pair<std::string, lab::Settings> all[] = {
        {"postgres", {{"dsn", world.postgres.dsn()}}}, {"redis", {{"url", world.redis.url()}}},
        {"http", {{"url", world.app.url()}}},          {"grpc", {{"address", world.app.address()}}},
        {"tcp", {{"address", world.mail.address()}}},
    };
    for (const auto& asked : all) {
      Outcome seen = lab::run_probe(asked.first, asked.second);
      CHECK_MESSAGE(seen.reason == target.second, asked.first << ": " << lab::show(seen));
    }
    world.rules.clear();
  }
}

TEST_CASE("inner: the reply is dropped" * doctest::skip()) {
  lab::Postgres postgres;
  lab::Redis redis;
  lab::Server app(lab::http(200, "ok"));
  struct Row {
    std::string kind;
    int server;
    std::function<lab::Settings(const std::string&)> settings;
  };
  const Row rows[] = {
      {"postgres", postgres.port(),
       [](const std::string& at) {
         return lab::Settings{{"dsn", "postgresql://app@" + at + "/shop"}};
       }},
      {"redis", redis.port(),
       [](const std::string& at) {
         return lab::Settings{{"url", "redis://" + at + "/0"}};
       }},
      {"http", app.port(),
       [](const std::string& at) {
         return lab::Settings{{"url", "http://" + at + "/"}};
       }},
      {"tcp", app.port(),
       [](const std::string& at) {
         return lab::Settings{
             {"address", at}, {"send", "GET / HTTP/1.1\r\n\r\n"}, {"expect", "HTTP/1.1 200"}};
       }},
  };
  for (const Row& row : rows) {
    CAPTURE(row.kind);
    // The question has arrived and its answer is on the way when the network goes.
    std::atomic<bool> is_to_break = false;
    std::unique_ptr<Rule> rule;
    std::atomic<int> port = 0;
    lab::Server between(
        lab::relay_to(row.server, [&](const lab::Connection& client, std::string_view bytes) {
          if (is_to_break.exchange(false)) rule = std::make_unique<Rule>(port, kDrop);
          client.send(bytes);
        }));
    port = between.port();
    lab::ProbeRunner kept(row.kind, row.settings(between.address()));
    Outcome before = kept.run();
    CHECK_MESSAGE(before.kind == Outcome::Kind::Pass, lab::show(before));
    is_to_break = true;
    Outcome lost = kept.run(800ms);
    CHECK_MESSAGE(lost.reason == "timeout", lab::show(lost));
    CHECK(rule != nullptr);
    rule.reset();
    Outcome after = kept.run();
    CHECK_MESSAGE(after.kind == Outcome::Kind::Pass, lab::show(after));
  }
}

TEST_CASE("inner: a peer is killed and its link deleted" * doctest::skip()) {
  lab::Process far({{"unshare", "-n", "sleep", "1000"}});
  std::string there = std::to_string(far.pid());
  REQUIRE(lab::eventually([&] {  // it has a network of its own
    auto network = [](const std::string& pid) {
      return lab::run({{"readlink", "/proc/" + pid + "/ns/net"}}).output;
    };
    return network(there) != network("self");
  }));
  auto must = [](const std::string& script) {
    lab::Finished done = lab::run({{"sh", "-ec", script}});
    REQUIRE_MESSAGE(done.code == 0, script << ": " << done.output);
  };
  must("ip link add near type veth peer name far netns " + there +
       "; ip addr add 10.99.0.1/24 dev near; ip link set near up; nsenter -t " + there +
       " -n sh -ec 'ip link set lo up; ip addr add 10.99.0.2/24 dev far; ip link set far up'");
  lab::TempDir dir;
  lab::Process server({{"nsenter", "-t", there, "-n", "redis-server", "--port", "6399", "--bind",
                        "10.99.0.2", "--protected-mode", "no", "--save", "", "--dir", dir.path()}});
  const lab::Settings settings{{"url", "redis://10.99.0.2:6399/0"}};
  lab::ProbeRunner kept("redis", settings);
  lab::ProbeRunner kept_too("redis", settings);
  REQUIRE(lab::eventually([&] { return kept.run().kind == Outcome::Kind::Pass; }));
  REQUIRE(kept_too.run().kind == Outcome::Kind::Pass);

  // Its end of the wire is pulled out first, so that its death is heard by nobody.
  must("nsenter -t " + there + " -n ip link set far down");
  server.kill();
  Outcome half_open = kept.run(500ms);
  CHECK_MESSAGE(half_open.reason == "timeout", lab::show(half_open));
  must("ip link del near");
  Outcome cut = kept_too.run(500ms);
  bool is_told = cut.reason == "timeout" || cut.reason == "unreachable" || cut.reason == "closed";
  CHECK_MESSAGE(is_told, lab::show(cut));
  const std::pair<std::string, lab::Settings> all[] = {
      {"redis", settings},
      {"tcp", {{"address", "10.99.0.2:1"}}},
      {"http", {{"url", "http://10.99.0.2/"}}},
      {"postgres", {{"dsn", "host=10.99.0.2 user=app dbname=shop"}}},
  };
  for (const auto& asked : all) {
    Outcome fresh = lab::run_probe(asked.first, asked.second);
    CHECK_MESSAGE(fresh.reason == "unreachable", asked.first << ": " << lab::show(fresh));
  }
}

TEST_CASE("a network that drops packets before anybody has connected is a timeout, and passes") {
  run_inside("inner: packets are dropped before*");
}

TEST_CASE("a network that drops packets while connections are idle is a timeout, and passes") {
  run_inside("inner: packets are dropped while*");
}

TEST_CASE("a network that rejects is refused or unreachable as it says, and passes") {
  run_inside("inner: connections are rejected");
}

TEST_CASE("a network that goes while an answer is on its way is a timeout, and passes") {
  run_inside("inner: the reply is dropped");
}

TEST_CASE("a peer that is gone without a word is a timeout, and unreachable without a way to it") {
  run_inside("inner: a peer is killed*");
}
