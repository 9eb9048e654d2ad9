// Many instances, one shared dependency: what none of them may do is leave all at once.
// Fault group "fleet": N sidecars and one dead database, one bad instance, peers that cannot be
// reached or lie, everyone restarting at once.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/guarded.h"
#include "lab/agent.h"
#include "lab/postgres.h"
#include "lab/server.h"
#include "lab/tmpfs.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

constexpr const char* kKey = "a key that all of them know";

std::string check(const std::string& name, const std::string& probe,
                  const std::string& scope = "shared") {
  return fmt::format(
      "  - {{ name: {}, {}, roles: [readiness, deploy], scope: {}, period: 500ms, timeout: 400ms, "
      "failure_threshold: 2 }}\n",
      name, probe, scope);
}

std::string database(const std::string& dsn) {
  return fmt::format("postgres: {{ dsn: \"{}\" }}", dsn);
}

std::string peers(const std::vector<int>& ports, const std::string& key = kKey) {
  std::string list;
  for (int port : ports) list += fmt::format("{}\"127.0.0.1:{}\"", list.empty() ? "" : ", ", port);
  return fmt::format("peers: {{ addresses: [{}], key: \"{}\", every: 300ms }}\n", list, key);
}

struct Fleet {
  std::vector<int> ports;
  std::vector<std::unique_ptr<lab::Agent>> agents;

  explicit Fleet(int size, const std::string& checks) {
    for (int i = 0; i < size; ++i) ports.push_back(lab::free_port());
    for (int port : ports)
      agents.push_back(std::make_unique<lab::Agent>(peers(ports) + "checks:\n" + checks, port));
    for (auto& agent : agents) agent->wait_until_up();
  }
  bool all(const std::function<bool(lab::Agent&)>& is_true) const {
    return std::all_of(agents.begin(), agents.end(), [&](auto& agent) { return is_true(*agent); });
  }
};

bool is_ready(lab::Agent& agent) {
  return agent.health("/readyz").status == 200;
}

}  // namespace

TEST_CASE(
    "twelve instances that share a dead PostgreSQL stay ready, say why, and let no release on") {
  lab::Postgres& postgres = lab::Postgres::shared();
  Fleet fleet(12, check("db", database(postgres.dsn())));
  REQUIRE(lab::eventually([&] { return fleet.all(is_ready); }));
  postgres.pause();
  bool all_know = lab::eventually([&] {
    return fleet.all([](lab::Agent& agent) {
      return agent.health("/readyz").body == "ok; fail open: db (11 of 11 peers share it)\n";
    });
  });
  CHECK_MESSAGE(all_know, fleet.agents[0]->get("/readyz?verbose").body);
  CHECK(fleet.all(is_ready));
  CHECK(fleet.all([](lab::Agent& agent) { return agent.health("/deployz").status == 503; }));
  CHECK(fleet.agents[0]->get("/metrics").body.find("davy_check_fail_open{check=\"db\"} 1") !=
        std::string::npos);
  CHECK(fleet.agents[0]->get("/metrics").body.find("davy_peers_answering 11") != std::string::npos);
  CHECK(fleet.agents[0]->process().stderr_text().find("a role passes although checks fail") !=
        std::string::npos);
  postgres.resume();
  CHECK(lab::eventually([&] {
    return fleet.all([](lab::Agent& agent) { return agent.health("/readyz").body == "ok\n"; });
  }));
}

TEST_CASE("the one instance whose own disk is full leaves, and the others stay") {
  lab::Tmpfs disk("size=1m");
  if (!disk) return;
  lab::Postgres& postgres = lab::Postgres::shared();
  std::string on_disk = fmt::format("disk: {{ path: \"{}\", min_free: 50% }}", disk.path());
  Fleet fleet(3, check("db", database(postgres.dsn())));
  fleet.agents[0]->reload(peers(fleet.ports) + "checks:\n" + check("db", database(postgres.dsn())) +
                          check("disk", on_disk, "local"));
  REQUIRE(lab::eventually([&] {
    return fleet.all(is_ready) && fleet.agents[0]->health("/readyz/disk").status == 200;
  }));
  lab::write_file(disk / "filler", std::string(800 * 1024, 'x'));
  CHECK(lab::eventually([&] { return !is_ready(*fleet.agents[0]); }));
  CHECK(is_ready(*fleet.agents[1]));
  CHECK(is_ready(*fleet.agents[2]));
}

