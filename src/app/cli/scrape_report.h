// Scrape report: what davy saw of a target and what it makes of it, as values, as text and as JSON.
//
// Why: `davy scrape` is for people who ask "does davy see my service?": what came, what was
// counted, by which series, and why the rest was not. Apart from the command, so that tests need no
// sockets. Threading: pure.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "app/cli/look.h"
#include "davy/source.h"
#include "davy/time.h"
#include "sources/suggest/survey.h"
#include "sources/suggest/target_view.h"

namespace davy::app {

struct ScrapeReport {
  /// One page that came, or why none did.
  struct Round {
    std::string trouble;  // "" = it came
    std::string format;
    std::size_t bytes = 0;
    bool is_packed = false;
    std::optional<std::size_t> packed;  // bytes
    std::size_t lines = 0;
    Duration asked{0};                             // until all of it was there
    std::optional<source::TargetView::Read> read;  // absent where the rules saw nothing of it
  };
  struct Latency {
    struct Quantile {
      double q = 0;
      std::optional<source::Enclosed> enclosed;  // absent with too few requests
    };
    Histogram histogram;
    std::vector<Quantile> quantiles;
  };
  /// What was counted, from the first page to the last one or since the target's start.
  struct Counts {
    double requests = 0;
    double errors = 0;
    std::optional<Latency> latency;
  };
  struct Version {
    std::string name;  // "V1", "V2"; "" when the target has one version
    bool has_requests = false;
    bool shows_errors = false;
    Counts grown, whole;
    std::vector<std::pair<std::string, std::string>> values;  // own metrics, shown
  };

  std::string url;
  std::vector<Round> rounds;
  std::string rules;                 // "the preset haproxy, which fits best"
  std::vector<std::string> reasons;  // of a guess
  RequestSeries requests;
  double span = 0;  // seconds
  double restarts = 0;
  std::vector<Version> versions;
  std::map<std::string, source::TargetView::Used> used;
  std::set<std::string> natives;  // histograms among them
  std::vector<std::string> ignored;
  std::vector<std::string> next;

  /// Whether davy could judge by it.
  bool is_good() const;
};

/// What a view comes to; `url`, `rounds` and `rules` are the caller's to fill in.
ScrapeReport report_of(const source::TargetView& view, const RequestSeries& requests,
                       const source::Survey& survey);

/// Of a page that no rules fit.
ScrapeReport report_of_nothing(const source::Survey& survey);

std::string scrape_text(const ScrapeReport& report, const Look& look);
std::string scrape_json(const ScrapeReport& report);

/// "code=~\"5..\" or status=~\"5..\""
std::string joined_by_or(const std::vector<std::string>& parts);

}  // namespace davy::app
