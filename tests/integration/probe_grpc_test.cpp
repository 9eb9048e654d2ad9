// The grpc kind against a real gRPC server.

#include <doctest/doctest.h>

#include <algorithm>

#include "lab/probe.h"
#include "lab/process.h"
#include "lab/server.h"
#include "lab/tls_server.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

struct GrpcServer {
  explicit GrpcServer(std::vector<std::string> words) : port(lab::free_port()) {
    words.insert(words.begin(), {"/usr/bin/python3", DAVY_SOURCE_DIR "/tests/lab/grpc_server.py",
                                 std::to_string(port)});
    process.emplace(lab::Command{words});
    REQUIRE_MESSAGE(
        lab::eventually([&] { return process->stdout_text().find("ready") != std::string::npos; }),
        process->output());
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port); }

  int port;
  std::optional<lab::Process> process;
};

Outcome ask(const GrpcServer& server, lab::Settings more = {},
            std::chrono::milliseconds limit = 10s) {
  more.emplace_back("address", server.address());
  return lab::run_probe("grpc", more, limit);
}

}  // namespace

TEST_CASE("a gRPC server that serves passes, for itself and for a service by name") {
  GrpcServer server({"=1", "shop.Checkout=1", "shop.Search=2", "shop.Mail=0"});
  CHECK(ask(server).kind == Outcome::Kind::Pass);
  CHECK(ask(server, {{"service", "shop.Checkout"}}).kind == Outcome::Kind::Pass);
  CHECK(lab::show(ask(server, {{"service", "shop.Search"}})) ==
        "fail not_serving: " + server.address() + ": service \"shop.Search\" is NOT_SERVING");
  CHECK(ask(server, {{"service", "shop.Mail"}}).reason == "not_serving");
  Outcome unknown = ask(server, {{"service", "shop.Chekout"}});
  CHECK(unknown.reason == "unknown_service");
  CHECK(unknown.hard);
}

TEST_CASE("a gRPC server without the health service is a mistake of the setup, and said so") {
  GrpcServer server({});
  Outcome seen = ask(server);
  CHECK(seen.reason == "unimplemented");
  CHECK(seen.hard);
}

TEST_CASE("a gRPC call that hangs, and a frozen server, are timeouts") {
  GrpcServer server({"=hang"});
  CHECK(ask(server, {}, 300ms).reason == "timeout");
  server.process->pause();
  CHECK(ask(server, {}, 300ms).reason == "timeout");
  server.process->resume();
}

TEST_CASE("a gRPC server is asked over TLS, and its certificate must be trusted") {
  lab::TlsServer files("DNS:shop.test");
  GrpcServer server({"=1", "--tls", files.dir / "cert", files.dir / "key"});
  lab::Settings right{
      {"tls", "true"}, {"ca_file", files.dir / "cert"}, {"server_name", "shop.test"}};
  CHECK(lab::show(ask(server, right)).starts_with("pass"));
  lab::Settings other{{"tls", "true"}, {"ca_file", files.dir / "cert"}, {"server_name", "x.test"}};
  CHECK(ask(server, other).reason == "tls");
  CHECK(ask(server, {{"tls", "true"}}).reason == "tls");
  CHECK(ask(server, {{"tls", "true"}, {"verify_tls", "false"}}).kind == Outcome::Kind::Pass);
  CHECK(ask(server).reason == "protocol");  // plain, where TLS is spoken
}

TEST_CASE("what is no gRPC server is a protocol failure, and nobody at all is refused") {
  lab::Server web(lab::http(200, "hello"));
  CHECK(lab::run_probe("grpc", {{"address", web.address()}}).reason == "protocol");
  lab::Server resets(lab::reset());
  CHECK(lab::run_probe("grpc", {{"address", resets.address()}}).reason == "protocol");
  std::string nobody = "127.0.0.1:" + std::to_string(lab::free_port());
  CHECK(lab::run_probe("grpc", {{"address", nobody}}).reason == "refused");
}

TEST_CASE("TLS settings without TLS are refused") {
  CHECK(lab::refusal("grpc", {{"address", "a:1"}, {"ca_file", "/x"}}) == "ca_file needs tls: true");
  CHECK(lab::refusal("grpc", {{"address", "a:1"}, {"tls", "true"}, {"cert_file", "/x"}}) ==
        "cert_file and key_file belong together");
}
