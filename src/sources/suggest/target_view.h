// Target view: one target under one set of rules, page after page, as a person wants to see it.
//
// Why: `davy scrape` and `davy config suggest` show what the scrape source would count. So they
// read with the same readers and the same counters, and only what is shown of it is made here.
// Threading: not thread-safe. Failure: a page that is no metrics, or has too many series, is an
// Error and changes nothing of what was counted.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "davy/block.h"
#include "davy/result.h"
#include "davy/time.h"
#include "sources/counters.h"
#include "sources/formats/page_reader.h"
#include "sources/reading.h"
#include "sources/rules.h"
#include "sources/tally.h"

namespace davy::source {

struct Page {
  std::string body{};
  std::string content_type{};
  Time at{};
};

class TargetView {
 public:
  /// What one name was used as.
  struct Used {
    std::size_t requests = 0;  // series
    std::size_t errors = 0;    // of them, or of its own
    std::size_t histograms = 0;
    std::size_t values = 0;                               // of the deployment's own metrics
    std::map<std::string, std::set<std::string>> labels;  // with their values, without le
    std::vector<double> bounds;                           // of the first histogram, in seconds
  };

  TargetView(Rules rules, std::vector<Share> shares, std::size_t max_series);
  TargetView(const TargetView&) = delete;
  TargetView& operator=(const TargetView&) = delete;

  /// What to ask for: the header Accept.
  std::string_view accept() const { return reader_.accept(); }
  /// The next page. They come in the order of their times.
  Result<Done> see(const Page& page);

  const Rules& rules() const { return rules_; }
  const std::vector<Share>& shares() const { return shares_; }
  /// How many pages were good.
  std::size_t pages() const { return reads_.size(); }
  /// Seconds from the first good page to the last one.
  double span() const { return seconds(last_at_ - first_at_); }
  /// What the last good page says. REQUIRES: pages() > 0.
  const Reading& reading() const { return *reading_; }
  /// What was added from the first page to the last one.
  const Tally& grown(Side side) const { return counters_.tally(side); }
  double restarts() const { return counters_.restarts(); }
  /// All that the last page counts, which is since the target's process began.
  Tally whole(Side side) const;
  /// The series of the last page that mean something, by their names. A histogram's is its base.
  std::map<std::string, Used> used() const;
  /// What was left out and why, on any page; each said once.
  const std::vector<std::string>& remarks() const { return remarks_; }

  /// How one good page was read.
  struct Read {
    std::size_t samples = 0;    // wanted or not
    std::size_t predicted = 0;  // of all lines, how many were as on the page before
    std::size_t wanted = 0;     // series and histograms
    Duration took{0};
  };
  const std::vector<Read>& reads() const { return reads_; }

 private:
  void remark(const std::string& what);

  const Rules rules_;
  const std::vector<Share> shares_;
  PageReader reader_;
  TargetCounters counters_;
  std::optional<Reading> reading_;
  std::vector<std::string> remarks_;
  std::vector<Read> reads_;
  Time first_at_;
  Time last_at_;
};

/// The labels in a series' text, as Reading has it.
std::vector<std::pair<std::string_view, std::string_view>> labels_of(std::string_view series);
std::string_view name_of(std::string_view series);

/// Requests at a quantile lie above `above` and at or below `at_most` (no bound: infinity).
struct Enclosed {
  double above = 0;
  std::optional<double> at_most;
};
/// The bucket of `histogram` (per bucket) that holds quantile `q`; nothing when there are too few
/// requests to have one: fewer than 1 / (1 - q).
std::optional<Enclosed> enclose(const Histogram& histogram, double q);

}  // namespace davy::source
