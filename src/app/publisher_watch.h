// PublisherWatch: publishes what this instance serves: slot for slot, count, save, send.
//
// Why: what is sent must be saved first, or a davy that is killed would count it again. A disk that
// does not take it does not stop the publishing: a restart then loses some blocks, as judges take
// none of their numbers twice.
// Threading: thread-safe. One thread per publication (`davy-publish`), which owns the publisher.
// Failure: trouble is logged once per change and counted; what could not be sent waits.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "app/state_file.h"
#include "base/workers.h"
#include "config/config.h"
#include "davy/heartbeats.h"
#include "davy/publisher.h"
#include "net/means.h"
#include "telemetry/metrics.h"

namespace davy::app {

class PublisherWatch {
 public:
  struct Means {
    const Clock& clock;
    Workers& workers;
    net::Means& net;
    telemetry::Metrics& metrics;
    Heartbeats& heartbeats;
    std::string state_dir;  // "" = a restart begins anew
  };

  PublisherWatch(const config::Publication& publication, Means means);
  ~PublisherWatch() { stop(); }
  PublisherWatch(const PublisherWatch&) = delete;
  PublisherWatch& operator=(const PublisherWatch&) = delete;

  const config::Publication& publication() const { return publication_; }
  void start();
  /// It begins to leave: the last block says so to the judges.
  void ask_to_stop() { thread_.request_stop(); }
  /// Waits for that, some seconds at most.
  void stop();

 private:
  void serve(const std::stop_token& stop);
  void load();
  Result<Done> restore(const std::string& bytes);
  void archive(Archive& a);
  void count(bool is_last);
  void save();
  void send(Duration patience);
  SourceContext context(Duration patience);
  void tell(const PublisherReport& report);

  const config::Publication publication_;
  Means means_;
  std::unique_ptr<Publisher> publisher_;
  std::optional<StateFile> file_;
  std::uint64_t blocks_told_ = 0;
  double requests_told_ = 0;
  // What the log knows.
  bool trouble_told_ = false;
  bool unsaved_told_ = false;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;
};

}  // namespace davy::app
