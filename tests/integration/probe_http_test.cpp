#include <doctest/doctest.h>

#include <atomic>

#include "lab/probe.h"
#include "lab/process.h"
#include "lab/server.h"

using namespace davy;
using namespace std::chrono_literals;

TEST_CASE("an expected status passes with its latency") {
  lab::Server server(lab::http(204, ""));
  Outcome seen = lab::run_probe("http", {{"url", server.url("/up")}});
  CHECK(lab::show(seen) == "pass: GET " + server.url("/up") + ": status 204");
  CHECK(seen.unit == "s");
}

TEST_CASE("another status fails softly and says what was expected") {
  lab::Server server(
      lab::http(503, "<html><body>maintenance</body></html>", {{"Content-Type", "text/html"}}));
  Outcome seen = lab::run_probe("http", {{"url", server.url("/up?token=hunter2")}});
  CHECK(lab::show(seen) ==
        "fail status: GET " + server.url("/up") + ": expected status 200-399, got 503");
}

TEST_CASE("codes and ranges of expected status can be mixed") {
  lab::Server server(lab::http(301, ""));
  auto passes = [&](const char* expected) {
    return lab::run_probe("http", {{"url", server.url()}, {"expect_status", expected}}).kind ==
           Outcome::Kind::Pass;
  };
  CHECK(passes("301"));
  CHECK(passes("200, 204, 300-399"));
  CHECK_FALSE(passes("200"));
  CHECK_FALSE(passes("200-300,302-399"));
}

TEST_CASE("a body must hold the text that is asked for") {
  lab::Server server(lab::http(200, "{\"status\":\"UP\"}"));
  CHECK(lab::run_probe("http", {{"url", server.url()}, {"body_contains", "\"UP\""}}).kind ==
        Outcome::Kind::Pass);
  Outcome seen = lab::run_probe("http", {{"url", server.url()}, {"body_contains", "DOWN"}});
  CHECK(seen.reason == "body");
  CHECK(seen.message.find("expected a body with \"DOWN\", got \"{") != std::string::npos);
}

TEST_CASE("an HTML page in place of an answer is not the text that is asked for") {
  lab::Server server(
      lab::http(200, "<!doctype html><title>Login</title>", {{"Content-Type", "text/html"}}));
  CHECK(lab::run_probe("http", {{"url", server.url()}, {"body_contains", "UP"}}).reason == "body");
}

TEST_CASE("a body that drips ends at the deadline as a timeout") {
  lab::Server server(lab::drip("HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n", 50));
  CHECK(lab::run_probe("http", {{"url", server.url()}}, 300ms).reason == "timeout");
}

TEST_CASE("a mute server is a timeout") {
  lab::Server server(lab::mute());
  CHECK(lab::run_probe("http", {{"url", server.url()}}, 300ms).reason == "timeout");
}

TEST_CASE("a body above max_body fails while it is read") {
  lab::Server server(lab::huge("HTTP/1.1 200 OK\r\n\r\n"));
  Outcome seen = lab::run_probe("http", {{"url", server.url()}});
  CHECK(seen.reason == "body");
  CHECK(seen.message.find("larger than 64 KiB") != std::string::npos);
}

TEST_CASE("a peer that resets or speaks another protocol is a protocol failure") {
  lab::Server reset(lab::reset());
  CHECK(lab::run_probe("http", {{"url", reset.url()}}).reason == "protocol");
  lab::Server other(lab::raw("SSH-2.0-OpenSSH_9.2\r\n"));
  CHECK(lab::run_probe("http", {{"url", other.url()}}).reason == "protocol");
}

TEST_CASE("a server that is down is refused and an unknown one does not resolve") {
  std::string port = std::to_string(lab::free_port());
  CHECK(lab::run_probe("http", {{"url", "http://127.0.0.1:" + port}}).reason == "refused");
  CHECK(lab::run_probe("http", {{"url", "http://no-such-host.invalid/"}}).reason == "resolve");
}

TEST_CASE("a server without TLS fails an https check as tls") {
  lab::Server server(lab::raw("HTTP/1.1 400 Bad Request\r\n\r\n"));
  CHECK(lab::run_probe("http", {{"url", "https://" + server.address()}}).reason == "tls");
}

TEST_CASE("every run makes a connection of its own although the server would keep it") {
  lab::Server server(lab::http(200, "ok"));
  lab::ProbeRunner probe("http", {{"url", server.url()}});
  for (int i = 0; i < 3; ++i) CHECK(probe.run().kind == Outcome::Kind::Pass);
  CHECK(server.connections() == 3);
}

