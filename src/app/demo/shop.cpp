// davy demo-app: one version of the demo's shop, a small service like any other: /up, /metrics, and
// a few pages that take their time and sometimes fail.

#include <fmt/format.h>
#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>
#include <atomic>
#include <cmath>
#include <csignal>
#include <random>
#include <thread>

#include "app/cli/commands.h"
#include "net/means.h"
#include "net/socket.h"
#include "serve/front.h"

namespace davy::app {
namespace {

// What a good version does. Latencies are lognormal: most near the median, a long tail.
constexpr double kMedianSeconds = 0.008;
constexpr double kSigma = 0.45;
constexpr double kErrorRate = 0.005;
// What a bad one does.
constexpr double kBadErrorRate = 0.05;
constexpr double kSlowFactor = 2.0;
// While the service that every page needs is away.
constexpr double kErrorRateAlone = 0.25;
constexpr Duration kLookAtDependency = std::chrono::milliseconds(250);

/// Bounds 8 % apart: fine enough to prove "not 20 % slower".
prometheus::Histogram::BucketBoundaries bounds() {
  prometheus::Histogram::BucketBoundaries all;
  for (int i = 0; i < 100; ++i) all.push_back(std::round(0.001 * std::pow(1.08, i) * 1e6) / 1e6);
  return all;
}

class Shop {
 public:
  explicit Shop(const DemoAppOptions& options)
      : options_(options),
        random_(std::hash<std::string>{}(options.version)),
        began_(machine_clock().now()) {
    for (const char* code : {"200", "500"})
      requests_.Add({{"code", code}});  // there from the first scrape on
  }

  /// Called on the listener's one thread.
  serve::Response answer(const serve::Request& request) {
    if (request.path == "/up") return {.body = "ok\n"};
    if (request.path == "/metrics") {
      return {.content_type = "text/plain; version=0.0.4; charset=utf-8",
              .body = prometheus::TextSerializer().Serialize(registry_.Collect())};
    }
    double takes = std::lognormal_distribution<double>(std::log(kMedianSeconds), kSigma)(random_);
    if (is_bad("slow")) takes *= kSlowFactor;
    double fails = is_bad("errors") ? kBadErrorRate : kErrorRate;
    if (alone_) fails = kErrorRateAlone;
    bool failed = std::bernoulli_distribution(fails)(random_);
    requests_.Add({{"code", failed ? "500" : "200"}}).Increment();
    seconds_.Observe(takes);
    return {.status = failed ? 500 : 200,
            .body = failed ? "sorry\n" : "hello from the shop\n",
            .hold = Duration(std::llround(takes * 1e9))};
  }

  void watch_dependency() {
    Result<net::Endpoint> dependency = net::parse_endpoint(options_.dependency);
    net::Means net;
    while (dependency) {
      auto connected = net::connect_tcp(*dependency, {Deadline::in(kLookAtDependency), net});
      alone_ = std::holds_alternative<net::ConnectError>(connected);
      std::this_thread::sleep_for(kLookAtDependency);
    }
  }

 private:
  bool is_bad(std::string_view how) const {
    return options_.behaviour == how && machine_clock().now() - began_ >= options_.onset;
  }

  const DemoAppOptions options_;
  std::mt19937_64 random_;
  const Time began_;
  std::atomic<bool> alone_{false};
  prometheus::Registry registry_;
  prometheus::Family<prometheus::Counter>& requests_ = prometheus::BuildCounter()
                                                           .Name("http_requests_total")
                                                           .Help("Requests by status.")
                                                           .Register(registry_);
  prometheus::Histogram& seconds_ = prometheus::BuildHistogram()
                                        .Name("http_request_duration_seconds")
                                        .Help("How long requests took.")
                                        .Register(registry_)
                                        .Add({}, bounds());
};

}  // namespace

int demo_app(const DemoAppOptions& options) {
  sigset_t end;
  sigemptyset(&end);
  sigaddset(&end, SIGTERM);
  sigaddset(&end, SIGINT);
  pthread_sigmask(SIG_BLOCK, &end, nullptr);
  Shop shop(options);
  serve::Front front(
      "shop", {}, [&](const serve::Request& request) { return shop.answer(request); }, [] {});
  if (Result<Done> ok = front.start({"127.0.0.1", options.port}); !ok) {
    fmt::print(stderr, "{}\n", ok.error().what);
    return kExitError;
  }
  if (!options.dependency.empty()) std::thread([&] { shop.watch_dependency(); }).detach();
  int signal = 0;
  sigwait(&end, &signal);
  _exit(kExitPass);
}

}  // namespace davy::app
