#include "canary/restarts.h"

#include <fmt/format.h>

#include "base/text.h"

namespace davy::canary {
namespace {

constexpr double kWeight = 0.1;
constexpr double kTolerated = 1.2;  // times V1's rate
constexpr double kDay = 86400;

MetricTests::Nulls nulls(double per_day) {
  using Kind = stats::Null::Kind;
  stats::Null tolerated{Kind::Linear, kTolerated, per_day / kDay};
  return {tolerated, {Kind::Linear, 1, 0}, {Kind::Linear, 1.5, 5 * per_day / kDay}};
}

struct Total {
  double seconds = 0, restarts = 0;
};

Total total(const VersionCounts& version, double dt) {
  Total sum{dt * static_cast<double>(version.pods.size()), 0};
  for (const PodCounts& pod : version.pods) sum.restarts += pod.restarts;
  return sum;
}

}  // namespace

Restarts::Restarts(const config::Policy& policy)
    : policy_(policy), tests_(policy, nulls(policy.restarts->per_day)) {}

/// With a prior of half a restart in as long as `per_day` says.
double Restarts::baseline_rate() const {
  return (baseline_k_ + 0.5) / (baseline_n_ + 0.5 * kDay / policy_.restarts->per_day);
}

void Restarts::learn(const Block& block) {
  Total v1 = total(block.baseline, block.dt);
  baseline_n_ += v1.seconds;
  baseline_k_ += v1.restarts;
}

void Restarts::see(const Block& block, const StageTime&) {
  Total v1 = total(block.baseline, block.dt);
  Total v2 = total(block.canary, block.dt);
  if (v1.seconds > 0 && v2.seconds > 0) {
    stats::Sample s{v1.seconds, v1.restarts, v2.seconds, v2.restarts};
    tests_.see(s, baseline_rate(), block.dt);
  }
  learn(block);
}

void Restarts::weigh(std::vector<MetricEvidence>& out) const {
  MetricEvidence e = tests_.evidence();
  e.weight = kWeight;
  e.effect = policy_.restarts->standing.effect();
  e.gates = false;
  e.pass = 0;
  out.push_back(e);
}

void Restarts::report(std::vector<MetricReport>& out) const {
  MetricReport r{.verdict = tests_.report(policy_)};
  MetricVerdict& m = r.verdict;
  m.name = m.title = "restarts";
  m.muted = policy_.restarts->standing.muted;
  if (m.canary_requests > 0) {
    r.facts =
        fmt::format("V2's instances restarted {} in {:.1f} instance-minutes, V1's {} in {:.1f}",
                    text::counted(m.canary_events, "time", "times"), m.canary_requests / 60,
                    text::counted(m.baseline_events, "time", "times"), m.baseline_requests / 60);
  } else {
    r.note = "not judged: the source cannot tell instances apart";
  }
  r.fail_claim = fmt::format("Tolerated are {:g}x V1's + {:g} a day and instance", kTolerated,
                             policy_.restarts->per_day);
  r.hold_claim = "V2 restarts more often than tolerated";
  out.push_back(std::move(r));
}

void Restarts::grow(double, double, std::vector<Growth>& out) const {
  out.emplace_back();
}

}  // namespace davy::canary