TEST_CASE("the request has the given method and Host") {
  std::string request;
  lab::Server server([&](const lab::Connection& peer) {
    request = peer.receive_until("\r\n\r\n");
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  });
  CHECK(
      lab::run_probe("http", {{"url", server.url()}, {"host", "shop.example"}, {"method", "HEAD"}})
          .kind == Outcome::Kind::Pass);
  CHECK(request.rfind("HEAD / HTTP/1.1\r\n", 0) == 0);
  CHECK(request.find("Host: shop.example\r\n") != std::string::npos);
}

TEST_CASE("a probe recovers when its server does") {
  std::atomic<bool> hangs = true;
  lab::Server server(
      [&](const lab::Connection& peer) { hangs ? peer.hang() : lab::http(200, "ok")(peer); });
  lab::ProbeRunner probe("http", {{"url", server.url()}});
  CHECK(probe.run(200ms).reason == "timeout");
  hangs = false;
  CHECK(probe.run().kind == Outcome::Kind::Pass);
}

TEST_CASE("wrong settings of an HTTP check are refused with the setting's name") {
  auto refusal = [](const lab::Settings& more) {
    lab::Settings all = {{"url", "http://app/"}};
    all.insert(all.end(), more.begin(), more.end());
    return lab::refusal("http", all);
  };
  CHECK(refusal({}) == "");
  for (std::string bad : {"", "ok", "200-", "300-200", "99", "600", "200,,204", "200;204"}) {
    CAPTURE(bad);
    CHECK(refusal({{"expect_status", bad}}).find("is not a list of codes") != std::string::npos);
  }
  CHECK(refusal({{"method", "HEAD"}, {"body_contains", "x"}}).find("needs method GET") !=
        std::string::npos);
  CHECK(lab::refusal("http", {{"url", "app:3000"}}).find("is not a URL") != std::string::npos);
}

TEST_CASE("headers are sent and expected, and a JSON body is looked into") {
  lab::Server server(
      lab::http(200, "{\"status\":\"UP\",\"db\":{\"open\":3}}", {{"X-Version", "2.1"}}));
  auto reason = [&](const char* setting, const char* value) {
    return lab::run_probe("http", {{"url", server.url()}, {setting, value}}).reason;
  };
  CHECK(reason("expect_header", "x-version: 2") == "");
  CHECK(reason("expect_header", "X-Version: 3") == "header");
  CHECK(reason("expect_header", "X-Other: 2") == "header");
  CHECK(reason("body_json", "/status=UP") == "");
  CHECK(reason("body_json", "/db/open=3") == "");
  CHECK(reason("body_json", "/status=DOWN") == "body");
  CHECK(reason("body_json", "/nothing=1") == "body");
  CHECK(
      lab::refusal("http", {{"url", "http://a/"}, {"body_json", "status=UP"}}).find("/status=UP") !=
      std::string::npos);
}

TEST_CASE("a status in hard_status fails at once, another one counts") {
  lab::Server gone(lab::http(410, ""));
  lab::Settings settings{{"url", gone.url()}, {"hard_status", "404,410"}};
  CHECK(lab::run_probe("http", settings).hard);
  lab::Server busy(lab::http(503, ""));
  settings[0].second = busy.url();
  CHECK_FALSE(lab::run_probe("http", settings).hard);
}

TEST_CASE("an address family that the name does not have does not resolve") {
  lab::Server server(lab::http(200, ""));
  std::string url = "http://127.0.0.1:" + std::to_string(server.port()) + "/";
  CHECK(lab::run_probe("http", {{"url", url}, {"ip", "v4"}}).kind == Outcome::Kind::Pass);
  CHECK(lab::run_probe("http", {{"url", url}, {"ip", "v6"}}).reason == "resolve");
}

TEST_CASE("a server is asked through a socket of this machine") {
  lab::TempDir dir;
  std::string path = dir / "app.sock";
  lab::Process app({{"/usr/bin/python3", "-c",
                     "import socket,sys\n"
                     "s=socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(8)\n"
                     "while True:\n"
                     " c,_=s.accept(); c.recv(4096); c.send(b'HTTP/1.1 200 OK\\r\\nContent-Length: "
                     "0\\r\\n\\r\\n'); c.close()\n",
                     path}});
  lab::Settings settings{{"url", "http://app/up"}, {"unix_socket", path}};
  CHECK(lab::eventually(
      [&] { return lab::run_probe("http", settings).kind == Outcome::Kind::Pass; }));
  app.kill();
  CHECK(lab::run_probe("http", settings).reason == "refused");
}
