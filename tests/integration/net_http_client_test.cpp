#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <optional>

#include "lab/gzip.h"
#include "lab/process.h"
#include "lab/server.h"
#include "lab/tls_server.h"
#include "net/http_client.h"
#include "net/means.h"
#include "net/socket.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

// Long enough for an answer on a busy machine; calls that must time out use a short one, and would
// hang for ever, not merely longer, if they did not.
constexpr auto kPatience = 10s;
constexpr auto kShort = 300ms;

struct Seen {
  std::optional<net::HttpResponse> response;
  net::HttpError error;
};

struct Client {
  explicit Client(const std::string& url, net::HttpOptions options = {})
      : client(*net::parse_url(url), options) {}

  Seen call(net::HttpRequest request, Duration timeout = kPatience) {
    auto answer = client.call(request, {Deadline::in(timeout), net});
    if (auto* response = std::get_if<net::HttpResponse>(&answer)) return {*response, {}};
    return {std::nullopt, std::get<net::HttpError>(answer)};
  }
  Seen get(Duration timeout = kPatience) { return call({}, timeout); }

  net::Means net;
  net::HttpClient client;
};

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("an answer has its status, body and content type") {
  lab::Server server(lab::http(404, "gone", {{"Content-Type", "text/plain"}}));
  Client client(server.url());
  Seen seen = client.get();
  REQUIRE(seen.response);
  CHECK(seen.response->status == 404);
  CHECK(seen.response->body == "gone");
  CHECK(seen.response->content_type == "text/plain");
}

TEST_CASE("a connection is kept between calls") {
  lab::Server server(lab::http(200, "ok"));
  Client client(server.url());
  for (int i = 0; i < 3; ++i) CHECK(client.get().response);
  CHECK(server.connections() == 1);
}

TEST_CASE("a kept connection that the peer has closed is made anew without a failure") {
  lab::Server server([](const lab::Connection& peer) {
    peer.receive();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  });
  Client client(server.url());
  for (int i = 0; i < 3; ++i) CHECK(client.get().response);
  CHECK(server.connections() == 3);
}

TEST_CASE("a kept connection that is reset under the next request is made anew without a failure") {
  lab::Server server([](const lab::Connection& peer) {
    peer.receive();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    peer.receive();
    peer.reset_on_close();
  });
  Client client(server.url());
  for (int i = 0; i < 3; ++i) CHECK(client.get().response);
}

TEST_CASE("what a server sends beyond its answer is not the start of the next one") {
  lab::Server server([](const lab::Connection& peer) {
    while (!peer.receive().empty())
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more");
  });
  Client client(server.url());
  for (int i = 0; i < 3; ++i) CHECK(client.get().response->body == "ok");
}

TEST_CASE("the request has the headers and the body that were asked for") {
  std::string request;
  lab::Server server([&](const lab::Connection& peer) {
    request = peer.receive_until("{\"a\":1}");
    peer.send("HTTP/1.1 204 No Content\r\n\r\n");
    peer.hang();
  });
  Client client(server.url());
  CHECK(client
            .call({.method = "POST",
                   .target = "/x?q=a%2Fb",
                   .headers = {{"Content-Type", "application/json"}, {"X-Token", "t"}},
                   .body = "{\"a\":1}"})
            .response);
  CHECK(holds(request, "POST /x?q=a%2Fb HTTP/1.1\r\n"));
  CHECK(holds(request, "Host: " + server.address() + "\r\n"));
  CHECK(holds(request, "Content-Type: application/json\r\n"));
  CHECK(holds(request, "X-Token: t\r\n"));
  CHECK(holds(request, "User-Agent: davy/"));
}

TEST_CASE("a header with a line break is refused before anything is sent") {
  lab::Server server(lab::http(200, "ok"));
  Client client(server.url());
  CHECK_FALSE(client.call({.headers = {{"Host", "a\r\nX-Evil: 1"}}}).response);
  CHECK_FALSE(client.call({.target = "/ HTTP/1.1\r\nX-Evil: 1\r\n"}).response);
  CHECK(server.connections() == 0);
}

