// davy demo: two versions of a small shop, users, and a davy that judges them, all on this machine.
//
// Everything is real: separate processes of this binary, real HTTP, real /metrics, the real agent
// with a config file that is printed and left for the user to copy.

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "app/cli/commands.h"
#include "app/demo/load.h"
#include "base/child.h"
#include "base/text.h"
#include "base/units.h"
#include "net/http_client.h"
#include "net/means.h"
#include "net/socket.h"

namespace davy::app {
namespace {

using json = nlohmann::ordered_json;

constexpr Duration kOnset = std::chrono::seconds(15);    // of scenario `late`
constexpr Duration kAwayFrom = std::chrono::seconds(8);  // of scenario `flaky-dependency`
constexpr Duration kAwayUntil = std::chrono::seconds(20);
constexpr Duration kStart = std::chrono::seconds(10);  // everything must be up by then
constexpr Duration kTick = std::chrono::seconds(1);

/// A free port, kept from everybody but a listener with SO_REUSEADDR for as long as the socket
/// lives: several demos at once must not take each other's.
struct ReservedPort {
  net::Socket socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  int number = 0;

  ReservedPort() {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    if (bind(socket.fd(), reinterpret_cast<sockaddr*>(&at), size) != 0) return;
    getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&at), &size);
    number = ntohs(at.sin_port);
    int yes = 1;
    setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  }
};

struct Ports {
  ReservedPort v1, v2, inventory, health, api;
};

/// The text of the config, for the scenario's real ports.
std::string config_text(const Ports& ports) {
  return fmt::format(R"(# Written by `davy demo`. Copy it and change the names and addresses.
service: shop
listen: {{ health: "127.0.0.1:{health}", api: "127.0.0.1:{api}" }}
drain_delay: 0s
checks:
  # Should this process be restarted? Only the shop itself decides that.
  - {{ name: shop, http: {{ url: "http://127.0.0.1:{v2}/up" }}, roles: [liveness, readiness], period: 1s, timeout: 500ms }}
  # Should traffic come here? Not while the service that every page needs is away.
  - {{ name: inventory, tcp: {{ address: "127.0.0.1:{inventory}" }}, roles: [readiness, deploy], period: 1s, timeout: 500ms, failure_threshold: 2 }}
deployments:
  - name: shop
    revision: v2
    source:
      scrape:
        baseline: ["http://127.0.0.1:{v1}/metrics"]
        canary: ["http://127.0.0.1:{v2}/metrics"]
        every: 2s
        timeout: 1s
    requests: {{ preset: prometheus-http }}
    policy:
      error_rate: {{ max_increase: "20% + 0.5pp" }}
      latency: {{ quantiles: [p95, p99], warn_increase: 20%, fail_increase: 50% }}
      min_stage: 30s
      warm_up: 5s
    stages: [50%, 100%]
)",
                     fmt::arg("health", ports.health.number), fmt::arg("api", ports.api.number),
                     fmt::arg("v1", ports.v1.number), fmt::arg("v2", ports.v2.number),
                     fmt::arg("inventory", ports.inventory.number));
}

std::string scratch_file(const std::string& name) {
  const char* dir = std::getenv("TMPDIR");
  return fmt::format("{}/davy-demo-{}{}", dir == nullptr ? "/tmp" : dir, getpid(), name);
}

/// What the demo shows of the running agent.
struct Picture {
  json verdict;
  int readiness = 0;
  int liveness = 0;
};

class Demo {
 public:
  explicit Demo(const DemoOptions& options) : options_(options) {}

  int run();

 private:
  Result<Done> start();
  Result<Done> start_shop(std::optional<Child>& shop, const std::string& version, int port,
                          const std::string& behaviour);
  bool wait_for(const std::function<bool()>& condition);
  Error not_up(const char* what) const;
  void move_dependency(Duration since_start);
  std::optional<Picture> look();
  std::optional<int> status_of(int port, const std::string& path, std::string* body = nullptr);
  void show(const Picture& picture, Duration since_start);
  int finish(const std::optional<Picture>& last);

