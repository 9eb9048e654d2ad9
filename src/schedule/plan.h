// Plan: when to run which check, and what to make of runs that do not come back.
//
// Why: the whole schedule without a thread or a socket, so that tests drive it with a clock moved
// by hand. Runs start at start + k x period, so nothing drifts; a run that is not back is never
// started a second time; at its deadline it counts as failed whatever it does later. Threading: not
// thread-safe; owned by the scheduler's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "davy/probe.h"
#include "health/check_state.h"

namespace davy::schedule {

/// A run to start now.
struct Run {
  std::uint64_t id = 0;
  std::string check;
  std::shared_ptr<Probe> probe;
  Time deadline;
};

class Plan {
 public:
  /// Replaces the checks. One whose name, settings and schedule are unchanged keeps its state.
  void set_checks(const std::vector<config::Check>& checks, health::Moment now);

  /// Everything that is due: gives up overdue runs, ages results, and returns the runs to start.
  std::vector<Run> advance(health::Moment now);
  /// A run came back. One that was given up meanwhile only frees its check.
  void came_back(std::uint64_t run, const Outcome& outcome, health::Moment now);

  /// When advance() has something to do next.
  Time next() const;
  std::vector<CheckView> views() const;

 private:
  struct Flight {
    std::uint64_t id = 0;
    Time started;
    Time deadline;
    bool given_up = false;
  };
  struct Entry {
    config::Check check;
    std::shared_ptr<Probe> probe;
    health::CheckState state;
    Time first;  // the schedule's zero
    Time due;
    std::optional<Flight> flight;
  };

  Entry make(const config::Check& check, health::Moment now) const;
  void give_up(Entry& entry, health::Moment now);

  std::vector<Entry> entries_;
  std::uint64_t next_run_ = 1;
};

}  // namespace davy::schedule
