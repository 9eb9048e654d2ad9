// Metrics: davy's own, and the only place that declares a metric name.
//
// Why: gauges are read off the Board when somebody scrapes, so what is gone from the config is gone
// from the page; only what must be counted as it happens is kept here.
// Threading: thread-safe.
#pragma once

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

  void check_ran(const std::string& check, Outcome::Kind outcome, Duration took);
  void check_given_up(const std::string& check);
  void no_worker();
  void collected(const std::string& deployment, bool block, bool trouble);
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
