#include "health/check_state.h"

#include <fmt/format.h>
#include <algorithm>

#include "base/units.h"

namespace davy::health {
CheckState::CheckState(const config::Check& check, Moment now)
    : schedule_(check.schedule), levels_(check.schedule) {
  view_.name = check.name;
  view_.kind = std::string(check.kind->name);
  view_.roles = check.roles;
  view_.severity = check.severity;
  view_.scope = check.scope;
  view_.since = now.wall;
  view_.last_result = now.steady;
  view_.when_stale = check.schedule.when_stale;
  view_.history = std::make_shared<const std::vector<Seen>>();
}

void CheckState::see(const Outcome& raw, Duration took, Moment now) {
  remember(raw, took, now);
  Outcome seen = levels_.judge(raw, view_.status);
  if (seen.kind == Outcome::Kind::Error && schedule_.when_unable == config::WhenUnable::Fail)
    seen.kind = Outcome::Kind::Fail;
  view_.took = took;
  view_.reason = seen.reason;
  view_.message = seen.message;
  // Our own inability says nothing about the dependency: nothing moves, and nothing gets younger,
  // so it ages into stale.
  if (seen.kind == Outcome::Kind::Error) return;
  view_.last_seen = now.wall;
  view_.last_result = now.steady;
  view_.stale = false;
  view_.restored = false;
  view_.waits_for.clear();
  view_.value = seen.value;
  view_.unit = seen.unit;
  view_.also = seen.also;
  view_.blocks_deploy = seen.blocks_deploy;
  if (!seen.instance.empty() && seen.instance != view_.instance) {
    view_.instance = seen.instance;
    view_.has_passed = false;
  }
  count(seen, now);
}

void CheckState::count(const Outcome& seen, Moment now) {
  switch (seen.kind) {
    case Outcome::Kind::Pass: count_success(CheckStatus::Pass, now); break;
    case Outcome::Kind::Warn: count_success(CheckStatus::Warn, now); break;
    case Outcome::Kind::Fail: {
      const std::vector<std::string>& also_hard = schedule_.hard_fail_on;
      bool is_hard = seen.hard ||
                     std::find(also_hard.begin(), also_hard.end(), seen.reason) != also_hard.end();
      count_failure(is_hard, now);
      break;
    }
    case Outcome::Kind::Error: break;
  }
  watch_flapping(seen.kind != Outcome::Kind::Fail);
}

void CheckState::still_stuck(Duration since, Moment now) {
  view_.stuck = true;
  view_.stuck_for = since;
  view_.reason = "stuck";
  view_.message =
      fmt::format("has not come back for {}; not started again until it does", units::show(since));
  view_.last_seen = now.wall;
  view_.last_result = now.steady;
  view_.restored = false;
  count_failure(false, now);
  watch_flapping(false);
}

void CheckState::set_stuck(bool stuck) {
  view_.stuck = stuck;
  if (!stuck) view_.stuck_for = Duration{0};
}

void CheckState::wait_for(const std::string& check, Moment now) {
  view_.waits_for = check;
  view_.reason = "waits";
  view_.message = "not asked while " + check + " fails";
  view_.last_result = now.steady;
}

void CheckState::tick(Time now) {
  view_.stale = stale_at() < now;
}

void CheckState::restore(const CheckView& before) {
  view_.status = before.status;
  view_.since = before.since;
  view_.last_seen = before.last_seen;
  view_.last_result = before.last_result;
  view_.has_passed = before.has_passed;
  view_.last_run_failed = before.last_run_failed;
  view_.consecutive_failures = before.consecutive_failures;
  view_.consecutive_successes = before.consecutive_successes;
  view_.blocks_deploy = before.blocks_deploy;
  view_.instance = before.instance;
  view_.muted = before.muted;
  view_.reason = before.reason;
  view_.message = before.message;
  view_.restored = true;
}

Duration CheckState::period() const {
  if (view_.flapping) return schedule_.period;
  switch (view_.status) {
    case CheckStatus::Pending: return schedule_.period_fast;
    case CheckStatus::Fail:
      return view_.consecutive_successes > 0 ? schedule_.period_fast : schedule_.period_down;
    case CheckStatus::Pass:
    case CheckStatus::Warn: return view_.last_run_failed ? schedule_.period_fast : schedule_.period;
  }
  return schedule_.period;
}

Time CheckState::stale_at() const {
  return view_.status == CheckStatus::Pending ? Time::never()
                                              : view_.last_result + schedule_.stale_after;
}

void CheckState::count_failure(bool hard, Moment now) {
  if (!failing_since_) failing_since_ = now.steady;
  view_.consecutive_successes = 0;
  view_.last_run_failed = true;
  ++view_.consecutive_failures;
  bool is_enough = view_.consecutive_failures >= schedule_.failure_threshold &&
                   now.steady - *failing_since_ >= schedule_.min_failing_for;
  if (hard || is_enough) become(CheckStatus::Fail, now);
}

void CheckState::count_success(CheckStatus status, Moment now) {
  ++view_.consecutive_successes;
  view_.last_run_failed = false;
  // A first answer counts at once (Envoy's rule); after a failure it must be repeated.
  if (view_.status == CheckStatus::Fail &&
      view_.consecutive_successes < schedule_.success_threshold)
    return;
  // A warning does not wipe out the failures between which it stands; a recovery does.
  if (status == CheckStatus::Pass || view_.status == CheckStatus::Fail) {
    view_.consecutive_failures = 0;
    failing_since_.reset();
  }
  view_.has_passed = true;
  become(status, now);
}

void CheckState::become(CheckStatus status, Moment now) {
  if (view_.flapping) view_.worst_while_flapping = std::max(view_.worst_while_flapping, status);
  if (view_.status == status) return;
  view_.status = status;
  view_.since = now.wall;
}

void CheckState::watch_flapping(bool good) {
  bool flaps = flapping_.see(good);
  if (flaps && !view_.flapping) view_.worst_while_flapping = view_.status;
  view_.flapping = flaps;
}

void CheckState::remember(const Outcome& raw, Duration took, Moment now) {
  auto next = std::make_shared<std::vector<Seen>>();
  next->reserve(kHistory);
  std::size_t skip = view_.history->size() < kHistory ? 0 : 1;
  next->assign(view_.history->begin() + static_cast<std::ptrdiff_t>(skip), view_.history->end());
  next->push_back({now.wall, raw.kind, raw.hard, took, raw.reason});
  view_.history = std::move(next);
}

}  // namespace davy::health
