#include "app/demo/load.h"

#include <cmath>
#include <random>

#include "base/thread_name.h"
#include "net/http_client.h"

namespace davy::app {
namespace {

constexpr unsigned kUsers = 16;
constexpr Duration kPatience = std::chrono::seconds(2);

net::HttpClient client_of(int port) {
  return net::HttpClient({.scheme = "http", .host = "127.0.0.1", .port = port, .target = "/"}, {});
}

}  // namespace

Load::Load(const Shape& shape) {
  for (unsigned i = 0; i < kUsers; ++i) {
    users_.emplace_back([this, i, shape](const std::stop_token& stop) {
      name_this_thread("davy-user");
      be_user(stop, i, shape);
    });
  }
}

/// Each user clicks at random moments, whatever the last answer took (as far as one person can).
void Load::be_user(const std::stop_token& stop, unsigned number, const Shape& shape) {
  std::mt19937_64 random(number);
  std::exponential_distribution<double> pause(shape.per_second / kUsers);
  std::bernoulli_distribution to_canary(shape.canary_share);
  net::HttpClient baseline = client_of(shape.baseline_port);
  net::HttpClient canary = client_of(shape.canary_port);
  net::HttpRequest checkout{.target = "/checkout"};
  Time next = machine_clock().now();
  while (!stop.stop_requested()) {
    next = next + Duration(std::llround(pause(random) * 1e9));
    Duration wait = next - machine_clock().now();
    if (wait > Duration::zero()) std::this_thread::sleep_for(wait);
    (to_canary(random) ? canary : baseline).call(checkout, {Deadline::in(kPatience), net_});
  }
}

}  // namespace davy::app
