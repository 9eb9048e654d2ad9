// Scheduler: runs the plan on a thread, and probes on workers.
//
// How: what is due together is put on one list, and one worker takes it run by run; a wake-up costs
// more than a probe that answers. If nobody comes back for more within a millisecond, one more
// worker is woken, then two, four, ...: somebody hangs. At most one run per check is ever out, so a
// pool as large as the number of checks always suffices. Threading: thread-safe. The thread
// `davy-sched` owns the plan; workers hand outcomes back through the inbox. `publish` is called on
// that thread after a state has changed at once, after other results four times a second at most,
// and once a second at least. Failure: a probe that throws is a defect of ours: it counts as Error
// and is logged once. A run for which there is no worker counts as Error. Shutdown: stop() joins
// the scheduler's thread; workers may still be in a probe.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/workers.h"
#include "config/config.h"
#include "davy/heartbeats.h"
#include "davy/time.h"
#include "net/means.h"
#include "schedule/plan.h"
#include "telemetry/metrics.h"

namespace davy::schedule {

class Scheduler {
 public:
  using Publish = std::function<void(std::vector<CheckView>)>;
  /// Runs a check's probe in a helper process; as Probe::run.
  using RunInHelper = std::function<Outcome(const config::Check&, const ProbeContext&)>;

  struct Means {
    const Clock& clock;
    Workers& workers;
    net::Means& net;
    const Heartbeats& heartbeats;
    telemetry::Metrics& metrics;
    RunInHelper run_in_helper;
    std::uint64_t seed = 0;  // see Plan
  };
  Scheduler(Means means, Publish publish);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  /// Takes effect at once; also the first config comes this way.
  void set_checks(std::vector<config::Check> checks);
  /// What a davy before this one knew. Before the first set_checks().
  void restore(std::vector<CheckView> before);
  /// Runs a check soon, see Plan::run_now.
  void run_now(const std::string& check);
  void start();
  void stop();

 private:
  /// What workers have done, ever.
  struct Progress {
    std::uint64_t begun = 0;  // of those who were called
    std::uint64_t taken = 0;  // runs off the list
  };

  /// Shared with the workers' jobs, which may outlive us.
  struct Inbox {
    std::mutex mutex;
    std::condition_variable_any wake;
    bool rung = false;
    std::vector<std::pair<std::uint64_t, Outcome>> outcomes;
    std::deque<Run> ready;  // to be started by whichever worker comes first
    Progress progress;
    std::optional<std::vector<config::Check>> checks;
    std::vector<std::string> run_now;

    void ring() {
      rung = true;
      wake.notify_one();
    }
  };

  void serve(const std::stop_token& stop);
  Duration wait_time() const;
  void put_on_list(std::vector<Run> runs);
  void call_more_workers(Progress now);
  bool call_worker();
  void give_back_unstarted();
  void report();
  void publish_if_due();
  health::Moment now() const { return {means_.clock.now(), means_.clock.wall()}; }

  const Means means_;
  const std::size_t processors_ = std::thread::hardware_concurrency();
  Publish publish_;
  Plan plan_;
  std::vector<CheckView> before_;
  bool has_news_ = false;
  bool has_seen_ = false;
  std::size_t waiting_runs_ = 0;  // on the list, when last looked
  std::size_t called_ = 0;        // workers, since the list was empty
  std::uint64_t called_ever_ = 0;
  Progress progress_;  // when last looked
  Time published_{};
  std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();
  std::jthread thread_;
};

}  // namespace davy::schedule
