// Policy: what a team tolerates of a canary, in the terms of the tests.
//
// Why: written by people as `max_increase: 0.5pp`; judged as null hypotheses p2 <= ratio * p1 +
// absolute. Defaults: docs/judging.md. Threading: immutable once read.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "davy/source.h"
#include "davy/time.h"
#include "stats/robust.h"

namespace davy::config {

/// V2 may fail at most `ratio` times as often as V1, plus `absolute`.
struct Margin {
  double ratio = 1;
  double absolute = 0;

  friend bool operator==(const Margin&, const Margin&) = default;
};

/// What a proven fault of a metric does. Each step does what the one before it does, and more.
enum class Effect {
  None,      // it stands in the evidence
  Notice,    // it is told
  Hold,      // no promotion
  Rollback,  // the verdict is fail
};

/// What one metric may do: as much as its severity says, if it is trusted that far.
struct Standing {
  Effect severity = Effect::Rollback;  // `severity: hold | rollback`
  Effect trust = Effect::Rollback;     // `trust: shadow | advise | hold | enforce`
  bool muted = false;                  // for a while it counts for nothing

  Effect effect() const { return muted ? Effect::None : std::min(severity, trust); }
  friend bool operator==(const Standing&, const Standing&) = default;
};

struct ErrorRatePolicy {
  Margin fail{1.2, 1e-4};      // worse than this is rolled back
  Margin pass{1.5, 5e-4};      // proven better than this may advance; never tighter than `fail`
  std::optional<Margin> warn;  // worse than this holds the promotion
  std::optional<double> max;   // objective: V2's rate above this is rolled back, unless V1's is too
  Standing standing{};

  friend bool operator==(const ErrorRatePolicy&, const ErrorRatePolicy&) = default;
};

/// Objective: at most the share 1 - quantile of V2's requests may take longer.
struct LatencyLimit {
  double quantile = 0.99;
  double seconds = 0;

  friend bool operator==(const LatencyLimit&, const LatencyLimit&) = default;
};

struct LatencyPolicy {
  std::vector<double> quantiles{0.95, 0.99};
  double warn_increase = 0.20;  // slower than this holds the promotion
  double fail_increase = 0.50;  // slower than this is rolled back
  double pass_increase = 0.20;  // proven not slower than this may advance
  std::vector<LatencyLimit> max{};
  Standing standing{};

  friend bool operator==(const LatencyPolicy&, const LatencyPolicy&) = default;
};

/// Crashes: restarts of V2's instances against V1's, and against `per_day` an instance.
struct RestartsPolicy {
  double per_day = 1;
  Standing standing{};

  friend bool operator==(const RestartsPolicy&, const RestartsPolicy&) = default;
};

/// Whether V2 gets the share of the traffic that it should; never rolls back.
struct TrafficSharePolicy {
  double tolerance = 0.1;  // by how much the odds may differ
  double stickiness = 10;  // requests that arrive together (one connection, one session)

  friend bool operator==(const TrafficSharePolicy&, const TrafficSharePolicy&) = default;
};

/// One of the deployment's own metrics: V2's value against V1's at the same time.
struct ValuePolicy {
  enum class Bad { Up, Down };

  ValueSeries series;
  Bad bad = Bad::Up;
  Margin fail{1.2, 0};  // as `ratio * V1 + absolute`; with Down, V1 at most that of V2
  std::optional<Margin> warn;
  Standing standing{.severity = Effect::Hold};

  friend bool operator==(const ValuePolicy&, const ValuePolicy&) = default;
};

/// What becomes of a stage that is still undecided at `max_stage`.
enum class WhenUndecided { Hold, Advance, Rollback };

struct Policy {
  ErrorRatePolicy error_rate;
  std::optional<LatencyPolicy> latency = LatencyPolicy{};
  std::optional<RestartsPolicy> restarts = RestartsPolicy{};
  std::optional<TrafficSharePolicy> traffic_share = TrafficSharePolicy{};
  std::vector<ValuePolicy> metrics{};
  double false_rollback = 0.01;  // alpha: chance of ever rolling back a tolerable V2
  double false_hold = 0.05;      // alpha of the tests that only hold or notice
  double false_promote = 0.05;   // beta: chance of advancing an intolerable V2, per stage
  Duration min_stage = std::chrono::seconds(60);  // nothing passes earlier
  Duration max_stage = std::chrono::minutes(30);  // nothing waits longer
  Duration warm_up = std::chrono::seconds(60);    // V2's latency is not judged in this time
  Duration aa_period{0};  // at the run's start both versions are the same: noise is learned
  WhenUndecided when_undecided = WhenUndecided::Hold;
  bool hold_on_warn = false;  // "worse at all" holds the promotion, too
  stats::Robustness robustness{};

  /// What the source has to read for `metrics`.
  std::vector<ValueSeries> value_series() const;

  friend bool operator==(const Policy&, const Policy&) = default;
};

}  // namespace davy::config
