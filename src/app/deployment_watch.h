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

#include "app/run_keeper.h"
#include "base/archive.h"
#include "base/workers.h"
#include "canary/judge.h"
#include "config/config.h"
#include "davy/board.h"
#include "davy/heartbeats.h"
#include "davy/source.h"
#include "net/means.h"
#include "telemetry/metrics.h"

namespace davy::app {

class DeploymentWatch {
 public:
  struct Means {
    const Clock& clock;
    Workers& workers;
    net::Means& net;
    telemetry::Metrics& metrics;
    Heartbeats& heartbeats;
    std::function<void(DeploymentView)> pin;
    std::string state_dir;  // "" = runs do not survive a restart
  };

  DeploymentWatch(const config::Deployment& deployment, Means means);
  ~DeploymentWatch() { stop(); }
  DeploymentWatch(const DeploymentWatch&) = delete;
  DeploymentWatch& operator=(const DeploymentWatch&) = delete;

  const config::Deployment& deployment() const { return deployment_; }
  /// Drops all evidence and begins anew at the next round, in the first stage.
  void open_run(std::string revision);
  /// The canary gets another share of traffic from now on; its evidence stays.
  void enter_stage(double weight);
  void start();
  /// Waits for the round in hand, which ends by its deadline.
  void stop();

 private:
  struct Wishes {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::optional<std::string> new_run;  // its revision
    std::optional<double> new_weight;
  };

  void serve(const std::stop_token& stop);
  void begin_run(std::string revision);
  /// Goes on with the run that was saved, if it is this deployment's.
  void resume();
  Result<Done> restore(const std::string& bytes);
  void round();
  void save(const std::optional<Block>& judged);
  void archive(Archive& a);
  void pin();
  void tell(const DeploymentView& view);

  const config::Deployment deployment_;
  Means means_;
  std::unique_ptr<Source> source_;
  std::unique_ptr<canary::Judge> judge_;
  std::string revision_;
  std::optional<double> weight_;  // the stage's share of traffic, when stages are configured
  Time zero_;                     // the run's t = 0
  int lost_ = 0;                  // runs of this revision whose evidence was lost
  std::optional<RunKeeper> keeper_;
  std::string trouble_;  // of the last round
  // What the log knows.
  std::optional<VerdictKind> verdict_told_;
  bool trouble_told_ = false;
  bool unsaved_told_ = false;
  Wishes wishes_;
  std::jthread thread_;
};

}  // namespace davy::app
