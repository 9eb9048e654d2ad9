// Verdict: what the judge thinks of a canary now, and everything that made it think so.
//
// Why: one record that every dialect, the command line and the store read; none of them computes.
// Words and levels: pass, marginal, inconclusive, fail, error as in docs/judging.md.
// Units: rates and shares are ratios 0..1, latencies and times are seconds, evidence is in nats.
// Threading: plain values; published whole on the Board.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace davy {

enum class VerdictKind {
  Pass,          // not intolerably worse: may advance
  Marginal,      // worse than a tolerance that holds the promotion, but does not roll back
  Inconclusive,  // not known yet; `needs` says what is missing
  Fail,          // worse than tolerated: roll back. Sticky for the revision
  Error,         // our own or our telemetry's trouble: cannot judge
};

constexpr std::string_view word(VerdictKind kind) {
  constexpr std::string_view kWords[] = {"pass", "marginal", "inconclusive", "fail", "error"};
  return kWords[static_cast<int>(kind)];
}

/// How far one test has come: rejects when log_e >= limit.
struct Evidence {
  double log_e = 0;  // log of the e-process, nats
  double limit = 0;  // log(1/level)
};

struct RatioInterval {
  double low = 0;
  double high = 0;  // may be infinity
};

/// For metrics that are values, not shares of requests: means over time, in the metric's own unit.
struct ValueComparison {
  double baseline = 0;
  double canary = 0;
  double intervals = 0;  // paired ones
  // 95 % interval of canary - baseline, valid at any look; absent while nothing is excluded.
  std::optional<double> low, high;
};

/// One metric's part in the verdict.
struct MetricVerdict {
  std::string name;   // "error_rate", "latency_p99"
  std::string title;  // "error rate", "p99"
  VerdictKind kind = VerdictKind::Inconclusive;
  std::string_view effect = "rollback";  // of a proven fault: none, notice, hold, rollback
  bool muted = false;                    // for a while it counts for nothing, by the policy
  double weight = 0;  // share of the rollback evidence that is this metric's; all add up to 1
  bool gates = true;  // it holds up a pass until it is proven good
  // Its fault is proven whatever the other metrics are (closed testing), not only that there is one
  // among them.
  bool proven_alone = false;
  double baseline_requests = 0;
  double baseline_events = 0;  // errors, or requests slower than the threshold
  double canary_requests = 0;
  double canary_events = 0;
  double baseline_rate = 0;
  double canary_rate = 0;
  RatioInterval ratio;                    // 95 %, valid at any look; canary rate over baseline rate
  std::optional<double> objective;        // an absolute limit of the rate
  std::optional<ValueComparison> values;  // instead of counts and rates
  // Latency only: the threshold on V1 and the ones V2 is held against, seconds.
  std::optional<double> baseline_threshold;
  std::optional<double> canary_threshold;
  std::optional<double> effective_tolerance;  // after rounding to bucket bounds
  Evidence fail;                              // "worse than tolerated", rolls back
  std::optional<Evidence> hold;               // "worse than tolerated", only holds the promotion
  Evidence warn;                              // "worse at all"; a notice
  Evidence pass;                              // "not intolerably worse"
  double score = 50;
  double overdispersion = 1;  // how many times more events vary than chance would have it
  double discount = 1;  // the last block's evidence counted for 1/this: that, bursts, the floor
  double noise = 0;     // learned in an A/A period: sd of a minute's log rate ratio
  std::string note;     // why it cannot tell, or not all: "buckets too coarse: ...", or ""
  std::string sentence;
};

/// Whether V2 gets the share of the traffic that was configured.
struct ShareVerdict {
  double configured = 0;
  double observed = 0;
  Evidence evidence;  // "it does not"
};

/// What is still missing before the judge can decide.
struct Needs {
  std::optional<double> requests;  // more canary requests, at the present rates
  std::optional<double> seconds;   // the same in time
  std::string text;                // "about 2,100 more canary requests (6 min at this traffic)"
};

struct Verdict {
  VerdictKind kind = VerdictKind::Inconclusive;
  std::string deployment;
  std::string revision;
  std::string stage;  // "25%", or "" when no stages are configured
  double t = 0;       // end of the block that decided, seconds since the run began
  double score = 50;  // 0 = evidence to roll back complete, 100 = to promote complete
  double baseline_requests = 0;
  double canary_requests = 0;
  std::string reason;                // one sentence a person understands
  std::string next;                  // what to do about it
  Needs needs;                       // for inconclusive
  std::vector<std::string> notices;  // WARN and other things that block nothing
  std::string decided_by;            // the metric behind a fail or marginal, or ""
  std::string excluded;  // how bad V2 can still be: "at most 2.4x V1's error rate (95%)"
  std::vector<MetricVerdict> metrics;
  Evidence rollback;  // all rollback metrics together
  Evidence hold;      // all metrics that hold
  std::optional<ShareVerdict> traffic_share;
  std::string url;  // permanent address of this evidence
};

}  // namespace davy
