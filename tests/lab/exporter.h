// A service with Prometheus /metrics whose counts a test sets: the V1 and V2 of canary tests.
#pragma once

#include <fmt/format.h>
#include <functional>
#include <mutex>
#include <string>

#include "lab/server.h"

namespace davy::lab {

class Exporter {
 public:
  /// From now on, `per_scrape` requests are added before each scrape, the share `error_rate`
  /// failed.
  explicit Exporter(double per_scrape, double error_rate)
      : per_scrape_(per_scrape),
        error_rate_(error_rate),
        server_([this](const Connection& c) { serve(c); }) {}

  std::string url() const { return server_.url("/metrics"); }
  double requests() {
    std::lock_guard<std::mutex> lock(mutex_);
    return requests_;
  }
  double per_scrape() const { return per_scrape_; }
  void set(double per_scrape, double error_rate) {
    std::lock_guard<std::mutex> lock(mutex_);
    per_scrape_ = per_scrape;
    error_rate_ = error_rate;
  }

 private:
  void serve(const Connection& c) {
    while (!c.receive_until("\r\n\r\n").empty()) {
      std::string page = this->page();
      c.send(
          fmt::format("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{}",
                      page.size(), page));
    }
  }

  std::string page() {
    std::lock_guard<std::mutex> lock(mutex_);
    requests_ += per_scrape_;
    errors_ += per_scrape_ * error_rate_;
    return fmt::format(
        "# TYPE http_requests_total counter\nhttp_requests_total{{code=\"200\"}} "
        "{:.0f}\nhttp_requests_total{{code=\"500\"}} {:.0f}\n",
        requests_ - errors_, errors_);
  }

  std::mutex mutex_;
  double per_scrape_;
  double error_rate_;
  double requests_ = 0;
  double errors_ = 0;
  Server server_;
};

}  // namespace davy::lab
