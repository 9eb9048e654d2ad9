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
  /// A block for all of them but `pass`, which needs to know what an equal V2 would show. Returns
  /// how the block's evidence is tempered.
  stats::Tempering see(const stats::Sample& s, double p1, double dt, double phi_split = 1,
                       double widen = 1);
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

/// "At most as the margin allows", for rare events.
stats::Null linear(const config::Margin& m);

/// The three limits that evidence is held against.
void set_limits(MetricVerdict& m, const MetricEvidence& e, const config::Policy& policy);

}  // namespace davy::canary
