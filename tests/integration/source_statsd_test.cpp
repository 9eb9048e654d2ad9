// The statsd source with real sockets: what an application sends becomes blocks.

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "base/descriptor.h"
#include "lab/agent.h"
#include "lab/redis.h"
#include "lab/source.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

const RequestSeries kRails{.counter = {"requests.count"},
                           .error_when = {},
                           .errors = {"requests.status{status=~\"5..\"}"},
                           .histogram = {"requests.duration"},
                           .latency_unit = 1e-3};

sockaddr_in loopback(int port) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<std::uint16_t>(port));
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return at;
}

/// A UDP socket on a port of its own.
struct Holder {
  Descriptor socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  int port = 0;
  Holder() {
    sockaddr_in at = loopback(0);
    socklen_t size = sizeof at;
    REQUIRE(::bind(socket.fd(), reinterpret_cast<sockaddr*>(&at), size) == 0);
    REQUIRE(getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&at), &size) == 0);
    port = ntohs(at.sin_port);
  }
};

int free_udp_port() {
  return Holder().port;
}

/// Sends to a UDP port of loopback, or to a Unix socket.
class Client {
 public:
  explicit Client(int port) : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at = loopback(port);
    REQUIRE(::connect(socket_.fd(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
  }
  explicit Client(const std::string& path)
      : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::strncpy(at.sun_path, path.c_str(), sizeof at.sun_path - 1);
    is_connected_ = ::connect(socket_.fd(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0;
  }
  bool is_connected() const { return is_connected_; }
  /// Whether anybody listens or not.
  void try_send(const std::string& packet) const {
    [[maybe_unused]] ssize_t sent = ::send(socket_.fd(), packet.data(), packet.size(), 0);
  }
  void send(const std::string& packet) const {
    CHECK(::send(socket_.fd(), packet.data(), packet.size(), 0) ==
          static_cast<ssize_t>(packet.size()));
  }

 private:
  Descriptor socket_;
  bool is_connected_ = true;
};

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// All that came in several rounds.
struct Sums {
  double baseline = 0;
  double canary = 0;
  double errors = 0;
  double lines = 0;
  double lost = 0;
  double malformed = 0;
  std::string trouble;  // of the last round

  void add(const Collected& collected) {
    lines += lab::times(collected, "lines");
    lost += lab::times(collected, "lost_packets");
    malformed += lab::times(collected, "malformed_lines");
    trouble = collected.trouble;
    if (!collected.block) return;
    baseline += collected.block->baseline.requests;
    canary += collected.block->canary.requests;
    errors += collected.block->canary.errors;
  }
};

/// The first round is over, so it listens.
struct Listening : lab::SourceRunner {
  explicit Listening(const lab::Settings& settings) : SourceRunner("statsd", settings, kRails) {
    first = collect();
  }
  /// Rounds until so many lines have come.
  Sums until(double lines) {
    Sums sums;
    CHECK(lab::eventually([&] {
      sums.add(collect());
      return sums.lines >= lines;
    }));
    return sums;
  }
  Collected first;
};

lab::Settings on(int port, const lab::Settings& more = {}) {
  lab::Settings settings = {{"listen", fmt::format("127.0.0.1:{}", port)}};
  settings.insert(settings.end(), more.begin(), more.end());
  return settings;
}

std::string request(int version, int status, unsigned long ms) {
  return fmt::format(
      "requests.count:1|c|#version:v{0}\nrequests.duration:{2}|ms|#version:v{0}\n"
      "requests.status:1|c|#version:v{0},status:{1}",
      version, status, ms);
}

}  // namespace

TEST_CASE("what is sent over UDP becomes blocks") {
  int port = free_udp_port();
  Listening source(on(port));
  CHECK(source.source().describe() == fmt::format("StatsD on udp 127.0.0.1:{}", port));
  CHECK(source.first.trouble == "");
  CHECK_FALSE(source.first.block);
  Client client(port);
  for (int i = 0; i < 100; ++i) client.send(request(1, 200, 10));
  for (int i = 0; i < 10; ++i) client.send(request(2, i < 3 ? 500 : 200, 20));
  Sums sums = source.until(330);
  CHECK(sums.baseline == 100);
  CHECK(sums.canary == 10);
  CHECK(sums.errors == 3);
  CHECK(sums.trouble == "");
}

TEST_CASE("what is sent over a Unix socket and over IPv6 is counted with the rest") {
  lab::TempDir dir;
  int port = free_udp_port();
  std::string path = dir / "statsd.sock";
  std::optional<Listening> source(
      std::in_place, lab::Settings{{"listen", fmt::format("127.0.0.1:{}\nunix:{}", port, path)}});
  CHECK(source->source().describe() ==
        fmt::format("StatsD on udp 127.0.0.1:{} and unix:{}", port, path));
  struct stat made {};
  REQUIRE(::stat(path.c_str(), &made) == 0);
  CHECK((made.st_mode & 0777) == 0722);
  Client(port).send(request(1, 200, 10));
  Client unix_client(path);
  REQUIRE(unix_client.is_connected());
  for (int i = 0; i < 500; ++i) unix_client.send(request(2, 200, 10));
  Sums sums = source->until(1503);
  CHECK(sums.baseline == 1);
  CHECK(sums.canary == 500);
  source.reset();
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a socket that a dead server left is replaced, and one in use or no socket is not") {
  lab::TempDir dir;
  std::string path = dir / "statsd.sock";
  lab::Settings settings = {{"listen", "unix:" + path}, {"socket_mode", "0600"}};
  {
    Descriptor dead(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::strncpy(at.sun_path, path.c_str(), sizeof at.sun_path - 1);
    REQUIRE(::bind(dead.fd(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
    Listening refused(settings);
    CHECK(refused.first.blind);
    CHECK(refused.first.trouble == "unix:" + path + ": another server listens there");
  }
  CHECK(std::filesystem::exists(path));
  {
    Listening source(settings);
    CHECK(source.first.trouble == "");
    struct stat made {};
    REQUIRE(::stat(path.c_str(), &made) == 0);
    CHECK((made.st_mode & 0777) == 0600);
    Client(path).send(request(1, 200, 10));
    CHECK(source.until(3).baseline == 1);
    // Somebody else's socket is not ours to remove.
    std::filesystem::remove(path);
    lab::write_file(path, "a file");
  }
  CHECK(std::filesystem::exists(path));
  Listening refused(settings);
  CHECK(refused.first.trouble == "unix:" + path + ": a file is there that is no socket");
  CHECK(Listening({{"listen", "unix:" + dir / "none" + "/statsd.sock"}}).first.trouble ==
        "unix:" + dir / "none" + "/statsd.sock: cannot be listened on: No such file or directory");
}

TEST_CASE("a port that is taken is told each round, and taken over when it is free") {
  std::optional<Holder> holder(std::in_place);
  int port = holder->port;
  Listening source(on(port));
  for (int i = 0; i < 2; ++i) {
    Collected round = source.collect();
    CHECK(round.blind);
    CHECK(round.trouble ==
          fmt::format("udp 127.0.0.1:{}: is taken (by another StatsD server, or another deployment "
                      "of davy's?)",
                      port));
  }
  holder.reset();
  Collected free = source.collect();
  CHECK_FALSE(free.blind);
  CHECK(free.trouble == "");
  Client(port).send(request(2, 200, 10));
  CHECK(source.until(3).canary == 1);
}

TEST_CASE("one of two addresses that is taken is told, and the other one works") {
  Holder holder;
  int port = free_udp_port();
  Listening source({{"listen", fmt::format("127.0.0.1:{}\n127.0.0.1:{}", holder.port, port)}});
  CHECK_FALSE(source.first.blind);
  CHECK(holds(source.first.trouble, fmt::format("udp 127.0.0.1:{}: is taken", holder.port)));
  Client(port).send(request(2, 200, 10));
  CHECK(source.until(3).canary == 1);
}

TEST_CASE("a large packet is taken whole, and of one that is too large all but the last line") {
  lab::TempDir dir;
  int port = free_udp_port();
  std::string path = dir / "statsd.sock";
  Listening source({{"listen", fmt::format("127.0.0.1:{}\nunix:{}", port, path)}});
  std::string packet = "requests.count:1|c|#version:v1";
  double lines = 1;
  for (; packet.size() < 60'000; ++lines) packet += "\nrequests.count:1|c|#version:v1";
  Client(port).send(packet);
  CHECK(source.until(lines).baseline == lines);
  while (packet.size() < 100'000) packet += "\nrequests.count:1|c|#version:v1";
  Client(path).send(packet);
  Sums sums;
  REQUIRE(lab::eventually([&] {
    sums.add(source.collect());
    return holds(sums.trouble, "1 packet that was cut off, such as one of more than 65536 bytes");
  }));
  CHECK(sums.baseline == 65'536 / 31);
  CHECK(sums.malformed == 0);
}

TEST_CASE("a flood of garbage is counted, hides no request and stops no round") {
  int port = free_udp_port();
  Listening source(on(port));
  std::atomic<bool> stop = false;
  std::thread flood([&] {
    Client client(port);
    std::mt19937 random(1);
    std::string garbage(1000, 'x');
    while (!stop) {
      for (char& c : garbage) c = static_cast<char>(random());
      for (int i = 0; i < 20; ++i) client.send(garbage);
    }
  });
  Client client(port);
  double sent = 0;
  Sums sums;
  bool is_flooded = lab::eventually([&] {
    for (int i = 0; i < 20; ++i, ++sent) client.send("requests.count:1|c|#version:v2");
    sums.add(source.collect(5s));
    return sums.malformed > 100'000;
  });
  stop = true;
  flood.join();
  CHECK(lab::eventually([&] {
    sums.add(source.collect());
    return sums.canary + sums.lost >= sent;
  }));
  CHECK(is_flooded);
  CHECK(holds(sums.trouble, "malformed lines, such as \""));
  if (sums.lost == 0) CHECK(sums.canary == sent);
}

TEST_CASE("a bomb of tags is bounded and counted to the last line") {
  int port = free_udp_port();
  Listening source(on(port, {{"max_series", "1000"}}));
  Client client(port);
  Sums sums;
  for (int i = 0; i < 20'000; ++i) {
    client.send(fmt::format("requests.count:1|c|#version:v2,user:{}", i));
    if (i % 1000 == 999) sums.add(source.collect());
  }
  CHECK(lab::eventually([&] {
    sums.add(source.collect());
    return sums.lines + sums.lost >= 20'000;
  }));
  CHECK(sums.canary == sums.lines);
  CHECK(holds(sums.trouble, "lines of series beyond the limit, such as \"requests.count\""));
}

TEST_CASE("packets that come while nobody takes them wait, and those beyond the buffer are told") {
  int port = free_udp_port();
  Listening source(on(port));
  Client client(port);
  // As many as no buffer holds: whether the thread is quick enough or not, none goes unnoticed.
  std::string packet = "requests.count:1|c|#version:v2" + std::string(30'000, '\n');
  constexpr double kSent = 3000;
  for (int i = 0; i < kSent; ++i) client.send(packet);
  Sums sums;
  CHECK(lab::eventually([&] {
    sums.add(source.collect());
    return sums.canary + sums.lost >= kSent;
  }));
  CHECK(sums.canary + sums.lost == kSent);
}

TEST_CASE("service checks reach the heartbeats that they are named for") {
  int port = free_udp_port();
  Listening source(on(port, {{"service_checks", "app.queue=worker"}}));
  Client(port).send("_sc|app.queue|2|#env:test|m:consumer stuck\n_sc|other|0");
  CHECK(lab::eventually([&] {
    source.collect();
    return source.heartbeats().last("worker").has_value();
  }));
  CHECK(source.heartbeats().last("worker")->said == Heartbeats::Said::Fail);
  CHECK(source.heartbeats().last("worker")->message == "consumer stuck");
  CHECK_FALSE(source.heartbeats().last("other"));
}

TEST_CASE("a source that goes on after a restart knows the gauges and what it has seen") {
  std::string saved;
  int port = free_udp_port();
  {
    Listening killed(on(port));
    Client(port).send(request(1, 200, 10));
    CHECK(killed.until(3).baseline == 1);
    saved = killed.saved();
  }
  lab::SourceRunner next("statsd", on(port), kRails);
  REQUIRE(next.load(saved));
  CHECK_FALSE(next.collect().block);
  Collected second = next.collect();
  REQUIRE(second.block);
  CHECK(second.block->baseline.requests == 0);
  CHECK(second.block->baseline.latency);
  lab::SourceRunner other("statsd", on(port, {{"canary_when", "version=\"v3\""}}), kRails);
  CHECK_FALSE(other.load(saved));
}

TEST_CASE("settings that cannot work are refused") {
  auto refused = [](const lab::Settings& settings) {
    auto made = lab::make_source("statsd", settings, kRails);
    return made ? "" : made.error().setting + ": " + made.error().what;
  };
  CHECK(refused({}) == "");
  CHECK(refused({{"listen", "[::1]:8125"}}) == "");
  CHECK(refused({{"listen", "unix:///run/davy/statsd.sock"}}) == "");
  CHECK(refused({{"listen", "8125"}}) ==
        "listen: \"8125\" is not an address (try host:port or [::1]:port)");
  CHECK(holds(refused({{"listen", "shop.example:8125"}}),
              "listen: \"shop.example:8125\" names no address of this machine by number"));
  CHECK(holds(refused({{"listen", "unix:statsd.sock"}}), "is no absolute path of a socket"));
  CHECK(holds(refused({{"listen", "unix:/" + std::string(120, 'x')}}),
              "is too long for a socket (107 bytes at most)"));
  CHECK(refused({{"listen", "127.0.0.1:8125\nlocalhost:8125"}}) ==
        "listen: udp 127.0.0.1:8125 stands there twice");
  CHECK(holds(refused({{"socket_mode", "rw"}}), "socket_mode: \"rw\" are no permissions"));
  CHECK(holds(refused({{"socket_mode", "1777"}}), "socket_mode: "));
  CHECK(holds(refused({{"baseline_when", "v1"}}), "baseline_when: \"v1\" is not a selector"));
  CHECK(holds(refused({{"canary_when", ""}}), "canary_when: "));
  const SourceKind& kind = lab::source_kind("statsd");
  Options tagged = lab::options_for(kind.options, {{"canary_when", "version=\"v2\""}});
  auto published = kind.make({tagged, kRails, {}, "shop", true});
  REQUIRE_FALSE(published);
  CHECK(published.error().setting == "canary_when");
  CHECK(published.error().what ==
        "tells versions apart, and what is published is one (leave it out)");
  CHECK(holds(refused({{"every", "1ms"}}), "every: 1ms is too often"));
  CHECK(holds(refused({{"max_series", "0"}}), "max_series: is not possible"));
  CHECK(holds(refused({{"service_checks", "a="}}), "service_checks: "));
}

TEST_CASE("an agent to which both versions send comes to a verdict, with the preset for Rails") {
  int port = free_udp_port();
  lab::TempDir dir;
  lab::Agent agent(fmt::format(R"(state_dir: {}
checks:
  - {{ name: worker, heartbeat: {{ ttl: 1h }}, period: 100ms, period_fast: 100ms, timeout: 100ms }}
deployments:
  - name: shop
    source: {{ statsd: {{ listen: "127.0.0.1:{}", every: 200ms, service_checks: [queue=worker] }} }}
    requests: {{ preset: statsd-rails }}
    policy: {{ min_stage: 1s, warm_up: 0s }}
)",
                               dir.path(), port));
  Client client(port);
  std::mt19937 random(1);
  std::atomic<bool> stop = false;
  std::thread application([&] {
    while (!stop) {
      for (int i = 0; i < 40; ++i) client.send(request(1, 200, 10 + random() % 10));
      for (int i = 0; i < 40; ++i)
        client.send(request(2, random() % 5 == 0 ? 500 : 200, 10 + random() % 10));
      client.send("_sc|queue|0|m:turning\ngarbage");
      std::this_thread::sleep_for(5ms);
    }
  });
  lab::Finished waited =
      lab::davy({"gate", "wait", "shop", "--url", agent.api_url(), "--timeout", "90s"});
  stop = true;
  application.join();
  CAPTURE(waited.output);
  CHECK(waited.code == 1);
  CHECK(holds(waited.output, "fail: Roll back (error rate): V2 fails"));
  nlohmann::json verdict = nlohmann::json::parse(agent.get("/v1/deployments/shop/verdict").body);
  CHECK(verdict["requests"]["baseline"] > 1000);
  std::string metrics = agent.get("/metrics").body;
  CHECK(holds(metrics, "davy_source_events_total{deployment=\"shop\",event=\"malformed_lines\"}"));
  CHECK(holds(metrics, "davy_source_events_total{deployment=\"shop\",event=\"lines\"}"));
  CHECK(lab::eventually([&] { return agent.health("/readyz/worker").status == 200; }));
  std::string log = agent.process().output();
  CHECK(holds(log, "such as \\\"garbage\\\": no colon after a name"));
  std::size_t told = 0;
  for (std::size_t at = 0; (at = log.find("malformed line", at)) != std::string::npos; ++at) ++told;
  CHECK(told <= 3);  // once by the source, once by the watch, though each round had some
}

TEST_CASE("what sidecars are sent is published, and judged elsewhere") {
  lab::Redis redis;
  auto sidecar = [&](const std::string& version, int port) {
    return fmt::format(R"(publish:
  - deployment: shop
    version: {}
    instance: web-{}
    source: {{ statsd: {{ listen: "127.0.0.1:{}", every: 250ms }} }}
    requests: {{ preset: statsd-rails }}
    to: {{ redis_exchange: {{ url: "{}" }} }}
)",
                       version, version, port, redis.url());
  };
  int port_v1 = free_udp_port();
  int port_v2 = free_udp_port();
  lab::Agent v1(sidecar("v1", port_v1));
  lab::Agent v2(sidecar("v2", port_v2));
  lab::Agent judge(fmt::format(R"(deployments:
  - name: shop
    source: {{ redis_exchange: {{ url: "{}", baseline: v1, canary: v2, every: 500ms }} }}
    policy: {{ min_stage: 1s, warm_up: 0s }}
)",
                               redis.url()));
  Client to_v1(port_v1);
  Client to_v2(port_v2);
  // Their tags say nothing: each sidecar knows what it stands beside.
  bool has_failed = lab::eventually(
      [&] {
        for (int i = 0; i < 20; ++i) {
          to_v1.try_send(
              "requests.count:1|c\nrequests.duration:9|ms\nrequests.status:1|c|#status:200");
          to_v2.try_send(
              "requests.count:1|c\nrequests.duration:9|ms\nrequests.status:1|c|#status:500");
        }
        auto verdict =
            nlohmann::json::parse(judge.get("/v1/deployments/shop/verdict").body, nullptr, false);
        return verdict.is_object() && verdict.value("verdict", "") == "fail";
      },
      120s);
  CAPTURE(v2.process().output());
  CAPTURE(judge.process().output());
  CHECK(has_failed);
}
