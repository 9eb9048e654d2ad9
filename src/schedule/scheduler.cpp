#include "schedule/scheduler.h"

#include <fmt/format.h>
#include <algorithm>
#include <exception>

#include "base/log.h"
#include "base/thread_name.h"

namespace davy::schedule {
namespace {

constexpr Duration kHeartbeat = std::chrono::seconds(1);      // publishes at least this often
constexpr Duration kQuiet = std::chrono::milliseconds(250);   // and at most, without a change
constexpr Duration kFollowUp = std::chrono::milliseconds(1);  // one worker alone, before more come
constexpr Duration kLongestWait = std::chrono::milliseconds(250);  // for a worker to be free

Outcome run_guarded(const Target& target, const ProbeContext& ctx,
                    const Scheduler::RunInHelper& run_in_helper) {
  try {
    return target.probe ? target.probe->run(ctx) : run_in_helper(target.check, ctx);
  } catch (const std::exception& e) {
    log::error("a probe threw; please report this",
               {{"check", target.check.name}, {"what", e.what()}});
    return Outcome::unable("defect", e.what());
  }
}

}  // namespace

Scheduler::Scheduler(Means means, Publish publish)
    : means_(std::move(means)), publish_(std::move(publish)), plan_(means_.seed) {}

Scheduler::~Scheduler() {
  stop();
}

void Scheduler::set_checks(std::vector<config::Check> checks) {
  std::lock_guard<std::mutex> lock(inbox_->mutex);
  inbox_->checks = std::move(checks);
  inbox_->ring();
}

void Scheduler::restore(std::vector<CheckView> before) {
  before_ = std::move(before);
}

void Scheduler::run_now(const std::string& check) {
  std::lock_guard<std::mutex> lock(inbox_->mutex);
  inbox_->run_now.push_back(check);
  inbox_->ring();
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
    std::vector<std::string> run_now;
    Progress progress;
    {
      std::unique_lock<std::mutex> lock(inbox_->mutex);
      inbox_->wake.wait_for(lock, stop, wait_time(), [this] { return inbox_->rung; });
      inbox_->rung = false;
      outcomes.swap(inbox_->outcomes);
      checks.swap(inbox_->checks);
      run_now.swap(inbox_->run_now);
      waiting_runs_ = inbox_->ready.size();
      progress = inbox_->progress;
    }
    if (checks) {
      plan_.set_checks(*checks, now());
      plan_.restore(std::exchange(before_, {}), now());
      published_ = Time{};
    }
    for (const auto& [id, outcome] : outcomes) plan_.came_back(id, outcome, now());
    for (const std::string& check : run_now) plan_.run_now(check, now());
    if (waiting_runs_ > 0) call_more_workers(progress);
    put_on_list(plan_.advance(now()));
    report();
    publish_if_due();
  }
}

Duration Scheduler::wait_time() const {
  Time now = means_.clock.now();
  Duration wait = std::min(plan_.next() - now, published_ + kHeartbeat - now);
  if (has_seen_) wait = std::min(wait, published_ + kQuiet - now);
  if (waiting_runs_ > 0) wait = std::min(wait, kFollowUp);
  return std::clamp<Duration>(wait, Duration::zero(), kHeartbeat);
}

void Scheduler::put_on_list(std::vector<Run> runs) {
  if (runs.empty()) return;
  bool was_empty;
  {
    std::lock_guard<std::mutex> lock(inbox_->mutex);
    was_empty = inbox_->ready.empty();
    if (was_empty) progress_ = inbox_->progress;
    for (Run& run : runs) inbox_->ready.push_back(std::move(run));
    waiting_runs_ = inbox_->ready.size();
  }
  if (!was_empty) return;
  called_ = 0;
  if (!call_worker()) give_back_unstarted();
}

