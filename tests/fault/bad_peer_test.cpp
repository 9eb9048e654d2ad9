// Peers that misbehave in every way, for every kind that asks over the network: each has a reason.
// Fault group "bad peers".
//
// Rows of the group that are tested where the kind is:
//   slow-loris HTTP body and head, oversized body, head without end, gzip bomb, garbage
//                            integration/net_http_client_test.cpp, probe_http_test.cpp
//   HTTP a byte at a time    integration/net_http_client_test.cpp
//   a Redis answer that drips or has no end, a peer that is no Redis
//                            integration/probe_redis_test.cpp
//   certificates: expired, not yet valid, another name, nobody's
//                            integration/probe_tls_certificate_test.cpp; for HTTP and gRPC
//                            net_http_client_test.cpp, probe_grpc_test.cpp
//   wrong, late and garbage answers of name servers
//                            integration/probe_dns_test.cpp
//   a peer that is killed, and its link cut: fault/network_test.cpp

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <future>
#include <utility>

#include "lab/postgres.h"
#include "lab/probe.h"
#include "lab/process.h"
#include "lab/redis.h"
#include "lab/server.h"
#include "lab/tls_server.h"
#include "net/means.h"
#include "net/socket.h"

using namespace davy;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

/// A kind, set up to ask this address.
struct Asker {
  std::string name;
  lab::Settings settings;
};

std::vector<Asker> askers(const std::string& address) {
  std::string dsn = "postgresql://app@" + address + "/shop";
  std::string redis = "redis://" + address + "/0";
  return {
      {"tcp", {{"address", address}, {"expect", "220 "}}},
      {"http", {{"url", "http://" + address + "/up"}}},
      {"grpc", {{"address", address}}},
      {"tls_certificate", {{"address", address}}},
      {"postgres", {{"dsn", dsn}}},
      {"migrations", {{"dsn", dsn}, {"tool", "rails"}}},
      {"redis", {{"url", redis}}},
      {"sidekiq", {{"url", redis}}},
  };
}

/// What each kind says of a peer, all asked at once: "tcp closed, http protocol, ...".
std::string reasons(const std::string& address, std::chrono::milliseconds timeout) {
  std::vector<std::pair<std::string, std::future<Outcome>>> asked;
  for (const Asker& asker : askers(address)) {
    asked.emplace_back(asker.name, std::async(std::launch::async, [asker, timeout] {
                         return lab::run_probe(asker.name, asker.settings, timeout);
                       }));
  }
  std::string all;
  for (auto& one : asked) {
    const std::string& name = one.first;
    Outcome seen = one.second.get();
    INFO(name << ": " << lab::show(seen));
    CHECK(seen.kind == Outcome::Kind::Fail);
    CHECK(seen.message.find("127.0.0.1") != std::string::npos);
    CHECK(seen.message.size() < 600);
    all += fmt::format("{}{} {}{}", all.empty() ? "" : ", ", name, seen.hard ? "hard " : "",
                       seen.reason);
  }
  return all;
}

constexpr const char* kAllTimedOut =
    "tcp timeout, http timeout, grpc timeout, tls_certificate timeout, postgres timeout, "
    "migrations timeout, redis timeout, sidekiq timeout";

/// A listener that nobody accepts from, and whose queue is full.
struct FullQueue {
  FullQueue() : listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    auto* generic = reinterpret_cast<sockaddr*>(&at);
    REQUIRE(::bind(listener.fd(), generic, size) == 0);
    REQUIRE(::listen(listener.fd(), 2) == 0);
    REQUIRE(::getsockname(listener.fd(), generic, &size) == 0);
    port = ntohs(at.sin_port);
    net::Means means;
    while (true) {
      auto made = net::connect_tcp({"127.0.0.1", port}, {Deadline::in(300ms), means});
      if (std::holds_alternative<net::ConnectError>(made)) return;
      waiting.push_back(std::move(std::get<net::Socket>(made)));
      REQUIRE(waiting.size() < 10);
    }
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port); }

  net::Socket listener;
  int port = 0;
  std::vector<net::Socket> waiting;
};

/// Passes each byte on in a packet of its own.
void a_byte_at_a_time(const lab::Connection& client, std::string_view bytes) {
  for (char byte : bytes) {
    if (!client.send({&byte, 1})) return;
  }
}

/// Whether this build speaks TLS with Redis.
bool knows(const lab::Settings& redis) {
  std::string why_not = lab::refusal("redis", redis);
  if (!why_not.empty()) MESSAGE("skipped: Redis over TLS: " << why_not);
  return why_not.empty();
}

}  // namespace

TEST_CASE("a peer that accepts and says nothing is a timeout for every kind") {
  lab::Server mute(lab::mute());
  CHECK(reasons(mute.address(), 200ms) == kAllTimedOut);
}

