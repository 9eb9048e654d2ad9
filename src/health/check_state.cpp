#include "health/check_state.h"

#include <fmt/format.h>

#include "base/units.h"

namespace davy::health {

CheckState::CheckState(const config::Check& check, Moment now) : schedule_(check.schedule) {
  view_.name = check.name;
  view_.kind = std::string(check.kind->name);
  view_.roles = check.roles;
  view_.severity = check.severity;
  view_.scope = check.scope;
  view_.since = now.wall;
  view_.last_result = now.steady;
  view_.when_stale = check.schedule.when_stale;
}

void CheckState::see(const Outcome& outcome, Duration took, Moment now) {
  view_.took = took;
  view_.reason = outcome.reason;
  view_.message = outcome.message;
  // Our own inability says nothing about the dependency: nothing moves, and nothing gets younger,
  // so it ages into stale.
  if (outcome.kind == Outcome::Kind::Error) return;
  view_.last_seen = now.wall;
  view_.last_result = now.steady;
  view_.stale = false;
  view_.value = outcome.value;
  view_.unit = outcome.unit;
  view_.blocks_deploy = outcome.blocks_deploy;
  switch (outcome.kind) {
    case Outcome::Kind::Pass: count_success(CheckStatus::Pass, now); break;
    case Outcome::Kind::Warn: count_success(CheckStatus::Warn, now); break;
    case Outcome::Kind::Fail: count_failure(outcome.hard, now); break;
    case Outcome::Kind::Error: break;
  }
}

void CheckState::still_stuck(Duration since, Moment now) {
  view_.stuck = true;
  view_.reason = "stuck";
  view_.message =
      fmt::format("has not come back for {}; not started again until it does", units::show(since));
  view_.last_seen = now.wall;
  view_.last_result = now.steady;
  count_failure(false, now);
}

void CheckState::tick(Time now) {
  view_.stale =
      view_.status != CheckStatus::Pending && now - view_.last_result > schedule_.stale_after;
}

void CheckState::count_failure(bool hard, Moment now) {
  consecutive_successes_ = 0;
  ++view_.consecutive_failures;
  if (hard || view_.consecutive_failures >= schedule_.failure_threshold)
    become(CheckStatus::Fail, now);
}

void CheckState::count_success(CheckStatus status, Moment now) {
  ++consecutive_successes_;
  // A first answer counts at once (Envoy's rule); after a failure it must be repeated.
  if (view_.status == CheckStatus::Fail && consecutive_successes_ < schedule_.success_threshold)
    return;
  // A warning does not wipe out the failures between which it stands.
  if (status == CheckStatus::Pass) view_.consecutive_failures = 0;
  become(status, now);
}

void CheckState::become(CheckStatus status, Moment now) {
  if (view_.status == status) return;
  view_.status = status;
  view_.since = now.wall;
}

}  // namespace davy::health
