// Metrics: davy's own, and the only place that declares a metric name.
//
// Why: gauges are read off the Board when somebody scrapes, so what is gone from the config is gone
// from the page; only what must be counted as it happens is kept here.
// Threading: thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "davy/board.h"
#include "davy/probe.h"
#include "davy/time.h"

namespace davy::telemetry {

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  /// `late` = how long after it was due the run began.
  void check_ran(const std::string& check, Outcome::Kind outcome, Duration took, Duration late);
  void check_given_up(const std::string& check);
  void no_worker();
  /// Check states were written to disk, or could not be.
  void checks_kept(bool ok);
  /// Saved states were taken up at the start ("ok") or not ("refused").
  void checks_restored(const std::string& result, std::size_t checks);
  void peers_answered(std::size_t peers);
  /// What the resolver and the helper processes have been through; read when somebody scrapes.
  struct Means {
    std::uint64_t resolver_timeouts = 0;
    std::uint64_t stale_answers = 0;
    std::size_t helpers = 0;
    std::uint64_t helpers_killed = 0;
  };
  void read_means(std::function<Means()> read);
  void collected(const std::string& deployment, bool block, bool trouble);
  void source_event(const std::string& deployment, std::string_view event, double times);
  /// Made by a publisher since the last time.
  void published(const std::string& deployment, const std::string& version, double blocks,
                 double requests);
  void publish_waiting(const std::string& deployment, const std::string& version,
                       std::size_t blocks);
  void publish_event(const std::string& deployment, const std::string& version,
                     std::string_view event, double times);
  void publish_saved(const std::string& deployment, const std::string& version, bool ok);
  /// A run was written to disk, or could not be.
  void saved(const std::string& deployment, bool ok);
  /// A saved run was found at the start, and gone on with or not.
  void resumed(const std::string& deployment, bool ok);
  void request(std::string_view listener, int status);
  void reloaded(bool ok);
  void shed(std::string_view listener);

  /// The page for /metrics: text format 0.0.4.
  std::string render(const Board& board, Time now);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace davy::telemetry
