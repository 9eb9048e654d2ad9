#include "app/noticeboard.h"

#include <algorithm>

#include "base/log.h"

namespace davy::app {

Noticeboard::Noticeboard(std::string service, const Clock& clock) : clock_(clock) {
  auto parts = parts_.lock();
  parts->board.service = std::move(service);
  parts->board.made_at = clock.now();
  publish(*parts);
}

void Noticeboard::pin_checks(std::vector<CheckView> checks) {
  auto parts = parts_.lock();
  parts->board.checks = std::move(checks);
  parts->checks_known = true;
  // Its age tells whether the scheduler lives, so nobody else may renew it.
  parts->board.made = clock_.wall();
  parts->board.made_at = clock_.now();
  publish(*parts);
}

void Noticeboard::configure(const config::FailOpen& fail_open,
                            const config::LivenessBudget& budget) {
  parts_.lock()->roles.configure(fail_open, budget);
}

void Noticeboard::restore_started(const std::string& instance) {
  parts_.lock()->roles.restore_started(instance);
}

void Noticeboard::pin_census(health::Census census) {
  auto parts = parts_.lock();
  parts->census = std::move(census);
  publish(*parts);
}

void Noticeboard::mute(const std::string& check, Duration length, std::string by, std::string why) {
  auto parts = parts_.lock();
  if (length == Duration::zero()) {
    parts->muted.erase(check);
  } else {
    auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(length).count();
    parts->muted[check] = {{std::move(by), std::move(why), clock_.wall() + ms},
                           clock_.now() + length};
  }
  publish(*parts);
}

void Noticeboard::pin_deployment(DeploymentView deployment) {
  auto parts = parts_.lock();
  std::vector<DeploymentView>& all = parts->board.deployments;
  auto same = std::find_if(all.begin(), all.end(),
                           [&](const DeploymentView& d) { return d.name == deployment.name; });
  if (same == all.end()) {
    all.push_back(std::move(deployment));
  } else {
    *same = std::move(deployment);
  }
  publish(*parts);
}

void Noticeboard::keep_deployments(const std::vector<std::string>& names) {
  auto parts = parts_.lock();
  std::vector<DeploymentView> kept;
  for (const std::string& name : names) {
    for (DeploymentView& d : parts->board.deployments) {
      if (d.name == name) kept.push_back(std::move(d));
    }
  }
  parts->board.deployments = std::move(kept);
  publish(*parts);
}

void Noticeboard::start_draining() {
  auto parts = parts_.lock();
  parts->board.draining = true;
  publish(*parts);
}

void Noticeboard::publish(Parts& parts) {
  std::vector<RoleView> before = std::move(parts.board.roles);
  health::Moment now{clock_.now(), clock_.wall()};
  std::erase_if(parts.muted, [&](const auto& item) { return item.second.until <= now.steady; });
  for (CheckView& check : parts.board.checks) {
    auto found = parts.muted.find(check.name);
    check.muted = found == parts.muted.end() ? std::nullopt : std::optional(found->second.mute);
  }
  if (parts.checks_known) {
    parts.roles.evaluate(parts.board, parts.census, now);
  } else {
    parts.board.roles = health::nothing_known();
  }
  for (std::size_t i = 0; i < before.size(); ++i) {
    const RoleView& role = parts.board.roles[i];
    if (role.ok != before[i].ok) {
      auto tell = role.ok ? log::info : log::warn;
      tell("role changed", {{"role", std::string(word(role.role))},
                            {"ok", role.ok ? "true" : "false"},
                            {"reason", role.reason}});
    }
    if (role.note.empty() == before[i].note.empty()) continue;
    std::string what = role.note.empty() ? before[i].note : role.note;
    log::warn(
        role.note.empty() ? "a role counts everything again" : "a role passes although checks fail",
        {{"role", std::string(word(role.role))}, {"why", what}});
  }
  published_.set(std::make_shared<const Board>(parts.board));
}

}  // namespace davy::app
