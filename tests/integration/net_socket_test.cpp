#include "net/socket.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "lab/process.h"
#include "lab/server.h"
#include "net/means.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

net::ConnectError failure(const net::Endpoint& to, Duration timeout = 10s) {
  net::Means means;
  auto made = net::connect_tcp(to, {Deadline::in(timeout), means});
  REQUIRE(std::holds_alternative<net::ConnectError>(made));
  return std::get<net::ConnectError>(made);
}

}  // namespace

TEST_CASE("a name is tried at each of its addresses until one accepts") {
  net::Means means;
  lab::Server server(lab::mute());  // listens on 127.0.0.1 only
  auto made = net::connect_tcp({"localhost", server.port()}, {Deadline::in(10s), means});
  CHECK(std::holds_alternative<net::Socket>(made));
}

TEST_CASE("a refused connection names what was tried") {
  int port = lab::free_port();
  net::ConnectError error = failure({"localhost", port});
  CHECK(error.kind == net::ConnectFailure::Refused);
  CHECK(error.what.find("127.0.0.1") != std::string::npos);
  CHECK(error.what.find("refused") != std::string::npos);
}

TEST_CASE("a connection that nobody accepts ends at its deadline") {
  net::Means means;
  // A listener whose queue is full drops what comes next, like a firewall.
  net::Socket listener(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(::bind(listener.fd(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::listen(listener.fd(), 0) == 0);
  REQUIRE(::getsockname(listener.fd(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  net::Endpoint to{"127.0.0.1", ntohs(address.sin_port)};

  std::vector<std::variant<net::Socket, net::ConnectError>> kept;
  bool full = false;
  for (int i = 0; i < 16 && !full; ++i) {
    kept.push_back(net::connect_tcp(to, {Deadline::in(200ms), means}));
    full = std::holds_alternative<net::ConnectError>(kept.back());
  }
  REQUIRE(full);
  CHECK(std::get<net::ConnectError>(kept.back()).kind == net::ConnectFailure::Timeout);
}

TEST_CASE("a deadline that has passed is a timeout without a try") {
  lab::Server server(lab::mute());
  CHECK(failure({"127.0.0.1", server.port()}, -1s).kind == net::ConnectFailure::Timeout);
}

TEST_CASE("running out of descriptors is our own failure") {
  net::Means means;
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit none{0, before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  auto made = net::connect_tcp({"127.0.0.1", 9}, {Deadline::in(10s), means});
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(std::get<net::ConnectError>(made).kind == net::ConnectFailure::Resources);
}

TEST_CASE("a connection to itself counts as refused") {
  net::Means means;
  // The kernel walks the even ports of the ephemeral range for the source of a connect, so asking
  // an even one often enough makes it pick that very port.
  net::Endpoint to{"127.0.0.1", lab::free_port() & ~1};
  bool connected = false;
  for (int i = 0; i < 70000 && !connected; ++i) {
    connected =
        std::holds_alternative<net::Socket>(net::connect_tcp(to, {Deadline::in(10s), means}));
  }
  CHECK_FALSE(connected);
}
