// Scheduler: runs the plan on a thread, and probes on workers.
//
// Threading: thread-safe. The thread `davy-sched` owns the plan; workers hand outcomes back through
// a queue. `publish` is called on that thread after everything that changed, and once a second.
// Failure: a probe that throws is a defect of ours: it counts as Error and is logged once.
// Shutdown: stop() joins the scheduler's thread; workers may still be in a probe.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "base/workers.h"
#include "config/config.h"
#include "davy/time.h"
#include "net/means.h"
#include "schedule/plan.h"
#include "telemetry/metrics.h"

namespace davy::schedule {

class Scheduler {
 public:
  using Publish = std::function<void(std::vector<CheckView>)>;

  Scheduler(const Clock& clock, Workers& workers, net::Means& net, telemetry::Metrics& metrics,
            Publish publish);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  /// Takes effect at once; also the first config comes this way.
  void set_checks(std::vector<config::Check> checks);
  void start();
  void stop();

 private:
  struct Inbox {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::vector<std::pair<std::uint64_t, Outcome>> outcomes;
    std::optional<std::vector<config::Check>> checks;
  };

  void serve(const std::stop_token& stop);
  void launch(Run run);
  void report(const std::vector<CheckView>& views);
  health::Moment now() const { return {clock_.now(), clock_.wall()}; }

  const Clock& clock_;
  Workers& workers_;
  net::Means& net_;
  telemetry::Metrics& metrics_;
  Publish publish_;
  Plan plan_;
  std::vector<CheckView> last_;
  // Shared with the workers' jobs, which may outlive us.
  std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();
  std::jthread thread_;
};

}  // namespace davy::schedule
