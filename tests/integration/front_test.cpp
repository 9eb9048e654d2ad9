// The HTTP front against clients that behave as badly as they can, over real sockets.

#include "serve/front.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "lab/process.h"
#include "net/http_client.h"
#include "net/means.h"
#include "net/socket.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

/// Echoes what it was asked; /boom throws, /slow is held.
std::atomic<int> held{0};  // requests for /slow

serve::Response echo(const serve::Request& request) {
  if (request.path == "/boom") throw std::runtime_error("password=hunter2");
  if (request.path == "/slow") {
    ++held;
    return {.body = "late\n", .hold = 1s};
  }
  std::string query;
  for (const auto& [key, value] : request.query) query += key + "=" + value + ";";
  return {.body = fmt::format("{} {} {} {}\n", request.method, request.path, query, request.body)};
}

struct Bench {
  std::atomic<int> shed{0};
  net::Means net;
  serve::Front front;

  explicit Bench(serve::ConnectionLimits limits = {})
      : front("test", limits, echo, [this] { ++shed; }) {
    REQUIRE(front.start({"127.0.0.1", 0}));
  }

  net::Socket connect() {
    auto made = net::connect_tcp({"127.0.0.1", front.port()}, {Deadline::in(5s), net});
    REQUIRE(std::holds_alternative<net::Socket>(made));
    return std::get<net::Socket>(std::move(made));
  }

  /// Sends bytes on a connection of their own; what comes back until the end.
  std::string raw(const std::string& bytes) {
    net::Socket socket = connect();
    REQUIRE(::send(socket.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(bytes.size()));
    return read_all(socket);
  }

  std::string read_all(const net::Socket& socket) {
    net::Watchdog::Guard guard(net.watchdog, Deadline::in(10s), socket.fd());
    std::string all;
    char buffer[4096];
    for (ssize_t n; (n = ::recv(socket.fd(), buffer, sizeof buffer, 0)) > 0;)
      all.append(buffer, static_cast<std::size_t>(n));
    CHECK_FALSE(guard.fired());
    return all;
  }

  int status(const std::string& path) {
    net::HttpClient client(
        {.scheme = "http", .host = "127.0.0.1", .port = front.port(), .target = "/"}, {});
    auto answer = client.call({.target = path}, {Deadline::in(5s), net});
    net::HttpResponse* response = std::get_if<net::HttpResponse>(&answer);
    return response == nullptr ? 0 : response->status;
  }
};

}  // namespace

