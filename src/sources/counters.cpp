#include "sources/counters.h"

#include <fmt/format.h>
#include <algorithm>
#include <numeric>

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

std::vector<double> common(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  return both;
}

/// Adds the counts at `from` to those at `to`. REQUIRES: every bound of `to` is in `from`.
void add_at(const std::vector<double>& from, const std::vector<double>& counts, Histogram& to) {
  std::size_t bucket = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    // Bucket i ends at from[i]: it lies within the first bucket of `to` that does not end before.
    while (bucket < to.bounds.size() && (i == from.size() || from[i] > to.bounds[bucket])) ++bucket;
    to.counts[bucket] += counts[i];
  }
}

Histogram empty_at(std::vector<double> bounds) {
  std::vector<double> counts(bounds.size() + 1, 0.0);
  return {std::move(bounds), std::move(counts)};
}

}  // namespace

void add(const Tally::Histograms& more, Tally::Histograms& sum) {
  for (const auto& [bounds, counts] : more) {
    std::vector<double>& mine = sum.try_emplace(bounds, counts.size(), 0.0).first->second;
    std::transform(mine.begin(), mine.end(), counts.begin(), mine.begin(), std::plus<>());
  }
}

std::optional<Histogram> at_common_bounds(const Tally::Histograms& histograms) {
  if (histograms.empty()) return std::nullopt;
  std::vector<double> bounds = histograms.begin()->first;
  for (const auto& [others, counts] : histograms) bounds = common(bounds, others);
  if (bounds.empty()) return std::nullopt;
  Histogram merged = empty_at(std::move(bounds));
  for (const auto& [from, counts] : histograms) add_at(from, counts, merged);
  return merged;
}

void share_bounds(std::optional<Histogram>& a, std::optional<Histogram>& b) {
  if (!a || !b || a->bounds == b->bounds) return;
  std::vector<double> bounds = common(a->bounds, b->bounds);
  for (std::optional<Histogram>* side : {&a, &b}) {
    if (bounds.empty()) {
      side->reset();
      continue;
    }
    Histogram merged = empty_at(bounds);
    add_at((*side)->bounds, (*side)->counts, merged);
    *side = std::move(merged);
  }
}

void TargetCounters::start_from(const Reading& reading) {
  counters_.clear();
  histograms_.clear();
  advance_to(reading);
  clear_tallies();
}

std::vector<std::string> TargetCounters::advance_to(const Reading& reading) {
  std::vector<std::string> remarks;
  ++readings_;
  std::size_t doubled = 0;
  for (const Reading::Counter& now : reading.counters) {
    Counter& before = counters_[now.series];
    if (before.seen == readings_) {
      ++doubled;
      continue;
    }
    double added = now.value >= before.value ? now.value - before.value : now.value;
    before = {now.value, readings_};
    Tally& tally = tallies_[index(now.side)];
    if (now.is_request) tally.requests += added;
    if (now.is_error) tally.errors += added;
  }
  std::size_t senseless = 0;
  for (const Reading::Buckets& now : reading.histograms) {
    std::vector<double> counts = per_bucket(now.cumulative);
    auto before = histograms_.find(now.series);
    auto added = TargetCounters::added(before == histograms_.end() ? nullptr : &before->second,
                                       now.bounds, counts);
    if (added) {
      add({{now.bounds, std::move(*added)}}, tallies_[index(now.side)].latency);
    } else {
      ++senseless;
    }
    histograms_[now.series] = {now.bounds, std::move(counts), readings_};
  }
  if (doubled > 0)
    remarks.push_back(fmt::format("{} series stand there twice (only the first counts)", doubled));
  if (senseless > 0) {
    remarks.push_back(
        fmt::format("{} histograms have buckets that shrank (left out this time)", senseless));
  }
  forget_gone(reading.counters.size() + reading.histograms.size());
  return remarks;
}

std::optional<std::vector<double>> TargetCounters::added(const Buckets* before,
                                                         const std::vector<double>& bounds,
                                                         const std::vector<double>& counts) {
  // Other bounds, or fewer in all: another process, which counts from 0.
  if (before == nullptr || before->bounds != bounds || total(counts) < total(before->counts))
    return counts;
  std::vector<double> added(counts.size());
  std::transform(counts.begin(), counts.end(), before->counts.begin(), added.begin(),
                 std::minus<>());
  bool is_growth = std::all_of(added.begin(), added.end(), [](double n) { return n >= 0; });
  if (!is_growth) return std::nullopt;
  return added;
}

/// Series that are no longer there are forgotten once they are the greater part.
void TargetCounters::forget_gone(std::size_t now) {
  if (counters_.size() + histograms_.size() <= 2 * now + 100) return;
  std::erase_if(counters_, [this](const auto& item) { return item.second.seen != readings_; });
  std::erase_if(histograms_, [this](const auto& item) { return item.second.seen != readings_; });
}

}  // namespace davy::source