TEST_CASE("a redirect is an answer and is not followed") {
  lab::Server server(lab::http(302, "", {{"Location", "http://127.0.0.1:1/"}}));
  CHECK(Client(server.url()).get().response->status == 302);
}

TEST_CASE("the answer to HEAD has no body") {
  lab::Server server(lab::http(200, "ok"));
  Client client(server.url());
  for (int i = 0; i < 2; ++i) {
    Seen seen = client.call({.method = "HEAD"});
    REQUIRE(seen.response);
    CHECK(seen.response->body.empty());
  }
}

TEST_CASE("an answer that comes a byte at a time is an answer") {
  lab::Server server(lab::byte_at_a_time("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"));
  CHECK(Client(server.url()).get().response->body == "hello");
}

TEST_CASE("a chunked body and a body that ends with the connection are read whole") {
  lab::Server chunked(lab::raw(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"));
  CHECK(Client(chunked.url()).get().response->body == "abcde");
  lab::Server ended(lab::raw("HTTP/1.1 200 OK\r\n\r\nabc"));
  CHECK(Client(ended.url()).get().response->body == "abc");
}

TEST_CASE("a port on which nobody listens is named with the word refused") {
  int port = lab::free_port();
  Seen seen = Client("http://127.0.0.1:" + std::to_string(port)).get();
  CHECK(seen.error.kind == net::HttpFailure::Connect);
  CHECK(seen.error.what == "connect to 127.0.0.1:" + std::to_string(port) + ": refused");
}

TEST_CASE("a name that does not resolve is said to be that") {
  Seen seen = Client("http://no-such-host.invalid/").get();
  CHECK(seen.error.kind == net::HttpFailure::Resolve);
  CHECK(holds(seen.error.what, "no-such-host.invalid"));
}

TEST_CASE("connect_to replaces resolution and leaves the Host header alone") {
  std::string request;
  lab::Server server([&](const lab::Connection& peer) {
    request = peer.receive_until("\r\n\r\n");
    peer.send("HTTP/1.1 204 No Content\r\n\r\n");
    peer.hang();
  });
  std::string url = "http://no-such-host.invalid:" + std::to_string(server.port());
  CHECK(Client(url, {.connect_to = "127.0.0.1"}).get().response);
  CHECK(holds(request, "Host: no-such-host.invalid:"));
}

TEST_CASE("a call to a mute server ends at its deadline") {
  lab::Server server(lab::mute());
  Seen seen = Client(server.url()).get(kShort);
  CHECK(seen.error.kind == net::HttpFailure::Timeout);
  CHECK(holds(seen.error.what, "no answer"));
}

TEST_CASE("a call to a server that drips its body ends at the deadline") {
  lab::Server server(lab::drip("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", 50));
  Seen seen = Client(server.url()).get(kShort);
  CHECK(seen.error.kind == net::HttpFailure::Timeout);
  CHECK(holds(seen.error.what, "status 200"));
}

TEST_CASE("a dripped body without a length is not complete because the deadline ends it") {
  lab::Server server(lab::drip("HTTP/1.1 200 OK\r\n\r\n", 50));
  CHECK(Client(server.url()).get(kShort).error.kind == net::HttpFailure::Timeout);
}

TEST_CASE("a call to a server that drips its head ends at the deadline") {
  lab::Server server(lab::drip("HTTP/1.1 200 OK\r\nX-Endless: ", 50));
  CHECK(Client(server.url()).get(kShort).error.kind == net::HttpFailure::Timeout);
}

TEST_CASE("a client works again after a deadline has ended its call") {
  std::atomic<int> asked = 0;
  lab::Server server([&](const lab::Connection& peer) {
    if (asked++ == 0) return peer.hang();
    lab::http(200, "ok")(peer);
  });
  Client client(server.url());
  CHECK(client.get(kShort).error.kind == net::HttpFailure::Timeout);
  CHECK(client.get().response);
}

TEST_CASE("a body above the limit is refused while it is read") {
  lab::Server server(lab::huge("HTTP/1.1 200 OK\r\n\r\n"));
  Seen seen = Client(server.url(), {.max_body = 64 * 1024}).get();
  CHECK(seen.error.kind == net::HttpFailure::TooLarge);
  CHECK(holds(seen.error.what, "the body is larger than 64 KiB"));
}

TEST_CASE("a body as large as the limit is accepted") {
  lab::Server server(lab::http(200, std::string(1000, 'x')));
  CHECK(Client(server.url(), {.max_body = 1000}).get().response);
  CHECK_FALSE(Client(server.url(), {.max_body = 999}).get().response);
}

TEST_CASE("a chunk whose size does not end is refused") {
  lab::Server server(lab::huge("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"));
  Seen seen = Client(server.url(), {.max_body = 1024}).get();
  CHECK_FALSE(seen.response);
  CHECK(seen.error.kind != net::HttpFailure::Timeout);  // not by the deadline only
}

TEST_CASE("a head or a status line without end is refused") {
  lab::Server head(lab::huge("HTTP/1.1 200 OK\r\nX: "));
  CHECK(holds(Client(head.url()).get().error.what, ": the head is "));
  // httplib matches this one with a std::regex that recurses once per byte.
  lab::Server line(lab::raw("HTTP/1.1 200 " + std::string(1 << 20, 'a') + "\r\n\r\n"));
  Seen seen = Client(line.url()).get();
  CHECK(seen.error.kind == net::HttpFailure::TooLarge);
  CHECK(holds(seen.error.what, "the status line is longer than 1 KiB"));
}

TEST_CASE("a packed body is unpacked and its limit counts unpacked bytes") {
  std::string text(1'000'000, 'z');
  lab::Server server(lab::http(200, lab::gzip(text), {{"Content-Encoding", "gzip"}}));
  Client client(server.url());
  for (int i = 0; i < 3; ++i) {
    Seen seen = client.get();
    REQUIRE_MESSAGE(seen.response, seen.error.what);
    CHECK((seen.response->body == text));
  }
  CHECK(server.connections() == 1);
  Seen bomb = Client(server.url(), {.max_body = 64 * 1024}).get();
  CHECK(bomb.error.kind == net::HttpFailure::TooLarge);
  CHECK(holds(bomb.error.what, "larger than 64 KiB when unpacked"));
}

TEST_CASE("a packed body that was cut before its end is not taken for a whole one") {
  std::string packed = lab::gzip("requests_total 12345\n");
  packed.resize(packed.size() - 9);
  lab::Server server(lab::http(200, packed, {{"Content-Encoding", "gzip"}}));
  Seen seen = Client(server.url()).get();
  CHECK(seen.error.kind == net::HttpFailure::Protocol);
  CHECK(holds(seen.error.what, "status 200, but the body ends early"));
}

TEST_CASE("a chunk that is longer than it says is not the end of the body") {
  lab::Server server(
      lab::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n"));
  Seen seen = Client(server.url()).get();
  CHECK_FALSE(seen.response);
  CHECK(
      holds(seen.error.what, "but the body is damaged: a chunk is longer than it says, after 3 B"));
}

TEST_CASE("a body is handed on piece by piece, with the head it came with") {
  std::string text;
  for (int i = 0; i < 200'000; ++i) text += std::to_string(i) + "\n";
  for (const char* packed : {"", "gzip"}) {
    lab::Server server(lab::http(200, *packed != '\0' ? lab::gzip(text) : text,
                                 {{"Content-Type", "text/plain"}, {"Content-Encoding", packed}}));
    Client client(server.url(), {.max_body = 8 << 20});
    for (int i = 0; i < 2; ++i) {
      std::string seen;
      int pieces = 0;
      Seen answer = client.call({.on_body = [&](const net::HttpResponse& head, std::string_view b) {
        CHECK(head.status == 200);
        CHECK(head.content_type == "text/plain");
        seen += b;
        ++pieces;
        return true;
      }});
      REQUIRE_MESSAGE(answer.response, answer.error.what);
      CHECK(answer.response->body == "");
      CHECK(answer.response->content_type == "text/plain");
      CHECK(pieces > 1);
      CHECK((seen == text));
    }
    CHECK(server.connections() == 1);
  }
}

TEST_CASE("a body that its reader does not want ends the call") {
  lab::Server server(lab::huge("HTTP/1.1 200 OK\r\n\r\n"));
  Seen seen = Client(server.url()).call({.on_body = [](const net::HttpResponse&, std::string_view) {
    return false;
  }});
  CHECK(seen.error.kind == net::HttpFailure::Protocol);
  CHECK(holds(seen.error.what, "the body is not wanted"));
}

TEST_CASE("a connection is kept after answers of every shape") {
  std::atomic<int> asked = 0;
  lab::Server server([&](const lab::Connection& peer) {
    const char* answers[] = {
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
    while (!peer.receive_until("\r\n\r\n").empty()) {
      if (!peer.send(answers[asked++ % 5])) return;
    }
  });
  Client client(server.url());
  for (int i = 0; i < 10; ++i) {
    Seen seen = client.get();
    REQUIRE_MESSAGE(seen.response, seen.error.what);
    CHECK(seen.response->body == (i % 5 == 0 ? "ok" : ""));
  }
  CHECK(server.connections() == 1);
}

TEST_CASE("a server that resets, says nothing or speaks something else is told apart") {
  lab::Server reset(lab::reset());
  CHECK(holds(Client(reset.url()).get().error.what, "closed without an answer"));
  lab::Server silent(lab::half_close(""));
  CHECK(holds(Client(silent.url()).get().error.what, "closed without an answer"));
  lab::Server other(lab::raw("-ERR unknown command 'GET'\r\n"));
  Seen seen = Client(other.url()).get();
  CHECK(seen.error.kind == net::HttpFailure::Protocol);
  CHECK(holds(seen.error.what, "expected an HTTP/1 answer, got \"-ERR unknown command"));
}

TEST_CASE("a body that ends before its length is an error") {
  lab::Server server(lab::raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"));
  Seen seen = Client(server.url()).get();
  CHECK(seen.error.kind == net::HttpFailure::Protocol);
  CHECK(holds(seen.error.what, "ends early"));
}

TEST_CASE("the query is left out of messages because it may hold a token") {
  lab::Server server(lab::reset());
  Seen seen = Client(server.url()).call({.target = "/up?token=hunter2"});
  CHECK(holds(seen.error.what, "/up"));
  CHECK_FALSE(holds(seen.error.what, "hunter2"));
}

namespace {

struct TrustOnly {
  explicit TrustOnly(const std::string& file) { setenv("SSL_CERT_FILE", file.c_str(), 1); }
  ~TrustOnly() { unsetenv("SSL_CERT_FILE"); }
};

}  // namespace

TEST_CASE("a certificate that nobody signed is refused unless verification is off") {
  lab::TlsServer server("IP:127.0.0.1");
  Seen seen = Client(server.url("127.0.0.1")).get();
  CHECK(seen.error.kind == net::HttpFailure::Tls);
  CHECK(holds(seen.error.what, "not trusted"));
  CHECK(Client(server.url("127.0.0.1"), {.tls = {.verify = net::TlsSettings::Verify::No}})
            .get()
            .response->status == 200);
}

TEST_CASE("a trusted certificate is accepted for its own name and address only") {
  lab::TlsServer server("DNS:shop.test,IP:127.0.0.1");
  TrustOnly trust(server.dir / "cert");
  CHECK(Client(server.url("127.0.0.1")).get().response);
  CHECK(Client(server.url("shop.test"), {.connect_to = "127.0.0.1"}).get().response);
  Seen seen = Client(server.url("other.test"), {.connect_to = "127.0.0.1"}).get();
  CHECK(seen.error.kind == net::HttpFailure::Tls);
  CHECK(holds(seen.error.what, "other.test"));
}

TEST_CASE("a TLS handshake with a mute server ends at the deadline") {
  lab::Server server(lab::mute());
  CHECK(Client("https://" + server.address()).get(kShort).error.kind == net::HttpFailure::Timeout);
}

TEST_CASE("a TLS handshake with a plain server fails as TLS") {
  lab::Server server(lab::raw("HTTP/1.1 400 Bad Request\r\n\r\n"));
  CHECK(Client("https://" + server.address()).get().error.kind == net::HttpFailure::Tls);
}