  const DemoOptions options_;
  const bool terminal_ = isatty(STDOUT_FILENO) == 1;
  const Ports ports_{};
  std::string config_file_ = scratch_file(".yaml");
  std::string log_file_ = scratch_file(".log");
  std::optional<Child> v1_, v2_, inventory_, agent_;
  std::optional<Load> load_;
  net::Means net_;
  std::string told_;
  Duration told_at_{0};
};

Result<Done> Demo::start() {
  std::ofstream(config_file_) << config_text(ports_);
  if (!options_.json) {
    fmt::print("Scenario {}. The config ({}):\n\n{}\n", options_.scenario, config_file_,
               config_text(ports_));
  }
  std::string behaviour = options_.scenario == "late" ? "errors" : options_.scenario;
  if (Result<Done> ok = start_shop(inventory_, "inventory", ports_.inventory.number, "good"); !ok)
    return ok;
  if (Result<Done> ok = start_shop(v1_, "v1", ports_.v1.number, "good"); !ok) return ok;
  if (Result<Done> ok = start_shop(v2_, "v2", ports_.v2.number, behaviour); !ok) return ok;
  auto answers = [this](int port, const char* path) { return status_of(port, path) == 200; };
  if (!wait_for([&] {
        return answers(ports_.v1.number, "/up") && answers(ports_.v2.number, "/up") &&
               answers(ports_.inventory.number, "/up");
      }))
    return not_up("shop");
  Result<Child> agent = Child::spawn({own_path(), "agent", "--config", config_file_}, log_file_);
  if (!agent) return agent.error();
  agent_ = *std::move(agent);
  return wait_for([&] { return agent_->ended() || answers(ports_.health.number, "/readyz"); })
             ? Result<Done>(Done{})
             : not_up("agent");
}

Result<Done> Demo::start_shop(std::optional<Child>& shop, const std::string& version, int port,
                              const std::string& behaviour) {
  std::vector<std::string> argv{own_path(), "demo-app",           "--version",   version,
                                "--port",   std::to_string(port), "--behaviour", behaviour};
  if (options_.scenario == "late") argv.insert(argv.end(), {"--onset", units::show(kOnset)});
  if (version != "inventory")
    argv.insert(argv.end(), {"--dependency", fmt::format("127.0.0.1:{}", ports_.inventory.number)});
  Result<Child> child = Child::spawn(argv, log_file_);
  if (!child) return child.error();
  shop = *std::move(child);
  return Done{};
}

