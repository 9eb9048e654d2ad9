// DeploymentWatch: one deployment's loop: collect a block, judge it, pin the verdict.
//
// Threading: thread-safe. One thread per deployment (`davy-judge`), which owns the source and the
// judge.
// Failure: trouble of the source becomes a verdict `error` or a note on the view; the loop goes on.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "base/workers.h"
#include "canary/judge.h"
#include "config/config.h"
#include "davy/board.h"
#include "davy/source.h"
#include "net/watchdog.h"
#include "telemetry/metrics.h"

namespace davy::app {

class DeploymentWatch {
 public:
  struct Means {
    const Clock& clock;
    Workers& workers;
    net::Watchdog& watchdog;
    telemetry::Metrics& metrics;
    std::function<void(DeploymentView)> pin;
  };

  DeploymentWatch(const config::Deployment& deployment, Means means);
  ~DeploymentWatch() { stop(); }
  DeploymentWatch(const DeploymentWatch&) = delete;
  DeploymentWatch& operator=(const DeploymentWatch&) = delete;

  const config::Deployment& deployment() const { return deployment_; }
  /// Drops all evidence and begins anew at the next round.
  void open_run(std::string revision);
  void start();
  /// Waits for the round in hand, which ends by its deadline.
  void stop();

 private:
  struct Wishes {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::optional<std::string> new_run;  // its revision
  };

  void serve(const std::stop_token& stop);
  void begin_run(std::string revision);
  void round();
  void pin(const Collected& collected);

  const config::Deployment deployment_;
  Means means_;
  std::unique_ptr<Source> source_;
  std::unique_ptr<canary::Judge> judge_;
  std::string revision_;
  Time zero_;                        // the run's t = 0
  std::optional<VerdictKind> told_;  // the verdict that the log knows
  std::string trouble_told_;
  Wishes wishes_;
  std::jthread thread_;
};

}  // namespace davy::app
