// MetricTests: what every metric that counts events has: its tests, its interval, its discount.
//
// Threading: a plain value; owned by its metric.
#pragma once

#include <optional>

#include "base/archive.h"
#include "canary/metric.h"
#include "davy/sequential.h"
#include "davy/verdict.h"
#include "stats/ratio_interval.h"
#include "stats/robust.h"

namespace davy::canary {

struct MetricTests {
  struct Nulls {
    stats::Null fail, warn, pass;
    std::optional<stats::Null> hold{};
  };
  MetricTests(const config::Policy& policy, const Nulls& nulls);

  void begin_stage();
  /// Weight, effect and gates are the metric's to say.
  MetricEvidence evidence() const;
  /// Counts, rates, interval and evidence with its limits; the metric adds its name and its words.
  MetricVerdict report(const config::Policy& policy) const;
  void archive(Archive& a);

  stats::WorseTest fail;
  std::optional<stats::WorseTest> hold;
  stats::WorseTest warn;
  stats::NotWorseTest pass;
  stats::RatioIntervalEstimate ratio;
  stats::Discount discount;
  stats::Sample seen;  // everything so far, for people
};

/// The three limits that evidence is held against.
void set_limits(MetricVerdict& m, const MetricEvidence& e, const config::Policy& policy);

}  // namespace davy::canary
