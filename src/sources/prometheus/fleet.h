// Fleet: what a Prometheus has stored of the instances of both versions -> answers, as if each of
// them had just been scraped.
//
// Why: then counters.h and rounds.h treat them as they treat scraped targets, with everything they
// know of resets, new processes and spans. What makes it work is that queries ask for the raw
// samples of the last minutes (`name{...}[120s]`), so each comes with the time of its scrape:
// - A target is what was scraped: job, instance and pod. Its reading is the newest sample of each
//   series. A series that ended before the process began anew is not part of it.
// - A classic histogram is read where all its buckets were written at once; stores other than
//   Prometheus' own show halves of a scrape.
// - Where a counter fell or a process began anew within the window, there are earlier readings of
// the
//   moments before and after, so that nothing between two looks is lost.
// - A target is late when its newest sample is older than the newest of all by more than 2.5 times
//   the distance of its scrapes. It is not waited for: in a large fleet there is always one.
// Threading: pure; a table is not thread-safe. Failure: none; what cannot be used is told.
#pragma once

#include <array>
#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "sources/prometheus/json.h"
#include "sources/rounds.h"

namespace davy::source {

/// The series that one query brought.
class PromTable final : public PromSink {
 public:
  struct Series {
    std::string text;                 // that the views are into
    std::string_view name;            // __name__
    std::vector<Label> labels;        // the others
    std::vector<PromSample> samples;  // ascending in time
    std::vector<PromHistogram> histograms;
  };

  PromTable() = default;
  PromTable(PromTable&&) = default;  // a copy's views would be into the original
  PromTable& operator=(PromTable&&) = default;

  void begin() override { series_.clear(); }
  void take(const PromSeries& series) override;

  const std::deque<Series>& series() const { return series_; }

 private:
  std::deque<Series> series_;  // a deque: they must not move
};

struct FleetSetup {
  const Rules& rules;
  /// Which series each version's tables were asked for, and how: "{version=\"v2\"}".
  std::array<Matchers, 2> when;
  std::array<std::string, 2> asked_for;
  std::string instance_label;  // "" = pod, or else instance
  bool has_instances = true;   // false: targets tell of both versions, as load balancers do
};

struct Fleet {
  std::vector<Answer> answers;
  std::array<std::size_t, 2> targets{};  // of each version
  std::size_t late = 0;
  double newest = 0;    // time of the newest sample, seconds since 1970; 0 = there is none
  double spacing = 0;   // seconds between scrapes, as most targets have it; 0 = not known
  std::string overlap;  // a series that belongs to both versions, "" = there is none
};

Fleet read_fleet(const std::array<std::vector<PromTable>, 2>& tables, const FleetSetup& setup);

}  // namespace davy::source
