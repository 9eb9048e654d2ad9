#include "schedule/scheduler.h"

#include <fmt/format.h>
#include <algorithm>
#include <exception>

#include "base/log.h"
#include "base/thread_name.h"

namespace davy::schedule {
namespace {

constexpr Duration kHeartbeat = std::chrono::seconds(1);  // publishes at least this often

Outcome run_guarded(Probe& probe, const ProbeContext& ctx, const std::string& check) {
  try {
    return probe.run(ctx);
  } catch (const std::exception& e) {
    log::error("a probe threw; please report this", {{"check", check}, {"what", e.what()}});
    return {.kind = Outcome::Kind::Error, .reason = "defect", .message = e.what()};
  }
}

}  // namespace

Scheduler::Scheduler(const Clock& clock, Workers& workers, net::Means& net,
                     telemetry::Metrics& metrics, Publish publish)
    : clock_(clock),
      workers_(workers),
      net_(net),
      metrics_(metrics),
      publish_(std::move(publish)) {}

Scheduler::~Scheduler() {
  stop();
}

void Scheduler::set_checks(std::vector<config::Check> checks) {
  std::lock_guard<std::mutex> lock(inbox_->mutex);
  inbox_->checks = std::move(checks);
  inbox_->wake.notify_one();
}

void Scheduler::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) {
    name_this_thread("davy-sched");
    serve(stop);
  });
}

void Scheduler::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

void Scheduler::serve(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::vector<std::pair<std::uint64_t, Outcome>> outcomes;
    std::optional<std::vector<config::Check>> checks;
    {
      std::unique_lock<std::mutex> lock(inbox_->mutex);
      Duration wait =
          std::clamp<Duration>(plan_.next() - clock_.now(), Duration::zero(), kHeartbeat);
      inbox_->wake.wait_for(lock, stop, wait,
                            [this] { return !inbox_->outcomes.empty() || inbox_->checks; });
      outcomes.swap(inbox_->outcomes);
      checks.swap(inbox_->checks);
    }
    if (checks) plan_.set_checks(*checks, now());
    for (const auto& [id, outcome] : outcomes) plan_.came_back(id, outcome, now());
    for (Run& run : plan_.advance(now())) launch(std::move(run));
    std::vector<CheckView> views = plan_.views();
    report(views);
    publish_(std::move(views));
  }
}

void Scheduler::launch(Run run) {
  auto job = [inbox = inbox_, &clock = clock_, &net = net_, &metrics = metrics_, run] {
    Time began = clock.now();
    ProbeContext ctx{Call{Deadline(run.deadline), net}};
    Outcome outcome = run_guarded(*run.probe, ctx, run.check);
    metrics.check_ran(run.check, outcome.kind, clock.now() - began);
    std::lock_guard<std::mutex> lock(inbox->mutex);
    inbox->outcomes.emplace_back(run.id, std::move(outcome));
    inbox->wake.notify_one();
  };
  if (workers_.submit(job)) return;
  Outcome full{.kind = Outcome::Kind::Error,
               .reason = "no_worker",
               .message = fmt::format("all {} workers are busy with checks that do not come back",
                                      workers_.limit())};
  metrics_.no_worker();
  log::warn("check not run", {{"check", run.check}, {"why", full.message}});
  plan_.came_back(run.id, full, now());
}

/// Tells log and metrics what changed since the last look.
void Scheduler::report(const std::vector<CheckView>& views) {
  for (const CheckView& view : views) {
    auto before = std::find_if(last_.begin(), last_.end(),
                               [&](const CheckView& v) { return v.name == view.name; });
    CheckStatus was = before == last_.end() ? CheckStatus::Pending : before->status;
    bool was_stuck = before != last_.end() && before->stuck;
    if (view.status != was) {
      auto tell = view.status == CheckStatus::Fail ? log::warn : log::info;
      tell("check changed", {{"check", view.name},
                             {"from", std::string(word(was))},
                             {"to", std::string(word(view.status))},
                             {"reason", view.reason},
                             {"message", view.message}});
    }
    if (view.stuck && !was_stuck) {
      metrics_.check_given_up(view.name);
      log::warn("check is stuck: it has passed its deadline and has not come back",
                {{"check", view.name}, {"kind", view.kind}});
    }
    if (view.stale && (before == last_.end() || !before->stale)) {
      log::warn("check is stale: no result for too long",
                {{"check", view.name}, {"message", view.message}});
    }
  }
  last_ = views;
}

}  // namespace davy::schedule
