#include "app/deployment_watch.h"

#include <fmt/format.h>
#include <algorithm>

#include "base/log.h"
#include "base/thread_name.h"

namespace davy::app {

DeploymentWatch::DeploymentWatch(const config::Deployment& deployment, Means means)
    : deployment_(deployment),
      means_(std::move(means)),
      // The config has tried this kind with these settings before, so it cannot refuse now.
      source_(*deployment.source->make(deployment.source_options, deployment.requests)) {
  begin_run(deployment.revision);
  pin({});
}

void DeploymentWatch::open_run(std::string revision) {
  std::lock_guard<std::mutex> lock(wishes_.mutex);
  wishes_.new_run = std::move(revision);
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
  zero_ = means_.clock.now();
  told_.reset();
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
    wishes_.wake.wait_for(lock, stop, wait, [this] { return wishes_.new_run.has_value(); });
    if (std::optional<std::string> revision = std::exchange(wishes_.new_run, std::nullopt)) {
      lock.unlock();
      begin_run(*std::move(revision));
      pin({});
    }
  }
}

void DeploymentWatch::round() {
  Deadline deadline(means_.clock.now() + source_->every());
  Collected collected = source_->collect({deadline, means_.watchdog, means_.workers, means_.clock});
  double t = seconds(means_.clock.now() - zero_);
  if (collected.block) {
    collected.block->t = t;
    judge_->see(*collected.block);
  } else if (collected.blind) {
    judge_->see_trouble(t, collected.trouble);
  }
  means_.metrics.collected(deployment_.name, collected.block.has_value(),
                           !collected.trouble.empty());
  pin(collected);
}

void DeploymentWatch::pin(const Collected& collected) {
  DeploymentView view;
  view.name = deployment_.name;
  view.verdict = judge_->verdict();
  view.verdict.deployment = deployment_.name;
  view.verdict.revision = revision_;
  view.verdict.url = fmt::format("/v1/deployments/{}/verdict", deployment_.name);
  view.source = source_->describe();
  view.trouble = collected.trouble;
  view.updated = means_.clock.wall();
  if (told_ != view.verdict.kind) {
    auto tell = view.verdict.kind == VerdictKind::Fail || view.verdict.kind == VerdictKind::Error
                    ? log::warn
                    : log::info;
    tell("verdict", {{"deployment", view.name},
                     {"verdict", std::string(word(view.verdict.kind))},
                     {"revision", revision_},
                     {"reason", view.verdict.reason}});
    told_ = view.verdict.kind;
  }
  if (trouble_told_ != view.trouble) {
    if (!view.trouble.empty())
      log::warn("source has trouble", {{"deployment", view.name}, {"what", view.trouble}});
    if (view.trouble.empty()) log::info("source is well again", {{"deployment", view.name}});
    trouble_told_ = view.trouble;
  }
  means_.pin(std::move(view));
}

}  // namespace davy::app
