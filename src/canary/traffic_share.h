// Traffic share: does V2 get the part of the requests that was configured?
//
// Why: a canary that gets 3 % instead of 5 % is a wrong route, a broken load balancer or a crashing
// pod; its verdict would take longer and nobody would know why. Two one-sided tests on V2's and
// V1's requests of all (Null::Single, boundary = the configured odds x (1 + tolerance)), averaged,
// level 0.1 %. Requests arrive in bundles (connections stick), so overdispersion is assumed from
// the start and measured. It never rolls back, and no other test uses the configured share. Source
// of the idea: Lindon, Malek 2022 (arXiv 2011.03567), sequential sample-ratio tests. Threading: not
// thread-safe; owned by its Judge.
#pragma once

#include <string>

#include "config/policy.h"
#include "davy/block.h"
#include "davy/sequential.h"
#include "davy/verdict.h"
#include "stats/robust.h"

namespace davy::canary {

class TrafficShare {
 public:
  /// REQUIRES: policy.traffic_share, 0 < weight < 1.
  TrafficShare(const config::Policy& policy, double weight);

  void see(const Block& block);
  bool is_wrong() const;
  Evidence evidence() const;
  ShareVerdict verdict() const;
  /// "V2 gets 3.1% of requests instead of 5%"
  std::string sentence() const;
  void archive(Archive& a);

 private:
  const double weight_;
  const stats::Robustness robustness_;
  stats::WorseTest too_many_;  // for V2
  stats::WorseTest too_few_;   // that is, too many for V1
  stats::Overdispersion overdispersion_;
  stats::InformationRate information_;
  double baseline_ = 0, canary_ = 0;  // requests in this stage
};

}  // namespace davy::canary