bool Demo::wait_for(const std::function<bool()>& condition) {
  Deadline deadline = Deadline::in(kStart);
  while (!condition()) {
    if (deadline.expired()) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

Error Demo::not_up(const char* what) const {
  return {fmt::format("the demo's {} did not come up within {}; its log is {}", what,
                      units::show(kStart), log_file_)};
}

std::optional<int> Demo::status_of(int port, const std::string& path, std::string* body) {
  net::HttpClient client({.scheme = "http", .host = "127.0.0.1", .port = port, .target = "/"}, {});
  auto answer = client.call({.target = path}, {Deadline::in(std::chrono::seconds(1)), net_});
  net::HttpResponse* response = std::get_if<net::HttpResponse>(&answer);
  if (response == nullptr) return std::nullopt;
  if (body != nullptr) *body = std::move(response->body);
  return response->status;
}

/// In `flaky-dependency` the inventory service dies for a while.
void Demo::move_dependency(Duration since_start) {
  if (options_.scenario != "flaky-dependency") return;
  bool away = since_start >= kAwayFrom && since_start < kAwayUntil;
  if (away && inventory_) {
    inventory_.reset();
    if (!options_.json)
      fmt::print("{}--- the inventory service dies ---\n", terminal_ ? "\r\033[K" : "");
  } else if (!away && !inventory_) {
    static_cast<void>(start_shop(inventory_, "inventory", ports_.inventory.number, "good"));
    if (!options_.json)
      fmt::print("{}--- the inventory service is back ---\n", terminal_ ? "\r\033[K" : "");
  }
}

std::optional<Picture> Demo::look() {
  std::string body;
  Picture picture;
  if (status_of(ports_.api.number, "/v1/deployments/shop/verdict", &body) != 200)
    return std::nullopt;
  picture.verdict = json::parse(body, nullptr, false);
  picture.readiness = status_of(ports_.health.number, "/readyz").value_or(0);
  picture.liveness = status_of(ports_.health.number, "/livez").value_or(0);
  if (!picture.verdict.is_object()) return std::nullopt;
  return picture;
}

void Demo::show(const Picture& picture, Duration since_start) {
  if (options_.json) return;
  const json& v = picture.verdict;
  std::string said = v.value("verdict", "");
  std::string health = fmt::format("readyz {}  livez {}", picture.readiness, picture.liveness);
  bool news =
      said + health != told_ || (!terminal_ && since_start - told_at_ >= std::chrono::seconds(10));
  std::string score = fmt::format("{:.0f}", v.value("score", 50.0));
  if (news) {
    fmt::print("{}{:>5}  {:<12}  score {:>3}  {}  {}\n", terminal_ ? "\r\033[K" : "",
               units::show(since_start), said, score, health, v.value("reason", ""));
    told_ = said + health;
    told_at_ = since_start;
  } else if (terminal_) {
    std::string needs = v["needs"].value("text", "");
    fmt::print("\r\033[K{:>5}  {:<12}  score {:>3}  {}  needs {}", units::show(since_start), said,
               score, health, needs);
  }
  std::fflush(stdout);
}

int Demo::run() {
  if (Result<Done> up = start(); !up) {
    fmt::print(stderr, "{}\n", up.error().what);
    return kExitError;
  }
  if (!options_.json) {
    fmt::print(
        "Look around:  curl -f http://127.0.0.1:{0}/v1/gate/shop   curl "
        "http://127.0.0.1:{1}/readyz?verbose   "
        "davy gate wait shop --url http://127.0.0.1:{0}\n\n",
        ports_.api.number, ports_.health.number);
  }
  load_.emplace(Load::Shape{.baseline_port = ports_.v1.number, .canary_port = ports_.v2.number});
  Time began = machine_clock().now();
  std::optional<Picture> last;
  for (Time tick = began; machine_clock().now() - began < options_.duration; tick = tick + kTick) {
    Duration since = std::chrono::duration_cast<std::chrono::seconds>(tick - began);
    move_dependency(since);
    if (std::optional<Picture> now = look()) {
      last = std::move(now);
      show(*last, since);
      std::string verdict = last->verdict.value("verdict", "");
      if (options_.until_verdict && (verdict == "pass" || verdict == "fail")) break;
    } else if (agent_->ended()) {
      fmt::print(stderr, "the agent ended; its log is {}\n", log_file_);
      return kExitError;
    }
    std::this_thread::sleep_for(std::max(Duration::zero(), tick + kTick - machine_clock().now()));
  }
  return finish(last);
}

int Demo::finish(const std::optional<Picture>& last) {
  load_.reset();
  if (!last) {
    fmt::print(stderr, "the agent never answered; its log is {}\n", log_file_);
    return kExitError;
  }
  std::string verdict = last->verdict.value("verdict", "");
  if (options_.json) {
    fmt::print("{}\n", last->verdict.dump(2));
  } else {
    fmt::print("{}\nVerdict: {}. {}\n", terminal_ ? "\r\033[K" : "", verdict,
               last->verdict.value("reason", ""));
    for (const json& m : last->verdict["metrics"]) {
      fmt::print("  {:<14} {:<12} {}\n", m.value("name", ""), m.value("verdict", ""),
                 m.value("sentence", ""));
    }
    fmt::print("Next: {}\nThe config is {}, the agent's log {}.\n", last->verdict.value("next", ""),
               config_file_, log_file_);
  }
  return options_.until_verdict ? exit_code(verdict) : kExitPass;
}

}  // namespace

int demo(const DemoOptions& options) {
  return Demo(options).run();
}

}  // namespace davy::app
