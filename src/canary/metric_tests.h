// MetricTests: what every metric of a judge has: its three tests, its interval, its discount, its
// counts.
//
// Threading: a plain value; owned by its metric.
#pragma once

#include "config/policy.h"
#include "davy/sequential.h"
#include "davy/verdict.h"
#include "stats/ratio_interval.h"
#include "stats/robust.h"

namespace davy::canary {

/// How fast evidence would grow if rates stayed as they are, nats per second; the basis of "about 6
/// more minutes".
struct Growth {
  double pass = 0;
  double fail = 0;
};

struct MetricTests {
  /// The null hypotheses of "worse than tolerated", "worse at all" and "not intolerably worse".
  MetricTests(const config::Policy& policy, stats::Null fail_null, stats::Null warn_null,
              stats::Null pass_null)
      : fail(fail_null), warn(warn_null), pass(pass_null), discount(policy.robustness) {}

  void begin_stage();
  /// Counts, rates, interval and evidence; the metric adds its name and what is its own.
  MetricVerdict report(const config::Policy& policy) const;

  stats::WorseTest fail;
  stats::WorseTest warn;
  stats::NotWorseTest pass;
  stats::RatioIntervalEstimate ratio;
  stats::Discount discount;
  stats::Sample seen;  // everything so far, for people
};

}  // namespace davy::canary
