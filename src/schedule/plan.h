// Plan: when to run which check, and what to make of runs that do not come back.
//
// Why: the whole schedule without a thread or a socket, so that tests drive it with a clock moved
// by hand.
//   - Runs start at anchor + k x period, in slots of 10 ms: nothing drifts, and what is due
//   together
//     costs one wake-up. The period follows the check's state; a change moves the anchor.
//   - First runs are spread at random over min(period, 5 s), so that a fleet that restarts does not
//     ask its database in one moment. A few local checks run at once.
//   - A run that is not back is never started a second time; at its deadline it counts as failed
//     whatever it does later, and as one more failure per period. Missed ticks are not made up for.
// Threading: not thread-safe; owned by the scheduler's thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "config/config.h"
#include "davy/probe.h"
#include "health/check_state.h"

namespace davy::schedule {

inline constexpr Duration kSlot = std::chrono::milliseconds(10);
inline constexpr Duration kMostSpread = std::chrono::seconds(5);

/// What a run runs: the check as configured, and its probe when it runs in this process.
struct Target {
  config::Check check;
  std::unique_ptr<Probe> probe;  // null when a helper process makes its own
};

/// A run to start now.
struct Run {
  std::uint64_t id = 0;
  std::shared_ptr<const Target> target;
  Time due;  // when it should have started: for the lag
  Time deadline;

  const std::string& check() const { return target->check.name; }
};

/// A check that is not what it was.
struct News {
  CheckView now;
  CheckStatus was = CheckStatus::Pending;
  bool was_stuck = false;
  bool was_stale = false;
  bool was_flapping = false;
};

class Plan {
 public:
  /// `seed` makes this instance's first runs differ from its peers'.
  explicit Plan(std::uint64_t seed) : seed_(seed) {}

  /// Replaces the checks. One whose name, settings and schedule are unchanged keeps its state.
  void set_checks(const std::vector<config::Check>& checks, health::Moment now);
  /// What a davy before this one knew, by name and settings; for checks without a result.
  void restore(const std::vector<CheckView>& before, health::Moment now);

  /// Everything that is due: gives up overdue runs, ages results, and returns the runs to start.
  std::vector<Run> advance(health::Moment now);
  /// A run came back, or could not be started at all (davy's own trouble). One that was given up
  /// meanwhile only frees its check.
  void came_back(std::uint64_t run, const Outcome& outcome, health::Moment now);
  /// Runs a check in the next slot, unless it is running or ran less than a second ago.
  bool run_now(std::string_view check, health::Moment now);

  /// When advance() has something to do next, in whole slots.
  Time next() const;
  std::vector<CheckView> views() const;
  /// Whether anything was seen since the last call; and the checks that changed since.
  bool take_seen() { return std::exchange(seen_, false); }
  std::vector<News> take_news();

 private:
  struct Flight {
    std::uint64_t id = 0;
    Time started;
    Time deadline;
    bool given_up = false;
  };
  struct Told {
    CheckStatus status = CheckStatus::Pending;
    bool stuck = false, stale = false, flapping = false;
    friend bool operator==(const Told&, const Told&) = default;
  };
  struct Entry {
    std::shared_ptr<const Target> target;
    health::CheckState state;
    Time anchor;  // of the last start, as it should have been
    Time due;
    std::optional<Flight> flight;
    Time wakes{};  // its place in the agenda
    Told told{};

    const config::Check& check() const { return target->check; }
  };
  using Agenda = std::set<std::pair<Time, std::size_t>>;

  Entry make(const config::Check& check, bool at_once, health::Moment now) const;
  void wake(std::size_t index, health::Moment now, std::vector<Run>& runs);
  void give_up(Entry& entry, health::Moment now);
  void start(Entry& entry, health::Moment now, std::vector<Run>& runs);
  static void put_due(Entry& entry, Duration took, Time now);
  void enter(std::size_t index);
  void after_change(std::size_t index, CheckStatus was, const std::string& was_instance,
                    health::Moment now);
  void hasten(Entry& entry, health::Moment now);
  const std::string* failing_dependency(const Entry& entry) const;

  const std::uint64_t seed_;
  std::vector<Entry> entries_;
  std::unordered_map<std::string, std::size_t> by_name_;
  std::unordered_map<std::uint64_t, std::size_t> in_flight_;
  Agenda agenda_;
  std::vector<std::size_t> touched_;  // entries that may have news
  std::uint64_t next_run_ = 1;
  bool seen_ = false;
};

}  // namespace davy::schedule
