#include "canary/open_block.h"

#include <algorithm>
#include <utility>

#include "stats/buckets.h"

namespace davy::canary {
namespace {

constexpr double kEnoughRequests = 10;
constexpr double kSparseSeconds = 60;
constexpr double kLongestSeconds = 300;

void merge_pods(std::vector<PodCounts>& to, const std::vector<PodCounts>& more) {
  for (const PodCounts& pod : more) {
    auto same =
        std::find_if(to.begin(), to.end(), [&](const PodCounts& p) { return p.id == pod.id; });
    if (same == to.end()) {
      to.push_back(pod);
    } else {
      same->requests += pod.requests;
      same->errors += pod.errors;
    }
  }
}

void merge(VersionCounts& to, const VersionCounts& more) {
  to.requests += more.requests;
  to.errors += more.errors;
  // A part without latencies makes the whole block's latencies incomplete: they are left out.
  if (to.latency && more.latency) {
    stats::add(*to.latency, *more.latency);
  } else {
    to.latency.reset();
  }
  merge_pods(to.pods, more.pods);
}

double fewer_requests(const Block& b) {
  return std::min(b.baseline.requests, b.canary.requests);
}

}  // namespace

std::optional<Block> OpenBlock::add(const Block& more) {
  if (!open_) {
    open_ = more;
  } else {
    open_->t = more.t;
    open_->dt += more.dt;
    open_->weight = more.weight;
    merge(open_->baseline, more.baseline);
    merge(open_->canary, more.canary);
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
