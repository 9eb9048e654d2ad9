#include "app/publisher_watch.h"

#include <fmt/format.h>
#include <algorithm>
#include <cctype>
#include <utility>

#include "base/archive.h"
#include "base/boot_id.h"
#include "base/log.h"
#include "base/thread_name.h"

namespace davy::app {
namespace {

constexpr Duration kSending = std::chrono::seconds(2);
constexpr Duration kLeaving = std::chrono::seconds(1);  // for each step of the last block

/// Instances are named as people like; files are not.
std::string file_of(const std::string& state_dir, const config::Publication& publication) {
  std::string instance = publication.instance;
  std::replace_if(
      instance.begin(), instance.end(),
      [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-'; }, '_');
  return fmt::format("{}/publish-{}-{}.state", state_dir, publication.deployment, instance);
}

}  // namespace

PublisherWatch::PublisherWatch(const config::Publication& publication, Means means)
    : publication_(publication),
      means_(std::move(means)),
      // The config has tried this before, so it cannot be refused now.
      publisher_(*config::make_publisher_of(publication)) {}

void PublisherWatch::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) {
    name_this_thread("davy-publish");
    serve(stop);
  });
}

void PublisherWatch::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
  file_.reset();
}

void PublisherWatch::serve(const std::stop_token& stop) {
  if (!means_.state_dir.empty()) load();
  log::info("publishes", {{"what", publisher_->describe()}});
  while (!stop.stop_requested()) {
    send(kSending);
    std::unique_lock<std::mutex> lock(mutex_);
    wake_.wait_for(lock, stop, publisher_->until_due(means_.clock.now()), [] { return false; });
    lock.unlock();
    if (!stop.stop_requested()) count(false);
  }
  count(true);
  send(kLeaving);
  save();
}

SourceContext PublisherWatch::context(Duration patience) {
  return {.deadline = Deadline::in(patience),
          .net = means_.net,
          .workers = means_.workers,
          .clock = means_.clock,
          .heartbeats = means_.heartbeats,
          .canary_alone = true};
}

/// And saves it, before anybody can see it.
void PublisherWatch::count(bool is_last) {
  publisher_->count(context(is_last ? kLeaving : kSending), is_last);
  save();
}

void PublisherWatch::send(Duration patience) {
  tell(publisher_->send(context(patience)));
}

void PublisherWatch::load() {
  file_.emplace(file_of(means_.state_dir, publication_), "davy-publish-1", means_.workers);
  Result<std::string> saved = file_->load();
  if (saved && saved->empty()) return;
  Result<Done> done = saved ? restore(*saved) : Result<Done>(saved.error());
  if (done) return;
  log::warn("what was published before is not known; counting begins anew",
            {{"what", publisher_->describe()}, {"why", done.error().what}});
}

Result<Done> PublisherWatch::restore(const std::string& bytes) {
  Archive in = Archive::reader(bytes);
  archive(in);
  if (!in.failed() && in.at_end()) return Done{};
  // It may be half read: nothing of it is kept.
  publisher_ = *config::make_publisher_of(publication_);
  return Error{"it is of another version or config, or not what this davy saves"};
}

void PublisherWatch::archive(Archive& a) {
  std::string boot = boot_id();
  a(boot, *publisher_);
  if (a.reading() && boot != boot_id()) publisher_->see_reboot();
}

void PublisherWatch::save() {
  if (!file_) return;
  Archive out = Archive::writer();
  archive(out);
  file_->save(out.bytes());
  bool unsaved = !file_->trouble().empty();
  means_.metrics.publish_saved(publication_.deployment, publication_.version, !unsaved);
  if (unsaved == unsaved_told_) return;
  if (unsaved) {
    log::warn("what is published cannot be saved; a restart would lose some of it",
              {{"what", publisher_->describe()}, {"why", file_->trouble()}});
  } else {
    log::info("what is published is saved again", {{"what", publisher_->describe()}});
  }
  unsaved_told_ = unsaved;
}

/// Changes only: a Redis that stays down is one line, not one a slot.
void PublisherWatch::tell(const PublisherReport& report) {
  const std::string& deployment = publication_.deployment;
  const std::string& version = publication_.version;
  means_.metrics.published(deployment, version, static_cast<double>(report.blocks - blocks_told_),
                           report.requests - requests_told_);
  blocks_told_ = report.blocks;
  requests_told_ = report.requests;
  means_.metrics.publish_waiting(deployment, version, report.waiting);
  for (const SourceEvent& event : report.events)
    means_.metrics.publish_event(deployment, version, event.name, event.times);
  bool trouble = !report.trouble.empty();
  if (trouble == trouble_told_) return;
  if (trouble) {
    log::warn("publishing has trouble",
              {{"what", publisher_->describe()}, {"why", report.trouble}});
  } else {
    log::info("publishing is well again", {{"what", publisher_->describe()}});
  }
  trouble_told_ = trouble;
}

}  // namespace davy::app
