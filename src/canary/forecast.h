// Forecast: how long a policy will take at the traffic that is expected, and what it can never do.
//
// Why: a policy that cannot decide within its stage looks like one that is content. Better told by
// `davy config check` than learned in the first rollout. The numbers are those of the tests: the
// mean growth of their evidence, less what robust mode takes at such traffic (the noise floor, the
// cap), up to the limit. A rollback also pays for not knowing the fault's size and start (2.1 nats)
// and for sharing its level with other metrics: about 1.5 times log(1/level) over the information.
// Medians of simulated runs are 0.8 to 1.4 times what is told (forecast_test.cpp). That is for a V1
// that was watched for some minutes before V2 came; clumps of errors, instances that differ, and a
// start without any past make it longer.
// Threading: pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/config.h"

namespace davy::canary {

/// Seconds; nothing = never, or not within a day.
struct Forecast {
  std::optional<double> pass;   // of a canary that is like V1
  std::string slowest;          // the metric that a pass waits for longest
  std::optional<double> twice;  // until twice the errors are rolled back
  std::optional<double> fivefold;
  std::optional<double> points;  // until 5 points more are
};

/// `share` = V2's part of the traffic, 0 < share < 1; `latency` = there are histograms.
Forecast forecast(const config::Policy& policy, const config::Expected& traffic, double share,
                  bool latency);

/// One line per stage; nothing when the deployment does not say what to expect.
std::vector<std::string> forecast_lines(const config::Deployment& deployment);

/// What its policy can never do, and what would mend it.
std::vector<std::string> doubts(const config::Deployment& deployment);

}  // namespace davy::canary
