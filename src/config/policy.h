// Policy: what a team tolerates of a canary, in the terms of the tests.
//
// Why: written by people as `max_increase: 0.5pp`; judged as null hypotheses p2 <= ratio * p1 +
// absolute. Defaults: docs/judging.md. Threading: immutable once read.
#pragma once

#include <optional>
#include <vector>

#include "davy/time.h"
#include "stats/robust.h"

namespace davy::config {

/// V2 may fail at most `ratio` times as often as V1, plus `absolute`.
struct Margin {
  double ratio = 1;
  double absolute = 0;

  friend bool operator==(const Margin&, const Margin&) = default;
};

struct ErrorRatePolicy {
  Margin fail{1.2, 1e-4};  // worse than this is rolled back
  Margin pass{1.5, 5e-4};  // proven better than this may advance; never tighter than `fail`

  friend bool operator==(const ErrorRatePolicy&, const ErrorRatePolicy&) = default;
};

struct LatencyPolicy {
  std::vector<double> quantiles{0.95, 0.99};
  double warn_increase = 0.20;  // slower than this holds the promotion
  double fail_increase = 0.50;  // slower than this is rolled back
  double pass_increase = 0.20;  // proven not slower than this may advance

  friend bool operator==(const LatencyPolicy&, const LatencyPolicy&) = default;
};

/// What becomes of a stage that is still undecided at `max_stage`.
enum class WhenUndecided { Hold, Advance, Rollback };

struct Policy {
  ErrorRatePolicy error_rate;
  std::optional<LatencyPolicy> latency = LatencyPolicy{};
  double false_rollback = 0.01;  // alpha: chance of ever rolling back a tolerable V2
  double false_hold = 0.05;      // alpha of the tests that only hold or notice
  double false_promote = 0.05;   // beta: chance of advancing an intolerable V2, per stage
  Duration min_stage = std::chrono::seconds(60);  // nothing passes earlier
  Duration max_stage = std::chrono::minutes(30);  // nothing waits longer
  Duration warm_up = std::chrono::seconds(60);    // V2's latency is not judged in this time
  WhenUndecided when_undecided = WhenUndecided::Hold;
  stats::Robustness robustness;

  friend bool operator==(const Policy&, const Policy&) = default;
};

}  // namespace davy::config