/// The list has not become empty. If whoever takes from it waits for answers, as many again help.
/// If they come back but have much to do, or have not got a processor yet, more than there are
/// processors would only fight for them.
void Scheduler::call_more_workers(Progress now) {
  bool are_on_their_way = now.begun < called_ever_;
  bool come_back = now.taken - progress_.taken > now.begun - progress_.begun;
  progress_ = now;
  if (are_on_their_way || (come_back && called_ >= processors_)) return;
  std::size_t more = std::min(waiting_runs_, called_);
  for (std::size_t i = 0; i < more; ++i) {
    if (call_worker()) continue;
    give_back_unstarted();
    return;
  }
}

/// Calls one worker to take runs off the list until it is empty.
bool Scheduler::call_worker() {
  ++called_;
  bool is_called = means_.workers.submit([inbox = inbox_, means = means_] {
    std::unique_lock<std::mutex> lock(inbox->mutex);
    ++inbox->progress.begun;
    while (!inbox->ready.empty()) {
      Run run = std::move(inbox->ready.front());
      inbox->ready.pop_front();
      ++inbox->progress.taken;
      lock.unlock();
      Time began = means.clock.now();
      const Target& target = *run.target;
      ProbeContext ctx{{Deadline(run.deadline), means.net}, target.check.name, &means.heartbeats};
      Outcome outcome = run_guarded(target, ctx, means.run_in_helper);
      means.metrics.check_ran(target.check.name, outcome.kind, means.clock.now() - began,
                              began - run.due);
      run.target.reset();  // perhaps the last of it, which is not to be freed under the lock
      lock.lock();
      inbox->outcomes.emplace_back(run.id, std::move(outcome));
    }
    inbox->ring();
  });
  if (is_called) ++called_ever_;
  return is_called;
}

/// Runs that have waited too long for a worker: davy's own trouble, and no word on the dependency.
void Scheduler::give_back_unstarted() {
  std::vector<Run> unstarted;
  Time now_steady = means_.clock.now();
  {
    std::lock_guard<std::mutex> lock(inbox_->mutex);
    // Before their deadline: it would be taken for the dependency's silence.
    auto has_waited = [&](const Run& run) {
      return now_steady - run.due > std::min(kLongestWait, (run.deadline - run.due) / 2);
    };
    while (!inbox_->ready.empty() && has_waited(inbox_->ready.front())) {
      unstarted.push_back(std::move(inbox_->ready.front()));
      inbox_->ready.pop_front();
    }
    waiting_runs_ = inbox_->ready.size();
  }
  for (const Run& run : unstarted) {
    Outcome full = Outcome::unable(
        "no_worker", fmt::format("all {} workers are busy with checks that do not come back",
                                 means_.workers.limit()));
    means_.metrics.no_worker();
    log::warn("check not run", {{"check", run.check()}, {"why", full.message}});
    plan_.came_back(run.id, full, now());
  }
}

/// Tells log and metrics what has changed.
void Scheduler::report() {
  for (const News& news : plan_.take_news()) {
    has_news_ = true;
    const CheckView& view = news.now;
    if (view.status != news.was) {
      auto tell = view.status == CheckStatus::Fail ? log::warn : log::info;
      tell("check changed", {{"check", view.name},
                             {"from", std::string(word(news.was))},
                             {"to", std::string(word(view.status))},
                             {"reason", view.reason},
                             {"message", view.message}});
    }
    if (view.stuck && !news.was_stuck) {
      means_.metrics.check_given_up(view.name);
      log::warn("check is stuck: it has passed its deadline and has not come back",
                {{"check", view.name}, {"kind", view.kind}});
    }
    if (view.stale && !news.was_stale) {
      log::warn("check is stale: no result for too long",
                {{"check", view.name}, {"message", view.message}});
    }
    if (view.flapping != news.was_flapping) {
      log::warn(view.flapping ? "check flaps: readiness counts the worst of it until it settles"
                              : "check has settled",
                {{"check", view.name}});
    }
  }
}

void Scheduler::publish_if_due() {
  has_seen_ = plan_.take_seen() || has_seen_;
  Duration age = means_.clock.now() - published_;
  bool is_due = has_news_ || age >= kHeartbeat || (has_seen_ && age >= kQuiet);
  if (!is_due) return;
  has_news_ = has_seen_ = false;
  published_ = means_.clock.now();
  publish_(plan_.views());
}

}  // namespace davy::schedule
