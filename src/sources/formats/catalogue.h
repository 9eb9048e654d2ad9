// Catalogue: what each series of a target means by the rules, found out once; pages in, readings
// out.
//
// Why: matching a series against selectors and patterns costs a hundred times what its value does,
// and a target shows the same series every time.
// Bounded: more than `max_series` wanted series on one page are an Error; series that come no more
// are forgotten once they are the greater part, and then the target is read as if for the first
// time. Threading: not thread-safe; belongs to one target. Failure: series that cannot be trusted
// (no count, buckets that contradict each other, twice on the page) are left out and told in the
// reading's remarks.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sources/formats/exposition.h"
#include "sources/formats/protobuf.h"
#include "sources/reading.h"
#include "stats/foreign_histograms.h"

namespace davy::source {

class Catalogue final : public NativeSink {
 public:
  /// `rules` must outlive it.
  Catalogue(const Rules& rules, std::vector<Share> shares, std::size_t max_series);

  /// A page begins.
  void begin();
  std::uint32_t intern(std::string_view name, Labels labels) override;
  void see(std::uint32_t series, double value) override;
  void see_type(std::string_view name, std::string_view type) override;
  /// A native histogram, by its base name; it stands for the classic one of the same series.
  void see_native(std::string_view name, Labels labels,
                  const stats::NativeHistogram& histogram) override;
  /// Whether a wanted histogram on this page was native.
  bool has_native() const { return !natives_.empty(); }
  /// The page is complete, and so much of it was malformed.
  Result<Reading> finish(const Parsed& parsed);
  /// The series must be interned anew: its numbers are no longer known.
  bool is_forgotten() const { return series_.empty(); }

 private:
  struct Series {
    std::string key;  // name and labels: the same text for the same series
    Side side = Side::Baseline;
    bool is_request = false;
    bool shows_errors = false;  // a request's, by which an error would show
    bool is_error = false;
    bool is_start = false;
    std::vector<std::size_t> counters;  // of the rules' values, that it is a part of
    std::vector<std::size_t> gauges;
    std::optional<std::size_t> histogram;  // that it is a bucket of
    double bound = 0;                      // then
  };
  struct HistogramSeries {
    std::string key;  // without le
    Side side = Side::Baseline;
    std::vector<std::uint32_t> buckets;  // by bound
  };
  struct Native {
    std::string key;
    Side side = Side::Baseline;
    Histogram histogram;
  };
  /// Something left out: how often, and the last one in words.
  struct LeftOut {
    std::size_t times = 0;
    std::string example;
    void count(std::string what) {
      ++times;
      example = std::move(what);
    }
  };

  bool is_wanted_name(std::string_view name);
  const Share* share_of(Labels labels) const;
  std::optional<Series> meaning(std::string_view name, Labels labels) const;
  void add_to_histogram(std::string_view name, Labels labels, std::uint32_t number);
  bool is_there(std::uint32_t series) const { return pages_[series] == page_; }
  void read_counters(Reading& reading);
  void read_gauges(Reading& reading);
  void read_histograms(Reading& reading);
  std::string_view read_histogram(const HistogramSeries& histogram, Reading& reading) const;
  void forget_gone();

  const Rules& rules_;
  const std::vector<Share> shares_;
  const std::size_t max_series_;
  std::set<std::string, std::less<>> names_;
  std::string last_name_;
  bool is_last_wanted_ = false;

  std::unordered_map<std::string, std::uint32_t> numbers_;  // by key
  std::vector<Series> series_;
  std::vector<HistogramSeries> histograms_;
  std::unordered_map<std::string, std::size_t> histogram_numbers_;
  // Of each series, its value and the page that it was seen on last.
  std::vector<double> values_;
  std::vector<std::uint64_t> pages_;

  std::uint64_t page_ = 0;
  std::size_t there_ = 0;  // wanted series on this page
  std::vector<Native> natives_;
  std::set<std::string, std::less<>> summaries_;       // among the names that are to be histograms
  std::set<std::string, std::less<>> doubled_labels_;  // names of series with a label twice
  std::vector<std::string> others_[4];  // names that could count requests, likely first
  std::string last_other_;
  LeftOut doubled_;
  LeftOut bad_values_;
  LeftOut bad_histograms_;
  LeftOut bad_gauges_;
};

}  // namespace davy::source
