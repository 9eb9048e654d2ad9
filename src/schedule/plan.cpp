#include "schedule/plan.h"

#include <fmt/format.h>
#include <algorithm>

#include "base/units.h"
#include "health/roles.h"

namespace davy::schedule {
namespace {

constexpr std::size_t kFew = 20;  // local checks that may all run at once
constexpr Duration kRunNowFloor = std::chrono::seconds(1);

/// A number 0..1 that differs between names, and between instances: FNV-1a, 64 bits, and a final
/// mix (Steele et al., SplittableRandom) because names differ in their last letter only.
double spread(std::string_view name, std::uint64_t seed) {
  std::uint64_t hash = 14695981039346656037ULL ^ seed;
  for (char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9ULL;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebULL;
  hash ^= hash >> 31;
  return static_cast<double>(hash >> 11) * 0x1p-53;
}

Time slot_at_or_before(Time t) {
  return t - t.since_boot % kSlot;
}

Time slot_at_or_after(Time t) {
  if (t == Time::never()) return t;
  Duration beyond = t.since_boot % kSlot;
  return beyond == Duration::zero() ? t : t + (kSlot - beyond);
}

bool is_same(const config::Check& a, const config::Check& b) {
  return a.name == b.name && a.settings == b.settings && a.schedule == b.schedule &&
         a.roles == b.roles && a.severity == b.severity && a.scope == b.scope &&
         a.depends_on == b.depends_on;
}

std::shared_ptr<const Target> make_target(const config::Check& check) {
  auto target = std::make_shared<Target>();
  target->check = check;
  // The config has tried this kind with these settings before, so it cannot refuse now.
  if (check.kind->runner == ProbeKind::Runner::Thread)
    target->probe = *check.kind->make(check.options);
  return target;
}

bool is_up(const CheckView& view) {
  return view.status == CheckStatus::Pass || view.status == CheckStatus::Warn;
}

}  // namespace

void Plan::set_checks(const std::vector<config::Check>& checks, health::Moment now) {
  std::vector<Entry> next;
  bool are_few = checks.size() <= kFew;
  for (const config::Check& check : checks) {
    auto old = by_name_.find(check.name);
    bool is_kept = old != by_name_.end() && is_same(entries_[old->second].check(), check);
    next.push_back(is_kept ? std::move(entries_[old->second])
                           : make(check, are_few && check.scope == Scope::Local, now));
  }
  entries_ = std::move(next);
  by_name_.clear();
  in_flight_.clear();
  agenda_.clear();
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    by_name_[entries_[i].check().name] = i;
    if (entries_[i].flight) in_flight_[entries_[i].flight->id] = i;
    enter(i);
  }
  seen_ = true;
}

Plan::Entry Plan::make(const config::Check& check, bool at_once, health::Moment now) const {
  Duration late = std::min(check.schedule.period, kMostSpread);
  double share = at_once ? 0 : check.schedule.jitter * spread(check.name, seed_);
  Duration wait = check.schedule.initial_delay +
                  Duration(static_cast<Duration::rep>(static_cast<double>(late.count()) * share));
  // What need not wait is due since the slot that has begun: whoever asks whether we are ready
  // would wait for the next one, too.
  Time first = wait == Duration::zero() ? slot_at_or_before(now.steady)
                                        : slot_at_or_after(now.steady + wait);
  return Entry{make_target(check), health::CheckState(check, now), first, first, std::nullopt};
}

void Plan::restore(const std::vector<CheckView>& before, health::Moment now) {
  for (const CheckView& known : before) {
    auto found = by_name_.find(known.name);
    if (found == by_name_.end()) continue;
    Entry& entry = entries_[found->second];
    if (entry.state.view().last_seen != 0) continue;
    entry.state.restore(known);
    entry.state.tick(now.steady);
    entry.told = {known.status, false, false, false};
    enter(found->second);
  }
  seen_ = true;
}

std::vector<Run> Plan::advance(health::Moment now) {
  std::vector<Run> runs;
  while (!agenda_.empty() && agenda_.begin()->first <= now.steady)
    wake(agenda_.begin()->second, now, runs);
  return runs;
}

void Plan::wake(std::size_t index, health::Moment now, std::vector<Run>& runs) {
  Entry& entry = entries_[index];
  CheckStatus was = entry.state.view().status;
  if (entry.flight && !entry.flight->given_up && entry.flight->deadline <= now.steady)
    give_up(entry, now);
  entry.state.tick(now.steady);
  if (entry.due <= now.steady) {
    if (entry.flight) {
      if (entry.flight->given_up) {
        entry.state.still_stuck(now.steady - entry.flight->started, now);
        seen_ = true;
      }
    } else if (const std::string* dependency = failing_dependency(entry)) {
      entry.state.wait_for(*dependency, now);
      seen_ = true;
    } else {
      start(entry, now, runs);
    }
    // The tick is used up, whatever became of it.
    Duration period = entry.state.period();
    entry.anchor = entry.due + (now.steady - entry.due) / period * period;
    entry.due = entry.anchor + period;
  }
  after_change(index, was, entry.state.view().instance, now);
}

void Plan::start(Entry& entry, health::Moment now, std::vector<Run>& runs) {
  entry.flight =
      Flight{next_run_++, now.steady, now.steady + entry.check().schedule.timeout, false};
  in_flight_[entry.flight->id] = static_cast<std::size_t>(&entry - entries_.data());
  runs.push_back({entry.flight->id, entry.target, entry.due, entry.flight->deadline});
}

void Plan::give_up(Entry& entry, health::Moment now) {
  entry.flight->given_up = true;
  Duration timeout = entry.check().schedule.timeout;
  Outcome late{.kind = Outcome::Kind::Fail,
               .reason = "timeout",
               .message = fmt::format("no answer within {}", units::show(timeout))};
  entry.state.see(late, timeout, now);
  entry.state.set_stuck(true);
  // It counts as failed once more in a period from now, unless it is back by then.
  entry.anchor = slot_at_or_after(now.steady);
  entry.due = entry.anchor + entry.state.period();
  seen_ = true;
}

void Plan::came_back(std::uint64_t run, const Outcome& outcome, health::Moment now) {
  auto found = in_flight_.find(run);
  if (found == in_flight_.end()) return;  // its check is gone from the config
  std::size_t index = found->second;
  in_flight_.erase(found);
  Entry& entry = entries_[index];
  Flight flight = *entry.flight;
  CheckStatus was = entry.state.view().status;
  std::string was_instance = entry.state.view().instance;
  entry.flight.reset();
  entry.state.set_stuck(false);
  Duration took = now.steady - flight.started;
  if (!flight.given_up) entry.state.see(outcome, took, now);
  put_due(entry, took, now.steady);
  seen_ = true;
  after_change(index, was, was_instance, now);
}

bool Plan::run_now(std::string_view check, health::Moment now) {
  auto found = by_name_.find(std::string(check));
  if (found == by_name_.end()) return false;
  Entry& entry = entries_[found->second];
  bool is_fresh = entry.state.view().last_seen != 0 &&
                  now.steady - entry.state.view().last_result < kRunNowFloor;
  if (entry.flight || is_fresh) return false;
  hasten(entry, now);
  return true;
}

/// The next tick of the period that the state asks for now. A run that took longer than that has
/// missed it: the next one follows at once.
void Plan::put_due(Entry& entry, Duration took, Time now) {
  Duration period = entry.state.period();
  if (took >= period) entry.anchor = slot_at_or_after(now) - period;
  entry.due = std::max(entry.anchor + period, slot_at_or_after(now));
}

void Plan::hasten(Entry& entry, health::Moment now) {
  if (entry.flight) return;
  entry.anchor = entry.due = slot_at_or_after(now.steady);
  enter(static_cast<std::size_t>(&entry - entries_.data()));
}

/// What follows from a check that has changed, for itself and for others.
void Plan::after_change(std::size_t index, CheckStatus was, const std::string& was_instance,
                        health::Moment now) {
  enter(index);
  Entry& entry = entries_[index];
  const CheckView& view = entry.state.view();
  const std::string& name = entry.check().name;
  if (was == CheckStatus::Fail && view.status != CheckStatus::Fail) {
    for (Entry& other : entries_) {
      const std::vector<std::string>& needs = other.check().depends_on;
      if (std::find(needs.begin(), needs.end(), name) != needs.end()) hasten(other, now);
    }
  }
  if (!was_instance.empty() && view.instance != was_instance) {
    // Another instance answers: what the one before it had proven at its start proves nothing.
    for (Entry& other : entries_) {
      if (&other == &entry || !other.check().has(Role::Startup)) continue;
      other.state = health::CheckState(other.check(), now);
      if (other.flight) other.flight->given_up = true;  // it asked the one before
      hasten(other, now);
    }
  }
  bool has_started_up = was != view.status && is_up(view) && entry.check().has(Role::Startup);
  if (has_started_up && std::all_of(entries_.begin(), entries_.end(), [](const Entry& e) {
        return !e.check().has(Role::Startup) || is_up(e.state.view());
      })) {
    for (Entry& other : entries_) {
      if (other.check().has(Role::Readiness) && !is_up(other.state.view())) hasten(other, now);
    }
  }
}

const std::string* Plan::failing_dependency(const Entry& entry) const {
  for (const std::string& name : entry.check().depends_on) {
    auto found = by_name_.find(name);
    if (found != by_name_.end() && entries_[found->second].state.view().status == CheckStatus::Fail)
      return &found->first;
  }
  return nullptr;
}

/// Puts an entry where it is due in the agenda.
void Plan::enter(std::size_t index) {
  Entry& entry = entries_[index];
  touched_.push_back(index);
  agenda_.erase({entry.wakes, index});
  entry.wakes = entry.due;
  if (entry.flight && !entry.flight->given_up)
    entry.wakes = std::min(entry.wakes, entry.flight->deadline);
  // A stale result is noticed a moment after it has become so, and only once.
  if (!entry.state.view().stale && entry.state.stale_at() != Time::never())
    entry.wakes = std::min(entry.wakes, entry.state.stale_at() + kSlot);
  agenda_.insert({entry.wakes, index});
}

Time Plan::next() const {
  return agenda_.empty() ? Time::never() : slot_at_or_after(agenda_.begin()->first);
}

std::vector<CheckView> Plan::views() const {
  std::vector<CheckView> views;
  views.reserve(entries_.size());
  for (const Entry& entry : entries_) views.push_back(entry.state.view());
  return views;
}

std::vector<News> Plan::take_news() {
  std::vector<News> news;
  for (std::size_t index : std::exchange(touched_, {})) {
    if (index >= entries_.size()) continue;  // gone with a reload
    Entry& entry = entries_[index];
    const CheckView& view = entry.state.view();
    Told now{view.status, view.stuck, view.stale, view.flapping};
    if (now == entry.told) continue;
    news.push_back(
        {view, entry.told.status, entry.told.stuck, entry.told.stale, entry.told.flapping});
    entry.told = now;
  }
  return news;
}

}  // namespace davy::schedule
