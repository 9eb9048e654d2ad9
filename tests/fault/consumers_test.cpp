// Who asks us: a real HAProxy that follows readiness and drain. Fault group "consumers".
//
// The exit codes of `davy healthcheck` (Docker): integration/command_line_test.cpp; the agent check
// line: unit/health/agent_word_test.cpp; Nagios: integration/command_line_test.cpp. What kubelet,
// Envoy, kamal-proxy and Consul make of our codes: unit/serve/consumers_test.cpp. The kubelet
// itself needs a cluster and is not run here.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <atomic>
#include <csignal>

#include "lab/agent.h"
#include "lab/server.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

/// An HAProxy with one server, which it checks as `option httpchk` does it, ten times a second.
class HaProxy {
 public:
  HaProxy(const lab::Agent& agent, const std::string& more) : port_(lab::free_port()) {
    std::string app = agent.health_url().substr(std::string("http://").size());
    lab::write_file(dir_ / "cfg", fmt::format(R"(
global
  nbthread 1
defaults
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 1s
listen stats
  bind 127.0.0.1:{}
  stats enable
  stats uri /
backend shop
  option httpchk GET /readyz
  {}
  server one {} check inter 100ms fastinter 100ms downinter 100ms rise 2 fall 2
)",
                                              port_, more, app));
    process_.emplace(lab::Command{{"haproxy", "-db", "-f", dir_ / "cfg"}});
  }
  /// "UP", "DOWN", "NOLB" (no new requests, but sessions it has go on), or "" while it starts.
  std::string server_is() const {
    std::string url = fmt::format("http://127.0.0.1:{}/;csv", port_);
    std::string page = lab::run({{"curl", "-s", url}}).output;
    std::size_t line = page.find("\nshop,one,");
    if (line == std::string::npos) return "";
    std::size_t at = line;
    for (int field = 0; field < 17; ++field) at = page.find(',', at) + 1;
    return page.substr(at, page.find_first_of(", ", at) - at);
  }
  bool becomes(const std::string& status) const {
    bool is_so = lab::eventually([&] { return server_is() == status; });
    CHECK_MESSAGE(is_so, "expected " << status << ", is " << server_is() << "\n"
                                     << process_->output());
    return is_so;
  }

 private:
  lab::TempDir dir_;
  int port_;
  std::optional<lab::Process> process_;
};

std::string config(const std::string& url, const std::string& more = "") {
  return fmt::format(
      "drain_delay: 20s\n{}checks:\n  - {{ name: app, http: {{ url: \"{}\" }}, roles: "
      "[readiness], period: 250ms, timeout: 200ms, failure_threshold: 2 }}\n",
      more, url);
}

struct App {
  std::atomic<int> status = 200;
  lab::Server server{[this](const lab::Connection& peer) { lab::http(status, "")(peer); }};
};

}  // namespace

TEST_CASE("a real HAProxy takes a server out on 503 and back on 200") {
  App app;
  lab::Agent agent(config(app.server.url()));
  HaProxy proxy(agent, "http-check expect status 200");
  CHECK(proxy.becomes("UP"));
  app.status = 500;
  CHECK(proxy.becomes("DOWN"));
  app.status = 200;
  CHECK(proxy.becomes("UP"));
  agent.process().signal(SIGTERM);  // it drains, and still answers
  CHECK(proxy.becomes("DOWN"));
  agent.process().signal(SIGTERM);
  CHECK(agent.process().wait(20s) == 0);
}

TEST_CASE("a real HAProxy with disable-on-404 lets a draining server finish its sessions") {
  App app;
  lab::Agent agent(config(app.server.url(), "answers: { drain_status: 404 }\n"));
  HaProxy proxy(agent, "http-check disable-on-404");
  CHECK(proxy.becomes("UP"));
  app.status = 500;
  CHECK(proxy.becomes("DOWN"));  // a failure is no drain
  app.status = 200;
  CHECK(proxy.becomes("UP"));
  agent.process().signal(SIGTERM);
  CHECK(proxy.becomes("NOLB"));
  agent.process().signal(SIGTERM);
  CHECK(agent.process().wait(20s) == 0);
}
