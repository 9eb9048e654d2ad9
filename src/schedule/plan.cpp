#include "schedule/plan.h"

#include <fmt/format.h>
#include <algorithm>

#include "base/units.h"

namespace davy::schedule {
namespace {

constexpr Duration kSlot = std::chrono::milliseconds(10);  // runs due within a slot start together
constexpr Duration kMostSpread = std::chrono::seconds(5);  // first runs wait no longer than this

/// A number 0..1 that is the same for the same name everywhere: FNV-1a, 64 bits.
double spread(std::string_view name) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return static_cast<double>(hash >> 11) * 0x1p-53;
}

Time to_slot(Time t) {
  return {t.since_boot - t.since_boot % kSlot};
}

}  // namespace

void Plan::set_checks(const std::vector<config::Check>& checks, health::Moment now) {
  std::vector<Entry> next;
  for (const config::Check& check : checks) {
    auto same = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) {
      const config::Check& old = e.check;
      return old.name == check.name && old.settings == check.settings &&
             old.schedule == check.schedule && old.roles == check.roles &&
             old.severity == check.severity && old.scope == check.scope;
    });
    next.push_back(same == entries_.end() ? make(check, now) : std::move(*same));
  }
  entries_ = std::move(next);
}

Plan::Entry Plan::make(const config::Check& check, health::Moment now) const {
  // The config has tried this kind with these settings before, so it cannot refuse now.
  std::shared_ptr<Probe> probe = *check.kind->make(check.options);
  Duration late = std::min(check.schedule.period, kMostSpread);
  double share = check.schedule.jitter * spread(check.name);
  Duration wait = check.schedule.initial_delay +
                  Duration(static_cast<Duration::rep>(static_cast<double>(late.count()) * share));
  Time first = to_slot(now.steady + wait);
  return Entry{check, std::move(probe), health::CheckState(check, now), first, first, std::nullopt};
}

std::vector<Run> Plan::advance(health::Moment now) {
  std::vector<Run> runs;
  for (Entry& entry : entries_) {
    if (entry.flight && !entry.flight->given_up && entry.flight->deadline <= now.steady)
      give_up(entry, now);
    entry.state.tick(now.steady);
    if (entry.due > now.steady) continue;
    // Ticks that were missed are not made up for.
    Duration period = entry.check.schedule.period;
    entry.due = entry.first + ((now.steady - entry.first) / period + 1) * period;
    if (entry.flight) {
      if (entry.flight->given_up) entry.state.still_stuck(now.steady - entry.flight->started, now);
      continue;
    }
    entry.flight =
        Flight{next_run_++, now.steady, now.steady + entry.check.schedule.timeout, false};
    runs.push_back({entry.flight->id, entry.check.name, entry.probe, entry.flight->deadline});
  }
  return runs;
}

void Plan::give_up(Entry& entry, health::Moment now) {
  entry.flight->given_up = true;
  Outcome timeout{
      .kind = Outcome::Kind::Fail,
      .reason = "timeout",
      .message = fmt::format("no answer within {}", units::show(entry.check.schedule.timeout))};
  entry.state.see(timeout, entry.check.schedule.timeout, now);
  entry.state.set_stuck(true);
}

void Plan::came_back(std::uint64_t run, const Outcome& outcome, health::Moment now) {
  for (Entry& entry : entries_) {
    if (!entry.flight || entry.flight->id != run) continue;
    Flight flight = *entry.flight;
    entry.flight.reset();
    entry.state.set_stuck(false);
    if (!flight.given_up) entry.state.see(outcome, now.steady - flight.started, now);
    return;
  }
}

Time Plan::next() const {
  Time next = Time::never();
  for (const Entry& entry : entries_) {
    next = std::min(next, entry.due);
    if (entry.flight && !entry.flight->given_up) next = std::min(next, entry.flight->deadline);
  }
  return next;
}

std::vector<CheckView> Plan::views() const {
  std::vector<CheckView> views;
  for (const Entry& entry : entries_) views.push_back(entry.state.view());
  return views;
}

}  // namespace davy::schedule
