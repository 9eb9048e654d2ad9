// Load: users of the demo's shop, some on V1, some on V2.
#pragma once

#include <atomic>
#include <stop_token>
#include <thread>
#include <vector>

#include "net/means.h"

namespace davy::app {

/// Thread-safe. Sends `per_second` requests in all, the share `canary_share` of them to V2, until
/// it goes out of scope.
class Load {
 public:
  struct Shape {
    int baseline_port = 0;
    int canary_port = 0;
    double canary_share = 0.5;
    double per_second = 600;
  };
  explicit Load(const Shape& shape);

 private:
  void be_user(const std::stop_token& stop, unsigned number, const Shape& shape);

  net::Means net_;
  std::vector<std::jthread> users_;
};

}  // namespace davy::app
