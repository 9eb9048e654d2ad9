// Runs metric sources as the agent would: settings written as in the config, its means, its
// workers.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/workers.h"
#include "davy/heartbeats.h"
#include "davy/source.h"
#include "lab/probe.h"
#include "net/means.h"

namespace davy::lab {

/// The kind of this name. Throws when there is none.
const SourceKind& source_kind(std::string_view name);

/// What the kind makes of it.
Result<std::unique_ptr<Source>> make_source(std::string_view kind, const Settings& settings,
                                            const RequestSeries& requests,
                                            const std::vector<ValueSeries>& values = {});

/// How often it happened in the round.
inline double times(const Collected& collected, std::string_view event) {
  double sum = 0;
  for (const SourceEvent& one : collected.events) sum += one.name == event ? one.times : 0;
  return sum;
}

class SourceRunner {
 public:
  /// Throws when the kind refuses the settings. `look_up` replaces the system's resolver.
  SourceRunner(std::string_view kind, const Settings& settings, const RequestSeries& requests,
               const std::vector<ValueSeries>& values = {}, const net::LookUp& look_up = {});

  /// One round. Throws when an event is none that the kind lists.
  Collected collect(std::chrono::milliseconds timeout = std::chrono::seconds(20),
                    bool canary_alone = false);
  std::string saved();
  bool load(std::string bytes);

  Source& source() { return *source_; }
  Heartbeats& heartbeats() { return heartbeats_; }
  Workers& workers() { return workers_; }

 private:
  net::Means net_;
  Heartbeats heartbeats_;
  const SourceKind& kind_;
  Workers workers_{"source", 16, 1024};  // they outlive the source, as in the agent
  std::unique_ptr<Source> source_;
};

struct Scraping : SourceRunner {
  /// `n`, whose label `code` tells errors, and the histogram `h`.
  static const RequestSeries kSeries;
  static Settings with(const std::string& baseline, const std::string& canary, Settings more);

  Scraping(const std::string& baseline, const std::string& canary, Settings more = {},
           const std::vector<ValueSeries>& values = {});
  explicit Scraping(const Settings& settings, const std::vector<ValueSeries>& values = {});
};

}  // namespace davy::lab