TEST_CASE("a peer whose queue is full and that never accepts is a timeout for every kind") {
  FullQueue full;
  CHECK(reasons(full.address(), 200ms) == kAllTimedOut);
}

TEST_CASE("a peer that resets as soon as it accepts is told for every kind") {
  lab::Server server(lab::reset_on_accept());
  // Which of the two it is depends on whether the reset overtakes the end of the connect.
  std::string seen = reasons(server.address(), 5s);
  for (std::size_t at = 0; (at = seen.find("refused", at)) != std::string::npos;)
    seen.replace(at, 7, "closed");
  for (std::string own : {"http protocol", "grpc protocol", "tls_certificate tls"}) {
    if (std::size_t at = seen.find(own); at != std::string::npos)
      seen.replace(at, own.size(), own.substr(0, own.find(' ')) + " closed");
  }
  CHECK(seen ==
        "tcp closed, http closed, grpc closed, tls_certificate closed, postgres closed, "
        "migrations closed, redis closed, sidekiq closed");
}

TEST_CASE("a peer that closes as soon as it accepts is told for every kind") {
  lab::Server server([](const lab::Connection&) {});
  CHECK(reasons(server.address(), 5s) ==
        "tcp closed, http protocol, grpc protocol, tls_certificate tls, postgres closed, "
        "migrations closed, redis closed, sidekiq closed");
}

TEST_CASE("a peer that answers garbage is told for every kind") {
  lab::Server server([](const lab::Connection& peer) {
    peer.send("\x7f\x01garbage\xff\xfe\r\n\r\n");
    peer.shut_writing();
    peer.hang();
  });
  CHECK(reasons(server.address(), 5s) ==
        "tcp unexpected, http protocol, grpc protocol, tls_certificate tls, postgres protocol, "
        "migrations protocol, redis protocol, sidekiq protocol");
}

TEST_CASE("a peer that floods whoever asks is told for every kind, and not read for ever") {
  lab::Server server([](const lab::Connection& peer) {
    const std::string zeros(64 * 1024, '0');
    while (peer.send(zeros)) {
    }
  });
  CHECK(reasons(server.address(), 5s) ==
        "tcp unexpected, http body, grpc protocol, tls_certificate tls, postgres protocol, "
        "migrations protocol, redis protocol, sidekiq protocol");
}

TEST_CASE("a peer that drips is a timeout, or told as soon as it is no peer of the kind") {
  lab::Server server([](const lab::Connection& peer) {
    while (peer.send("x") && peer.pause(100ms)) {
    }
  });
  CHECK(reasons(server.address(), 300ms) ==
        "tcp timeout, http timeout, grpc timeout, tls_certificate timeout, postgres protocol, "
        "migrations protocol, redis protocol, sidekiq protocol");
}

TEST_CASE("PostgreSQL and Redis a byte at a time are well") {
  lab::Postgres& postgres = lab::Postgres::shared();
  lab::Redis real;
  lab::Server slow_postgres(lab::relay_to(postgres.port(), a_byte_at_a_time));
  lab::Server slow_redis(lab::relay_to(real.port(), a_byte_at_a_time));
  std::string dsn = "postgresql://app@" + slow_postgres.address() + "/shop";
  std::string url = "redis://" + slow_redis.address() + "/0";
  CHECK(lab::show(lab::run_probe("postgres", {{"dsn", dsn}, {"expect", "primary"}})) == "pass");
  std::string locked = "postgresql://locked:secret@" + slow_postgres.address() + "/shop";
  CHECK(lab::show(lab::run_probe("postgres", {{"dsn", locked}})) == "pass");
  CHECK(lab::run_probe("postgres", {{"dsn", locked + "2"}}).reason == "no_such_database");
  CHECK(lab::run_probe("migrations", {{"dsn", dsn}, {"tool", "rails"}}).reason == "uninitialised");
  CHECK(lab::show(lab::run_probe("redis", {{"url", url}, {"expect", "writable"}})) == "pass");
  CHECK(lab::run_probe("sidekiq", {{"url", url}}).reason == "no_process");
}

TEST_CASE("an answer that is cut in the middle is a connection that ended") {
  lab::Postgres& postgres = lab::Postgres::shared();
  lab::Redis real;
  auto cut = [](const lab::Connection& client, std::string_view bytes) {
    client.send(bytes.substr(0, bytes.size() - 1));
    client.shut_writing();
  };
  lab::Server cut_postgres(lab::relay_to(postgres.port(), cut));
  lab::Server cut_redis(lab::relay_to(real.port(), cut));
  Outcome seen = lab::run_probe("postgres", {{"dsn", "postgresql://app@" + cut_postgres.address() +
                                                         "/shop?sslmode=disable"}});
  CHECK_MESSAGE(seen.reason == "closed", lab::show(seen));
  seen = lab::run_probe("redis", {{"url", "redis://" + cut_redis.address() + "/0"}});
  CHECK_MESSAGE(seen.reason == "closed", lab::show(seen));
}

