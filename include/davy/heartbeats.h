// Heartbeats: what applications have reported about themselves, by the check's name.
//
// Why: some things only the application knows (its queue consumer turns, its cache is warm). It
// reports in; a check of the kind `heartbeat` fails when it stops doing so.
// Threading: thread-safe. Reports are kept in memory: after a restart of davy they come again.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "davy/time.h"

namespace davy {

class Heartbeats {
 public:
  enum class Said { Pass, Warn, Fail };
  struct Report {
    Said said = Said::Pass;
    std::string message;  // the application's own words; "" = none
    Time at{};
  };

  void report(const std::string& check, Report report) {
    std::lock_guard<std::mutex> lock(mutex_);
    reports_[check] = std::move(report);
  }
  std::optional<Report> last(const std::string& check) const {
    std::lock_guard<std::mutex> lock(mutex_);
    auto found = reports_.find(check);
    return found == reports_.end() ? std::nullopt : std::optional<Report>(found->second);
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, Report> reports_;
};

}  // namespace davy
