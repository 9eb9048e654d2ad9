// Block: what both versions served in one span of time.
//
// Why: every source (scrape, recording, later StatsD, Prometheus, Redis) makes the same blocks, and
// the judge reads nothing else; so any run can be judged again from its blocks.
// Shapes: counts are doubles because sources may extrapolate; they are never negative. `t` and `dt`
// are seconds. Both versions of a block cover the same span, or the block must not be made.
// Threading: plain values.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace davy {

class Archive;

/// A latency histogram: `counts[i]` requests took at most `bounds[i]` seconds and more than
/// `bounds[i-1]`; the last count lies above the last bound, so counts.size() == bounds.size() + 1.
struct Histogram {
  std::vector<double> bounds;
  std::vector<double> counts;

  friend bool operator==(const Histogram&, const Histogram&) = default;
};

/// One instance's share of a version's counts.
struct PodCounts {
  std::string id;
  double requests = 0;
  double errors = 0;
  double restarts = 0;        // of its process, within the span
  std::optional<double> age;  // seconds since its process started, at the end of the span
  /// Its part of the version's latencies, told while it is younger than kYoungPod, so that the
  /// judge can leave a freshly started instance out.
  std::optional<Histogram> latency;
};
inline constexpr double kYoungPod = 900;  // seconds

/// One of the deployment's own metrics (memory, queue depth, ...): its mean over the span and the
/// version's instances.
struct Value {
  std::string name;
  double value = 0;
};

struct VersionCounts {
  double requests = 0;
  double errors = 0;  // at most `requests`
  std::optional<Histogram> latency;
  std::vector<PodCounts> pods;  // empty when the source cannot tell instances apart
  std::vector<Value> values;    // in the order of the policy's metrics; those that were seen
};

struct Block {
  double t = 0;                  // seconds since the run's zero, at the end of the span
  double dt = 0;                 // length of the span, > 0
  std::optional<double> weight;  // the canary's configured share of traffic, 0..1
  VersionCounts baseline;
  VersionCounts canary;
};

// Written or read, for state that survives a restart (base/archive.h).
void archive(Archive& a, Histogram& h);
void archive(Archive& a, PodCounts& pod);
void archive(Archive& a, Value& value);
void archive(Archive& a, VersionCounts& v);
void archive(Archive& a, Block& b);

}  // namespace davy
