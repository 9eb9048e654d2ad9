#include "canary/open_block.h"

#include <algorithm>
#include <utility>

#include "stats/buckets.h"

namespace davy::canary {
namespace {

constexpr double kEnoughRequests = 10;
constexpr double kSparseSeconds = 60;
constexpr double kLongestSeconds = 300;

void add(std::optional<Histogram>& to, const std::optional<Histogram>& more) {
  // A part without latencies makes the whole's latencies incomplete: they are left out.
  if (to && more) {
    stats::add(*to, *more);
  } else {
    to.reset();
  }
}

void merge_pods(std::vector<PodCounts>& to, const std::vector<PodCounts>& more) {
  for (const PodCounts& pod : more) {
    auto same =
        std::find_if(to.begin(), to.end(), [&](const PodCounts& p) { return p.id == pod.id; });
    if (same == to.end()) {
      to.push_back(pod);
      continue;
    }
    same->requests += pod.requests;
    same->errors += pod.errors;
    same->restarts += pod.restarts;
    same->age = pod.age;
    add(same->latency, pod.latency);
  }
}

/// Means over time.
void merge_values(std::vector<Value>& to, double to_seconds, const std::vector<Value>& more,
                  double more_seconds) {
  for (const Value& value : more) {
    auto same =
        std::find_if(to.begin(), to.end(), [&](const Value& v) { return v.name == value.name; });
    if (same == to.end()) {
      to.push_back(value);
    } else {
      same->value += (value.value - same->value) * more_seconds / (to_seconds + more_seconds);
    }
  }
}

void merge(VersionCounts& to, double to_seconds, const VersionCounts& more, double more_seconds) {
  to.requests += more.requests;
  to.errors += more.errors;
  add(to.latency, more.latency);
  merge_pods(to.pods, more.pods);
  merge_values(to.values, to_seconds, more.values, more_seconds);
}

double fewer_requests(const Block& b) {
  if (b.weight && *b.weight >= 1) return b.canary.requests;
  return std::min(b.baseline.requests, b.canary.requests);
}

}  // namespace

std::optional<Block> OpenBlock::add(const Block& more) {
  if (!open_) {
    open_ = more;
  } else {
    open_->t = more.t;
    merge(open_->baseline, open_->dt, more.baseline, more.dt);
    merge(open_->canary, open_->dt, more.canary, more.dt);
    open_->dt += more.dt;
    open_->weight = more.weight;
  }
  double n = fewer_requests(*open_);
  bool closes = n >= kEnoughRequests || (open_->dt >= kSparseSeconds && n >= 1) ||
                open_->dt >= kLongestSeconds;
  if (!closes) return std::nullopt;
  return std::exchange(open_, std::nullopt);
}

std::optional<Block> OpenBlock::close() {
  std::optional<Block> closed = std::exchange(open_, std::nullopt);
  if (closed && fewer_requests(*closed) < 1) return std::nullopt;
  return closed;
}

}  // namespace davy::canary
