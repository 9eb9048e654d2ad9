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
  parts.board.roles = parts.checks_known
                          ? parts.roles.evaluate(parts.board.checks, parts.board.draining)
                          : health::nothing_known();
  for (std::size_t i = 0; i < before.size(); ++i) {
    const RoleView& now = parts.board.roles[i];
    if (now.ok == before[i].ok) continue;
    auto tell = now.ok ? log::info : log::warn;
    tell("role changed", {{"role", std::string(word(now.role))},
                          {"ok", now.ok ? "true" : "false"},
                          {"reason", now.reason}});
  }
  published_.set(std::make_shared<const Board>(parts.board));
}

}  // namespace davy::app