TEST_CASE("an instance that alone cannot reach the shared database leaves") {
  lab::Postgres& postgres = lab::Postgres::shared();
  Fleet fleet(5, check("db", database(postgres.dsn())));
  REQUIRE(lab::eventually([&] { return fleet.all(is_ready); }));
  // The first one gets a way to the database of its own, which then breaks.
  lab::Agent& first = *fleet.agents[0];
  auto own_database = std::make_unique<lab::Postgres>();
  first.reload(peers(fleet.ports) + "checks:\n" + check("db", database(own_database->dsn())));
  REQUIRE(lab::eventually([&] { return first.health("/readyz").body == "ok\n"; }));
  own_database->pause();
  CHECK(lab::eventually([&] { return !is_ready(first); }));
  for (std::size_t i = 1; i < fleet.agents.size(); ++i) CHECK(is_ready(*fleet.agents[i]));
  own_database->resume();
  CHECK(lab::eventually([&] { return is_ready(first); }));
}

TEST_CASE("peers that cannot be reached, or do not know the key, or make things up, do not count") {
  lab::Server app(lab::http(200, "ok"));
  lab::Server liar(
      lab::http(200, std::string(64, '0') + " {\"service\":\"test\",\"instance\":\"x\"}"));
  lab::Agent stranger(peers({lab::free_port()}, "another key altogether") + "checks:\n" +
                      check("db", fmt::format("http: {{ url: \"{}\" }}", app.url())));
  int stranger_port = std::stoi(stranger.health_url().substr(stranger.health_url().rfind(':') + 1));
  auto target = std::make_unique<lab::Server>(lab::http(200, "ok"));
  lab::Agent agent(peers({lab::free_port(), lab::free_port(), liar.port(), stranger_port}) +
                   "checks:\n" +
                   check("db", fmt::format("http: {{ url: \"{}\" }}", target->url())));
  REQUIRE(lab::eventually([&] { return agent.health("/readyz").body == "ok\n"; }));
  target.reset();
  CHECK(lab::eventually([&] {
    return agent.health("/readyz").body.find("only 0 peers answer") != std::string::npos;
  }));
  CHECK(is_ready(agent));
}

TEST_CASE("the exchange is for peers only, and says nothing that is not asked for") {
  lab::Server app(lab::http(200, "ok"));
  lab::Agent agent(peers({lab::free_port()}) + "checks:\n" +
                   check("db", fmt::format("http: {{ url: \"{}\" }}", app.url())));
  CHECK(agent.health("/peerz").status == 403);
  CHECK(agent.health("/peerz?nonce=1&signature=00").status == 403);
  lab::Agent alone("checks:\n" + check("db", fmt::format("http: {{ url: \"{}\" }}", app.url())));
  CHECK(alone.health("/peerz").status == 404);
}

TEST_CASE("a fleet that restarts all at once does not ask its database in one moment") {
  Guarded<std::vector<Time>> asked;
  lab::Server database([&](const lab::Connection& connection) {
    asked.lock()->push_back(machine_clock().now());
    connection.hang();
  });
  constexpr int kFleet = 12;
  std::vector<std::unique_ptr<lab::Agent>> agents;
  Time began = machine_clock().now();
  for (int i = 0; i < kFleet; ++i) {
    std::string tcp = fmt::format("tcp: {{ address: \"{}\", expect: never }}", database.address());
    agents.push_back(std::make_unique<lab::Agent>(
        fmt::format("checks:\n  - {{ name: db, {}, scope: shared, period: 1m, period_fast: 1m, "
                    "period_down: 1m, timeout: 2s }}\n",
                    tcp),
        lab::free_port()));
  }
  REQUIRE(lab::eventually([&] { return asked.lock()->size() == kFleet; }));
  std::vector<Time> times = *asked.lock();
  std::sort(times.begin(), times.end());
  // The stated rate: spread at random over 5 s. That eight of twelve fall into one second has a
  // chance of 1 in 2,000.
  for (std::size_t i = 0; i + 8 <= times.size(); ++i) CHECK(seconds(times[i + 7] - times[i]) > 1.0);
  CHECK(seconds(times.back() - began) < 30);
}
