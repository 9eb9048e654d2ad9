// CheckKeeper: what was known of the checks survives a restart of davy.
//
// Why: a sidecar that is restarted knows nothing and would answer "not ready" for an instance that
// is well; a whole fleet's restart would empty the load balancer (kubernetes#78733, KEP-4781). So
// the states are saved, and taken up again while they are younger than `restore_max_age`. Never for
// deploy, and never after a reboot: then everything is new.
// Threading: follow() may be called by any thread; keep() is called by the thread that publishes,
// and never waits for the disk.
// Failure: a state that cannot be read or written is logged once per change and counted; davy goes
// on without. One davy per directory: a second one says so and keeps nothing.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/guarded.h"
#include "base/workers.h"
#include "config/config.h"
#include "davy/board.h"
#include "sources/slot.h"
#include "store/sealed_file.h"
#include "telemetry/metrics.h"

namespace davy::app {

/// What a davy before this one knew.
struct Remembered {
  std::vector<CheckView> checks;  // only what CheckState::restore takes up
  bool has_started = false;
  std::string instance;
};

class CheckKeeper {
 public:
  CheckKeeper(std::string directory, Workers& workers, telemetry::Metrics& metrics);

  /// Of the checks that are still configured as they were; empty when there is nothing young
  /// enough.
  Remembered load(const config::Config& config, Time now);
  /// From now on these checks are kept: those that are in the config as it runs.
  void follow(const std::vector<config::Check>& checks);
  /// Saves when something changed, and every few seconds so that ages are true.
  void keep(const Board& board, Time now);

 private:
  using Marks = std::map<std::string, std::uint64_t>;  // of the settings, by the check's name
  using Answer = source::Slot<Result<Done>>;
  void hear();

  const std::string file_;
  std::shared_ptr<store::File> lock_;  // null = somebody else keeps here, or nobody can
  Workers& workers_;
  telemetry::Metrics& metrics_;
  Published<Marks> marks_{Marks{}};
  std::shared_ptr<Answer> saving_;
  std::string saved_;  // what was sent last, without ages
  Time saved_at_{};
  bool is_in_trouble_ = false;
};

}  // namespace davy::app
