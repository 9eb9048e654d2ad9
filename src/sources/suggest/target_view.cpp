#include "sources/suggest/target_view.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace davy::source {
namespace {

constexpr char kBetween = '\x1f';  // labels, in a series' text
constexpr std::string_view kBucket = "_bucket";

}  // namespace

std::string_view name_of(std::string_view series) {
  return series.substr(0, series.find(kBetween));
}

std::vector<std::pair<std::string_view, std::string_view>> labels_of(std::string_view series) {
  std::vector<std::pair<std::string_view, std::string_view>> labels;
  std::size_t at = series.find(kBetween);
  while (at != std::string_view::npos) {
    series.remove_prefix(at + 1);
    at = series.find(kBetween);
    std::string_view label = series.substr(0, at);
    std::size_t equals = label.find('=');
    if (equals != std::string_view::npos)
      labels.emplace_back(label.substr(0, equals), label.substr(equals + 1));
  }
  return labels;
}

TargetView::TargetView(Rules rules, std::vector<Share> shares, std::size_t max_series)
    : rules_(std::move(rules)), shares_(std::move(shares)), reader_(rules_, shares_, max_series) {}

Result<Done> TargetView::see(const Page& page) {
  Time began = machine_clock().now();
  reader_.begin(page.content_type);
  reader_.feed(page.body);
  Result<Reading> reading = reader_.finish();
  if (!reading) return reading.error();
  for (const std::string& what : reading->remarks) remark(what);
  if (reads_.empty()) {
    counters_.start_from(*reading, page.at);
    first_at_ = page.at;
  } else {
    for (const std::string& what : counters_.advance_to(*reading, page.at)) remark(what);
  }
  last_at_ = page.at;
  reading_ = std::move(*reading);
  reads_.push_back({reader_.lines(), reader_.predicted(),
                    reading_->counters.size() + reading_->histograms.size(),
                    machine_clock().now() - began});
  return Done{};
}

void TargetView::remark(const std::string& what) {
  if (std::find(remarks_.begin(), remarks_.end(), what) == remarks_.end()) remarks_.push_back(what);
}

Tally TargetView::whole(Side side) const {
  Tally tally;
  for (const Reading::Counter& counter : reading().counters) {
    if (counter.side != side) continue;
    if (counter.is_request) tally.requests += counter.value;
    if (counter.is_error) tally.errors += counter.value;
  }
  for (const Reading::Buckets& histogram : reading().histograms) {
    if (histogram.side != side) continue;
    std::vector<double> counts(histogram.cumulative.size());
    std::adjacent_difference(histogram.cumulative.begin(), histogram.cumulative.end(),
                             counts.begin());
    add({{histogram.bounds, std::move(counts)}}, tally.latency);
  }
  return tally;
}

std::map<std::string, TargetView::Used> TargetView::used() const {
  std::map<std::string, Used> all;
  auto take_labels = [](std::string_view series, Used& used) {
    for (auto [label, value] : labels_of(series)) used.labels[std::string(label)].emplace(value);
  };
  for (const Reading::Counter& counter : reading().counters) {
    Used& used = all[std::string(name_of(counter.series))];
    used.requests += counter.is_request;
    used.errors += counter.is_error;
    used.values += counter.values.size();
    take_labels(counter.series, used);
  }
  for (const Reading::Buckets& histogram : reading().histograms) {
    std::string_view name = name_of(histogram.series);
    if (name.ends_with(kBucket)) name.remove_suffix(kBucket.size());
    Used& used = all[std::string(name)];
    if (used.histograms++ == 0) used.bounds = histogram.bounds;
    take_labels(histogram.series, used);
  }
  return all;
}

std::optional<Enclosed> enclose(const Histogram& histogram, double q) {
  double total = std::accumulate(histogram.counts.begin(), histogram.counts.end(), 0.0);
  constexpr double kRounding = 1e-9;
  if (total * (1 - q) < 1 - kRounding) return std::nullopt;
  double rank = q * total;
  double so_far = 0;
  for (std::size_t i = 0; i < histogram.counts.size(); ++i) {
    so_far += histogram.counts[i];
    if (so_far + kRounding * total < rank || histogram.counts[i] == 0) continue;
    Enclosed out{i == 0 ? 0 : histogram.bounds[i - 1], std::nullopt};
    if (i < histogram.bounds.size()) out.at_most = histogram.bounds[i];
    return out;
  }
  return std::nullopt;
}

}  // namespace davy::source
