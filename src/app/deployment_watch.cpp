#include "app/deployment_watch.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <utility>

#include "base/boot_id.h"
#include "base/log.h"
#include "base/thread_name.h"
#include "sources/recording.h"

namespace davy::app {
DeploymentWatch::DeploymentWatch(const config::Deployment& deployment, Means means)
    : deployment_(deployment),
      means_(std::move(means)),
      // The config has tried this kind with these settings before, so it cannot refuse now.
      source_(*config::make_source_of(deployment)) {
  if (!means_.state_dir.empty()) keeper_.emplace(means_.state_dir, deployment.name, means_.workers);
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
  config::Policy policy = deployment_.policy;
  // Evidence that was lost may have looked bad: the chance of a false rollback is not spent twice.
  policy.false_rollback *= std::exp2(-lost_);
  judge_ = std::make_unique<canary::Judge>(policy, deployment_.stages);
  revision_ = std::move(revision);
  weight_ = deployment_.stages.empty() ? std::nullopt : std::optional(deployment_.stages.front());
  zero_ = means_.clock.now();
  verdict_told_.reset();
}

/// Rounds start at start + k x every, so that blocks keep their length.
void DeploymentWatch::serve(const std::stop_token& stop) {
  if (keeper_) resume();
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
      lost_ = 0;
      begin_run(*std::move(revision));
      if (keeper_) keeper_->begin_run();
      pin();
    }
    if (weight) weight_ = weight;
  }
}

void DeploymentWatch::round() {
  Deadline deadline(means_.clock.now() + source_->every());
  Collected collected = source_->collect({.deadline = deadline,
                                          .net = means_.net,
                                          .workers = means_.workers,
                                          .clock = means_.clock,
                                          .heartbeats = means_.heartbeats,
                                          .canary_alone = weight_ && *weight_ >= 1});
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
  for (const SourceEvent& event : collected.events)
    means_.metrics.source_event(deployment_.name, event.name, event.times);
  trouble_ = collected.trouble;
  // Saved before it is told, so that a verdict that somebody saw is not taken back by a restart.
  if (keeper_) save(collected.block);
  pin();
}

void DeploymentWatch::resume() {
  Result<std::string> saved = keeper_->load();
  if (saved && saved->empty()) {
    keeper_->begin_run();
    return;
  }
  if (!saved) ++lost_;
  Result<Done> done = saved ? restore(*saved) : Result<Done>(saved.error());
  means_.metrics.resumed(deployment_.name, static_cast<bool>(done));
  if (done) {
    log::info("goes on with the saved run",
              {{"deployment", deployment_.name}, {"revision", revision_}});
    pin();
    return;
  }
  log::warn("the saved run cannot be gone on with; a new one begins",
            {{"deployment", deployment_.name}, {"why", done.error().what}});
  begin_run(deployment_.revision);
  keeper_->begin_run();
}

Result<Done> DeploymentWatch::restore(const std::string& bytes) {
  Archive in = Archive::reader(bytes);
  std::string settings;
  in(settings, lost_);
  if (!in.failed() && settings != deployment_.settings) {
    lost_ = 0;
    return Error{"the deployment's settings have changed"};
  }
  begin_run(deployment_.revision);  // with the level that the saved run had
  archive(in);
  if (!in.failed() && in.at_end()) return Done{};
  // It may be half read: nothing of it is kept.
  source_ = *config::make_source_of(deployment_);
  ++lost_;
  return Error{"it is not what this davy saves"};
}

/// The run, and what its source has counted.
void DeploymentWatch::archive(Archive& a) {
  WallMillis wall = means_.clock.wall();
  Time now = means_.clock.now();
  std::string saved_boot = boot_id();
  WallMillis saved_wall = wall;
  Time saved_now = now;
  a(revision_, weight_, zero_.since_boot, saved_boot, saved_wall, saved_now.since_boot);
  a(*judge_);
  // After a reboot the steady clock has begun anew: the run's time goes on by the wall's.
  bool rebooted = saved_boot != boot_id();
  if (a.reading() && rebooted) {
    auto away = std::chrono::milliseconds(std::max<WallMillis>(0, wall - saved_wall));
    zero_ = {now.since_boot - (saved_now - zero_) - away};
  }
  a(*source_);
}

void DeploymentWatch::save(const std::optional<Block>& judged) {
  Archive out = Archive::writer();
  std::string settings = deployment_.settings;
  out(settings, lost_);
  archive(out);
  keeper_->save(out.bytes(), judged ? source::recording_line(*judged) : "");
  bool unsaved = !keeper_->trouble().empty();
  means_.metrics.saved(deployment_.name, !unsaved);
  if (unsaved == unsaved_told_) return;
  if (unsaved) {
    log::warn("the run cannot be saved; a restart would fall back to what was saved last",
              {{"deployment", deployment_.name}, {"why", keeper_->trouble()}});
  } else {
    log::info("the run is saved again", {{"deployment", deployment_.name}});
  }
  unsaved_told_ = unsaved;
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
