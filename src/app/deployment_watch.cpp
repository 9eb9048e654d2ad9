#include "app/deployment_watch.h"

#include <fmt/format.h>
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/thread_name.h"

namespace davy::app {

DeploymentWatch::DeploymentWatch(const config::Deployment& deployment, Means means)
    : deployment_(deployment),
      means_(std::move(means)),
      // The config has tried this kind with these settings before, so it cannot refuse now.
      source_(*deployment.source->make(deployment.source_options, deployment.requests,
                                       deployment.policy.value_series())) {
  begin_run(deployment.revision);
  pin();
}

void DeploymentWatch::open_run(std::string revision) {
  std::lock_guard<std::mutex> lock(wishes_.mutex);
  wishes_.new_run = std::move(revision);
  wishes_.wake.notify_one();
}

void DeploymentWatch::enter_stage(double weight) {
  std::lock_guard<std::mutex> lock(wishes_.mutex);
  wishes_.new_weight = weight;
  wishes_.wake.notify_one();
}

void DeploymentWatch::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) {
    name_this_thread("davy-judge");
    serve(stop);
  });
}

void DeploymentWatch::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

void DeploymentWatch::begin_run(std::string revision) {
  judge_ = std::make_unique<canary::Judge>(deployment_.policy, deployment_.stages);
  revision_ = std::move(revision);
  weight_ = deployment_.stages.empty() ? std::nullopt : std::optional(deployment_.stages.front());
  zero_ = means_.clock.now();
  verdict_told_.reset();
}

/// Rounds start at start + k x every, so that blocks keep their length.
void DeploymentWatch::serve(const std::stop_token& stop) {
  Time start = means_.clock.now();
  Time due = start;
  while (!stop.stop_requested()) {
    round();
    Duration every = source_->every();
    due = std::max(due + every, start + (means_.clock.now() - start) / every * every);
    std::unique_lock<std::mutex> lock(wishes_.mutex);
    Duration wait = std::max(Duration::zero(), due - means_.clock.now());
    wishes_.wake.wait_for(lock, stop, wait,
                          [this] { return wishes_.new_run || wishes_.new_weight; });
    std::optional<std::string> revision = std::exchange(wishes_.new_run, std::nullopt);
    std::optional<double> weight = std::exchange(wishes_.new_weight, std::nullopt);
    lock.unlock();
    if (revision) {
      begin_run(*std::move(revision));
      pin();
    }
    if (weight) weight_ = weight;
  }
}

void DeploymentWatch::round() {
  Deadline deadline(means_.clock.now() + source_->every());
  Collected collected = source_->collect({deadline, means_.watchdog, means_.workers, means_.clock});
  double t = seconds(means_.clock.now() - zero_);
  if (collected.block) {
    collected.block->t = t;
    collected.block->weight = weight_;
    judge_->see(*collected.block);
  } else if (collected.blind) {
    judge_->see_trouble(t, collected.trouble);
  }
  means_.metrics.collected(deployment_.name, collected.block.has_value(),
                           !collected.trouble.empty());
  trouble_ = collected.trouble;
  pin();
}

void DeploymentWatch::pin() {
  DeploymentView view;
  view.name = deployment_.name;
  view.verdict = judge_->verdict();
  view.verdict.deployment = deployment_.name;
  view.verdict.revision = revision_;
  view.verdict.url = fmt::format("/v1/deployments/{}/verdict", deployment_.name);
  view.source = source_->describe();
  view.trouble = trouble_;
  view.updated = means_.clock.wall();
  tell(view);
  means_.pin(std::move(view));
}

/// Changes only: a source that stays down is one line, not one a round.
void DeploymentWatch::tell(const DeploymentView& view) {
  VerdictKind kind = view.verdict.kind;
  if (verdict_told_ != kind) {
    bool bad = kind == VerdictKind::Fail || kind == VerdictKind::Error;
    auto say = bad ? log::warn : log::info;
    say("verdict", {{"deployment", view.name},
                    {"verdict", std::string(word(kind))},
                    {"revision", revision_},
                    {"reason", view.verdict.reason}});
    verdict_told_ = kind;
  }
  bool trouble = !view.trouble.empty();
  if (trouble == trouble_told_) return;
  if (trouble) {
    log::warn("source has trouble", {{"deployment", view.name}, {"what", view.trouble}});
  } else {
    log::info("source is well again", {{"deployment", view.name}});
  }
  trouble_told_ = trouble;
}

}  // namespace davy::app
