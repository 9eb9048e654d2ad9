#include "sources/tally.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "base/archive.h"
#include "stats/buckets.h"
#include "stats/counter.h"

namespace davy::source {
namespace {

/// One version's part of a block, while it is put together.
struct Version {
  struct Mean {
    double sum = 0;  // of the instances' own: a gauge's mean over the span, a counter's growth
    double instances = 0;
  };
  VersionCounts counts;
  Tally::Histograms latency;
  std::vector<Mean> values;                    // as in the rules
  std::vector<const Tally::Histograms*> pods;  // of those that are young, as counts.pods
};

void take(const Portion& portion, const std::vector<Rules::Value>& values, Version& version) {
  const Tally& tally = portion.tally;
  // Error counters of their own may run a little ahead of the requests.
  double errors = std::min(tally.errors, tally.requests);
  version.counts.requests += tally.requests;
  version.counts.errors += errors;
  add(tally.latency, version.latency);
  for (std::size_t i = 0; i < tally.values.size(); ++i) {
    const Tally::Sum& sum = tally.values[i];
    if (sum.readings == 0) continue;
    version.values[i].sum += values[i].is_counter ? sum.of : sum.of / sum.readings;
    ++version.values[i].instances;
  }
  if (portion.pod.empty()) return;
  version.counts.pods.push_back({.id = portion.pod,
                                 .requests = tally.requests,
                                 .errors = errors,
                                 .restarts = portion.restarts,
                                 .age = portion.age});
  bool is_young = portion.age && *portion.age < kYoungPod;
  version.pods.push_back(is_young ? &tally.latency : nullptr);
}

std::vector<Value> means(const Version& version, const std::vector<Rules::Value>& rules,
                         double dt) {
  std::vector<Value> values;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const auto& [sum, instances] = version.values[i];
    double per = instances;
    if (rules[i].is_counter) per = rules[i].per_request ? version.counts.requests : instances * dt;
    double value = sum / per;
    if (instances > 0 && std::isfinite(value)) values.push_back({rules[i].name, value});
  }
  return values;
}

/// At the version's own bounds, so that they can be taken off its counts.
void tell_young_pods(Version& version) {
  const std::optional<Histogram>& whole = version.counts.latency;
  for (std::size_t i = 0; i < version.pods.size() && whole; ++i) {
    if (version.pods[i] == nullptr) continue;
    Histogram part{whole->bounds, std::vector<double>(whole->counts.size(), 0.0)};
    for (const auto& [bounds, counts] : *version.pods[i])
      stats::add(part, stats::project({bounds, counts}, whole->bounds));
    version.counts.pods[i].latency = std::move(part);
  }
}

}  // namespace

std::optional<Histogram> at_common_bounds(const Tally::Histograms& histograms) {
  std::optional<Histogram> merged;
  for (const auto& [bounds, counts] : histograms) {
    Histogram one{bounds, counts};
    if (merged)
      stats::add(*merged, one);
    else
      merged = std::move(one);
  }
  if (merged && merged->bounds.empty()) merged.reset();
  return merged;
}

void share_bounds(std::optional<Histogram>& a, std::optional<Histogram>& b) {
  if (!a || !b || a->bounds == b->bounds) return;
  std::vector<double> bounds = stats::common_bounds(a->bounds, b->bounds);
  for (std::optional<Histogram>* side : {&a, &b}) {
    if (bounds.empty())
      side->reset();
    else
      *side = stats::project(**side, bounds);
  }
}

bool is_histogram(const std::vector<double>& bounds, const std::vector<double>& counts) {
  return counts.size() == bounds.size() + 1 &&
         std::all_of(counts.begin(), counts.end(), stats::is_count) &&
         std::all_of(bounds.begin(), bounds.end(), stats::is_count) &&
         std::adjacent_find(bounds.begin(), bounds.end(), std::greater_equal<>()) == bounds.end();
}

void add(const Tally::Histograms& more, Tally::Histograms& sum) {
  for (const auto& [bounds, counts] : more) {
    std::vector<double>& mine = sum.try_emplace(bounds, counts.size(), 0.0).first->second;
    std::transform(mine.begin(), mine.end(), counts.begin(), mine.begin(), std::plus<>());
  }
}

void Tally::Sum::archive(Archive& state) {
  state(of, readings);
  if (!std::isfinite(of) || !stats::is_count(readings)) state.fail();
}

void Tally::archive(Archive& state) {
  state(requests, errors, latency, values);
  if (!stats::is_count(requests) || !stats::is_count(errors)) state.fail();
  for (const auto& [bounds, counts] : latency) {
    if (!is_histogram(bounds, counts)) state.fail();
  }
}

Block make_block(const std::vector<Portion>& portions, const std::vector<Rules::Value>& values,
                 double dt, std::vector<std::string>& troubles) {
  std::array<Version, 2> versions;
  for (Version& version : versions) version.values.resize(values.size());
  for (const Portion& portion : portions) take(portion, values, versions[index(portion.side)]);
  for (Version& version : versions) {
    version.counts.latency = at_common_bounds(version.latency);
    version.counts.values = means(version, values, dt);
  }
  Version& baseline = versions[index(Side::Baseline)];
  Version& canary = versions[index(Side::Canary)];
  share_bounds(baseline.counts.latency, canary.counts.latency);
  if (!baseline.latency.empty() && !canary.latency.empty() && !canary.counts.latency) {
    troubles.emplace_back(
        "the latency histograms have no bounds in common, so latency cannot be compared");
  }
  for (Version& version : versions) tell_young_pods(version);
  Block block;
  block.dt = dt;
  block.baseline = std::move(baseline.counts);
  block.canary = std::move(canary.counts);
  return block;
}

}  // namespace davy::source
