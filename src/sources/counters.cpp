#include "sources/counters.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "base/archive.h"
#include "stats/buckets.h"
#include "stats/counter.h"

namespace davy::source {
namespace {

double total(const std::vector<double>& counts) {
  return std::accumulate(counts.begin(), counts.end(), 0.0);
}

std::vector<double> per_bucket(const std::vector<double>& cumulative) {
  std::vector<double> counts(cumulative.size());
  std::adjacent_difference(cumulative.begin(), cumulative.end(), counts.begin());
  return counts;
}

Tally::Sum& sum_at(Tally& tally, std::size_t i) {
  if (tally.values.size() <= i) tally.values.resize(i + 1);
  return tally.values[i];
}

}  // namespace

void TargetCounters::start_from(const Reading& reading, Time now) {
  clear_tallies();
  advance_to(reading, now);
  double restarts = restarts_;
  forget_unseen();
  clear_tallies();
  restarts_ = restarts;
}

void TargetCounters::clear_tallies() {
  tallies_ = {};
  restarts_ = 0;
}

std::vector<std::string> TargetCounters::advance_to(const Reading& reading, Time now) {
  if (reading.at < at_) {
    add_nothing(reading);
    return {};
  }
  at_ = reading.at;
  std::vector<std::string> remarks;
  bool is_known = false;
  bool is_new = is_new_process(reading, now, is_known, remarks);
  if (is_new) {
    // What is not there counts from 0.
    counters_.clear();
    histograms_.clear();
  }
  ++readings_;
  bool fell = add_counters(reading, remarks);
  fell |= add_histograms(reading, remarks);
  add_values(reading);
  forget_gone(reading.counters.size() + reading.histograms.size());
  if (fell && !reading.start) process_.forget();
  if (is_new || (fell && !is_known)) ++restarts_;
  return remarks;
}

/// By its start time; `is_known` when that tells.
bool TargetCounters::is_new_process(const Reading& reading, Time now, bool& is_known,
                                    std::vector<std::string>& remarks) {
  ProcessStart::Change change = process_.see(reading.start, now);
  using enum ProcessStart::Change;
  is_known = change != Unknown && change != Moved;
  if (change == Moved)
    remarks.emplace_back("its start time moved but its process is the same (was a clock set?)");
  if (change == NewAfterLong && all_go_on(reading)) {
    remarks.emplace_back(
        "its start time is new but its counters go on (an exporter's own start time?)");
    return false;
  }
  return change == New || change == NewAfterLong;
}

/// Some that count more than a new process could have, and none that fell.
bool TargetCounters::all_go_on(const Reading& reading) const {
  constexpr double kMany = 100;
  double most = 0;
  for (const Reading::Counter& now : reading.counters) {
    auto before = counters_.find(now.series);
    if (before == counters_.end()) continue;
    if (now.value < before->second.value) return false;
    most = std::max(most, before->second.value);
  }
  return most >= kMany;
}

/// Whether one of them fell.
bool TargetCounters::add_counters(const Reading& reading, std::vector<std::string>& remarks) {
  bool fell = false;
  std::size_t doubled = 0;
  for (const Reading::Counter& now : reading.counters) {
    Counter& before = counters_[now.series];
    if (before.seen == readings_) {
      ++doubled;
      continue;
    }
    double added = stats::counter_delta(before.value, now.value);
    fell |= now.value < before.value;
    before = {now.value, readings_};
    Tally& tally = tallies_[index(now.side)];
    if (now.is_request) tally.requests += added;
    if (now.is_error) tally.errors += added;
    for (std::size_t part : now.values) sum_at(tally, part).of += added;
  }
  if (doubled > 0)
    remarks.push_back(fmt::format("{} series stand there twice (only the first counts)", doubled));
  return fell;
}

/// Whether one of them has fewer in all than before.
bool TargetCounters::add_histograms(const Reading& reading, std::vector<std::string>& remarks) {
  bool fell = false;
  std::size_t senseless = 0;
  for (const Reading::Buckets& now : reading.histograms) {
    std::vector<double> counts = per_bucket(now.cumulative);
    auto before = histograms_.find(now.series);
    bool is_old = before != histograms_.end();
    fell |= is_old && total(counts) < total(before->second.counts);
    auto added = TargetCounters::added(is_old ? &before->second : nullptr, now.bounds, counts);
    if (added) {
      add({{std::move(added->bounds), std::move(added->counts)}},
          tallies_[index(now.side)].latency);
    } else {
      ++senseless;
    }
    histograms_[now.series] = {now.bounds, std::move(counts), readings_};
  }
  if (senseless > 0) {
    remarks.push_back(
        fmt::format("{} histograms have buckets that shrank (left out this time)", senseless));
  }
  return fell;
}

void TargetCounters::add_values(const Reading& reading) {
  for (Side side : kSides) {
    const std::vector<Reading::Shown>& values = reading.values[index(side)];
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (!values[i].is_there) continue;
      Tally::Sum& sum = sum_at(tallies_[index(side)], i);
      sum.of += values[i].gauge;
      ++sum.readings;
    }
  }
}

/// So that its histograms are there, without growth.
void TargetCounters::add_nothing(const Reading& reading) {
  for (const Reading::Buckets& h : reading.histograms)
    add({{h.bounds, std::vector<double>(h.cumulative.size(), 0.0)}},
        tallies_[index(h.side)].latency);
}

std::optional<Histogram> TargetCounters::added(const Buckets* before,
                                               const std::vector<double>& bounds,
                                               const std::vector<double>& counts) {
  Histogram now{bounds, counts};
  // Fewer in all: another process, which counts from 0.
  if (before == nullptr || total(counts) < total(before->counts)) return now;
  Histogram old{before->bounds, before->counts};
  if (bounds != before->bounds) {
    // A native histogram's process makes its buckets wider when there are too many of them.
    std::vector<double> common = stats::common_bounds(bounds, before->bounds);
    if (common.empty()) return now;
    now = stats::project(now, common);
    old = stats::project(old, common);
  }
  std::transform(now.counts.begin(), now.counts.end(), old.counts.begin(), now.counts.begin(),
                 std::minus<>());
  bool is_growth =
      std::all_of(now.counts.begin(), now.counts.end(), [](double n) { return n >= 0; });
  if (!is_growth) return std::nullopt;
  return now;
}

/// Series that are no longer there are forgotten once they are the greater part.
void TargetCounters::forget_gone(std::size_t now) {
  if (counters_.size() + histograms_.size() > 2 * now + 100) forget_unseen();
}

void TargetCounters::forget_unseen() {
  std::erase_if(counters_, [this](const auto& item) { return item.second.seen != readings_; });
  std::erase_if(histograms_, [this](const auto& item) { return item.second.seen != readings_; });
}

void TargetCounters::Counter::archive(Archive& state) {
  state(value, seen);
  if (!stats::is_count(value)) state.fail();
}

void TargetCounters::Buckets::archive(Archive& state) {
  state(bounds, counts, seen);
  if (!is_histogram(bounds, counts)) state.fail();
}

void TargetCounters::archive(Archive& state) {
  state(counters_, histograms_, process_, tallies_, restarts_, readings_, at_);
  auto is_later = [this](const auto& item) { return item.second.seen > readings_; };
  if (!stats::is_count(restarts_) || !stats::is_count(at_) ||
      std::any_of(counters_.begin(), counters_.end(), is_later) ||
      std::any_of(histograms_.begin(), histograms_.end(), is_later)) {
    state.fail();
  }
}

}  // namespace davy::source
