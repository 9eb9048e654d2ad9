// Peers: asks the other instances of the service whether they see the same failure, and answers
// when they ask.
//
// Why: see health/fail_open.h. Asked only while a shared check fails here, so a healthy fleet says
// nothing. One exchange is a GET and some hundred bytes:
//   GET /peerz?nonce=N&signature=S     S signs "ask N"; others get 403
//   S' {"service": ..., "instance": ..., "nonce": N, "failing": [...]}     S' signs the JSON
// The nonce makes an old answer worthless, the instance's own random word makes each count once.
// Threading: thread-safe; the thread `davy-peers` asks. Failure: a peer that does not answer in a
// second, or not properly, does not count; too few that count is said by the role (fail open).
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "base/workers.h"
#include "config/config.h"
#include "davy/board.h"
#include "health/fail_open.h"
#include "net/means.h"
#include "serve/http.h"
#include "telemetry/metrics.h"

namespace davy::app {

class Peers {
 public:
  using Tell = std::function<void(health::Census)>;

  Peers(std::string service, const Clock& clock, Workers& workers, net::Means& net,
        telemetry::Metrics& metrics, Tell tell);
  ~Peers();
  Peers(const Peers&) = delete;
  Peers& operator=(const Peers&) = delete;

  void configure(const config::Peers& settings);
  /// Whether peers are to be asked from now on: when a shared check fails.
  void look(const Board& board);
  /// The answer to GET /peerz.
  serve::Response answer(const serve::Request& request, const Board& board) const;
  void start();
  void stop();

 private:
  struct Asked;
  void serve(const std::stop_token& stop);
  health::Census ask_all(const config::Peers& settings);
  config::Peers settings() const;

  const std::string service_;
  const std::string instance_;  // random: tells us from our peers
  const Clock& clock_;
  Workers& workers_;
  net::Means& net_;
  telemetry::Metrics& metrics_;
  const Tell tell_;
  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  config::Peers settings_;
  bool is_wanted_ = false;
  std::jthread thread_;
};

}  // namespace davy::app