TEST_CASE("a PostgreSQL that never stops talking while it logs somebody in is a timeout") {
  // AuthenticationOk and then ParameterStatus (PostgreSQL manual 55.7), over and over.
  const std::string welcome = "R"s + std::string(3, '\0') + '\x08' + std::string(4, '\0');
  const std::string name_and_value = "a"s + '\0' + "b" + '\0';
  const std::string setting = "S"s + std::string(3, '\0') + '\x08' + name_and_value;
  lab::Server server([=](const lab::Connection& peer) {
    peer.receive();
    peer.send(welcome);
    while (peer.send(setting) && peer.pause(1ms)) {
    }
  });
  std::string dsn = "postgresql://app@" + server.address() + "/shop?sslmode=disable";
  Outcome seen = lab::run_probe("postgres", {{"dsn", dsn}}, 300ms);
  CHECK_MESSAGE(seen.reason == "timeout", lab::show(seen));
}

TEST_CASE("a TLS alert in place of a handshake is told as TLS by every kind that speaks it") {
  const std::string alert("\x15\x03\x03\x00\x02\x02\x28", 7);  // fatal, handshake_failure
  lab::Server server(lab::raw(alert));
  lab::Server postgres([alert](const lab::Connection& peer) {
    peer.receive();
    peer.send("S");
    peer.receive();
    peer.send(alert);
  });
  const std::pair<const char*, lab::Settings> all[] = {
      {"http", {{"url", "https://" + server.address() + "/"}}},
      {"grpc", {{"address", server.address()}, {"tls", "true"}}},
      {"tls_certificate", {{"address", server.address()}}},
      {"redis", {{"url", "rediss://" + server.address() + "/0"}}},
      {"postgres", {{"dsn", "postgresql://app@" + postgres.address() + "/shop?sslmode=require"}}},
  };
  for (const auto& asked : all) {
    const std::string kind = asked.first;
    const lab::Settings& settings = asked.second;
    if (kind == "redis" && !knows(settings)) continue;
    Outcome seen = lab::run_probe(kind, settings);
    CHECK_MESSAGE(seen.reason == "tls", kind << ": " << lab::show(seen));
    CHECK(seen.kind == Outcome::Kind::Fail);
  }
}

TEST_CASE("a certificate for another name is told as TLS by PostgreSQL and Redis") {
  lab::TlsServer other("DNS:other.test");
  lab::Settings redis{{"url", "rediss://" + other.address() + "/0"}};
  if (knows(redis)) {
    Outcome seen = lab::run_probe("redis", redis);
    CHECK_MESSAGE(seen.reason == "tls", lab::show(seen));
  }
  lab::Postgres& server = lab::Postgres::shared();
  lab::run({{"chown", "-R", "postgres", other.dir.path()}});
  server.stop();
  server.start(
      {"ssl=on", "ssl_cert_file=" + (other.dir / "cert"), "ssl_key_file=" + (other.dir / "key")});
  std::string trusting = server.dsn() + "?sslrootcert=" + (other.dir / "cert") + "&sslmode=";
  CHECK(lab::show(lab::run_probe("postgres", {{"dsn", trusting + "verify-ca"}})) == "pass");
  Outcome seen = lab::run_probe("postgres", {{"dsn", trusting + "verify-full"}});
  server.stop();
  server.start();
  CHECK_MESSAGE(seen.reason == "tls", lab::show(seen));
}

TEST_CASE("a port that accepts passes as TCP although its application answers 500") {
  lab::Server app(lab::http(500, "broken"));
  CHECK(lab::show(lab::run_probe("tcp", {{"address", app.address()}})) == "pass");
  CHECK(lab::run_probe("http", {{"url", app.url()}}).reason == "status");
}

TEST_CASE("a compressed bomb and a body beyond its limit end while they are read") {
  // 10 MB of zeros: `head -c 10000000 /dev/zero | gzip -9`, made here.
  lab::TempDir dir;
  REQUIRE(
      lab::run({{"sh", "-c", "head -c 10000000 /dev/zero | gzip -9 > " + (dir / "bomb")}}).code ==
      0);
  std::string bomb = lab::run({{"cat", dir / "bomb"}}).output;
  lab::Server server(lab::http(200, bomb, {{"Content-Encoding", "gzip"}}));
  Outcome seen = lab::run_probe("http", {{"url", server.url()}, {"max_body", "64KiB"}});
  CHECK_MESSAGE(seen.reason == "body", lab::show(seen));
}