TEST_CASE("a request with a query and one with a body reach the handler") {
  Bench b;
  CHECK(b.raw("GET /a%20b?x=1&y=2 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
            .find("GET /a b x=1;y=2;") != std::string::npos);
  CHECK(b.raw("POST /p HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello")
            .find("POST /p  hello") != std::string::npos);
}

TEST_CASE("HEAD has the headers of GET and no body") {
  Bench b;
  std::string answer = b.raw("HEAD /x HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
  CHECK(answer.starts_with("HTTP/1.1 200"));
  CHECK(answer.find("Content-Length: ") != std::string::npos);
  CHECK(answer.ends_with("\r\n\r\n"));
}

TEST_CASE("pipelined requests are answered in their order on one connection") {
  Bench b;
  std::string answers = b.raw(
      "GET /1 HTTP/1.1\r\nHost: t\r\n\r\nGET /2 HTTP/1.1\r\nHost: t\r\n\r\nGET /3 "
      "HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
  std::size_t one = answers.find("GET /1"), two = answers.find("GET /2"),
              three = answers.find("GET /3");
  CHECK(one < two);
  CHECK(two < three);
  CHECK(three != std::string::npos);
}

TEST_CASE("hundreds of requests in one packet are answered one after the other") {
  Bench b;
  std::string bytes;
  for (int i = 0; i < 700; ++i) bytes += "GET /a HTTP/1.1\r\n\r\n";
  std::string answers = b.raw(bytes + "GET /end HTTP/1.1\r\nConnection: close\r\n\r\n");
  std::size_t count = 0;
  for (std::size_t at = 0; (at = answers.find("GET /a", at)) != std::string::npos; ++at) ++count;
  CHECK(count == 700);
  CHECK(answers.find("GET /end") != std::string::npos);
}

TEST_CASE("a handler that throws answers 500 and tells nothing") {
  Bench b;
  std::string answer = b.raw("GET /boom HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
  CHECK(answer.starts_with("HTTP/1.1 500"));
  CHECK(answer.find("hunter2") == std::string::npos);
}

TEST_CASE("hostile requests are refused with the right status and the next client is served") {
  Bench b;
  const std::pair<std::string, std::string> cases[] = {
      {"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
       "HTTP/1.1 411"},
      {"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nContent-Length: 4\r\n\r\nhello",
       "HTTP/1.1 400"},
      {"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999\r\n\r\n", "HTTP/1.1 413"},
      {"POST / HTTP/1.1\r\nHost: t\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx",
       "HTTP/1.1 415"},
      {"GET / HTTP/1.1\r\nX: " + std::string(30000, 'a'), "HTTP/1.1 431"},
      {"GET /" + std::string(9000, 'a') + " HTTP/1.1\r\n\r\n", "HTTP/1.1 414"},
  };
  for (const auto& hostile : cases) {
    CAPTURE(hostile.second);
    CHECK(b.raw(hostile.first).starts_with(hostile.second));
  }
  CHECK(b.status("/after") == 200);
}

TEST_CASE("garbage ends its own connection only") {
  Bench b;
  for (const std::string& bytes :
       {std::string("\x16\x03\x01\x02\x00\r\n\r\n"), std::string("\r\n\r\n"),
        std::string("GET\r\n\r\n"), std::string("GET / HTTP/9.9\r\n\r\n"),
        std::string(100, '\0') + "\r\n\r\n"}) {
    b.raw(bytes);
    CHECK(b.status("/after") == 200);
  }
}

TEST_CASE("clients that send nothing or never finish hold nobody up") {
  Bench b;
  std::vector<net::Socket> idle;
  for (int i = 0; i < 200; ++i) {
    idle.push_back(b.connect());
    if (i % 2) ::send(idle.back().fd(), "GET / HT", 8, MSG_NOSIGNAL);
  }
  for (int i = 0; i < 20; ++i) CHECK(b.status("/healthy") == 200);
}

TEST_CASE("a request that drips is cut off at its deadline however it drips") {
  Bench b({.request = 300ms});
  net::Socket socket = b.connect();
  int sent = 0;
  for (; sent < 100; ++sent) {
    if (::send(socket.fd(), "a", 1, MSG_NOSIGNAL) < 0) break;
    std::this_thread::sleep_for(20ms);
  }
  CHECK(sent < 100);
}

TEST_CASE("idle connections beyond the limit make room for whoever asks, and are counted") {
  Bench b({.connections = 5});
  std::vector<net::Socket> idle;
  for (int i = 0; i < 50; ++i) idle.push_back(b.connect());
  for (int i = 0; i < 20; ++i) CHECK(b.status("/healthy") == 200);
  CHECK(b.shed >= 45);
}

TEST_CASE("who comes pushes out who is idle after an answer, and not who came just before") {
  Bench b({.connections = 4});
  std::string keep = "GET /kept HTTP/1.1\r\nHost: t\r\n\r\n";
  std::string ask = "GET /asked HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
  std::vector<net::Socket> idle;
  for (int i = 0; i < 4; ++i) {
    idle.push_back(b.connect());
    ::send(idle.back().fd(), keep.data(), keep.size(), MSG_NOSIGNAL);
    char answer[4096];
    REQUIRE(::recv(idle.back().fd(), answer, sizeof answer, 0) > 0);
  }
  std::vector<net::Socket> fresh;
  for (int i = 0; i < 3; ++i) fresh.push_back(b.connect());
  REQUIRE(lab::eventually([&] { return b.shed == 3; }));
  for (net::Socket& socket : fresh) {
    ::send(socket.fd(), ask.data(), ask.size(), MSG_NOSIGNAL);
    CHECK(b.read_all(socket).find("GET /asked") != std::string::npos);
  }
}

TEST_CASE("when every connection is being answered a further one is refused at once") {
  Bench b({.connections = 3});
  std::string slow = "GET /slow HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
  std::vector<net::Socket> busy;
  int before = held;
  for (int i = 0; i < 3; ++i) {
    busy.push_back(b.connect());
    ::send(busy.back().fd(), slow.data(), slow.size(), MSG_NOSIGNAL);
  }
  REQUIRE(lab::eventually([before] { return held == before + 3; }));
  int refused = 0;
  for (int i = 0; i < 10; ++i) refused += b.status("/more") == 503 ? 1 : 0;
  CHECK(refused > 0);
  for (net::Socket& socket : busy) CHECK(b.read_all(socket).find("late") != std::string::npos);
  CHECK(b.status("/free") == 200);
}

TEST_CASE("a held answer holds nobody else") {
  Bench b;
  net::Socket slow = b.connect();
  std::string bytes = "GET /slow HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
  ::send(slow.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  CHECK(b.status("/quick") == 200);
  CHECK(b.read_all(slow).find("late") != std::string::npos);
}

TEST_CASE("a port that is taken is refused with its reason") {
  Bench b;
  serve::Front second("second", {}, echo, [] {});
  Result<Done> taken = second.start({"127.0.0.1", b.front.port()});
  REQUIRE_FALSE(taken);
  CHECK(taken.error().what.find("Address already in use") != std::string::npos);
}

TEST_CASE("stopping ends with clients that drip still connected") {
  Bench b;
  std::vector<net::Socket> held;
  for (int i = 0; i < 20; ++i) {
    held.push_back(b.connect());
    ::send(held.back().fd(), "GET / HT", 8, MSG_NOSIGNAL);
  }
  CHECK(b.status("/up") == 200);
  b.front.stop();
  CHECK(b.read_all(held[0]).empty());
}
