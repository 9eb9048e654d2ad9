#include "canary/traffic_share.h"

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <cmath>

#include "base/archive.h"
#include "base/units.h"
#include "stats/log_sum.h"

namespace davy::canary {
namespace {

constexpr double kLevel = 0.001;
constexpr std::array<double, 6> kOddsRatios{1.03, 1.1, 1.25, 1.6, 2.5, 6};
constexpr double kSigma = 0.05;  // a minute never tells the share better than this

stats::Null at_most(double share, double tolerance) {
  return {.kind = stats::Null::Kind::Single, .absolute = stats::times_odds(1 + tolerance, share)};
}

}  // namespace

TrafficShare::TrafficShare(const config::Policy& policy, double weight)
    : weight_(weight),
      robustness_(policy.robustness),
      too_many_(at_most(weight, policy.traffic_share->tolerance), kOddsRatios),
      too_few_(at_most(1 - weight, policy.traffic_share->tolerance), kOddsRatios),
      overdispersion_(policy.traffic_share->stickiness) {}

void TrafficShare::see(const Block& block) {
  double n1 = block.baseline.requests;
  double n2 = block.canary.requests;
  double n = n1 + n2;
  if (n <= 0) return;
  stats::Tempering tempering;
  if (robustness_.on) {
    double floor = 1 + kSigma * kSigma * information_.per_minute();
    tempering = {.phi = std::max(overdispersion_.factor(), floor),
                 .cap = robustness_.cap_of(block.dt)};
  }
  too_many_.see({0, 0, n, n2}, weight_, block.dt, tempering);
  too_few_.see({0, 0, n, n1}, 1 - weight_, block.dt, tempering);
  // Every request is an event that falls to one side; as if out of very many chances at the
  // configured share.
  double chances = 1e6 * n;
  stats::Sample events{chances * (1 - weight_), n1, chances * weight_, n2};
  overdispersion_.see(events);
  information_.see(events, 1, block.dt);
  baseline_ += n1;
  canary_ += n2;
}

Evidence TrafficShare::evidence() const {
  double average = stats::log_sum(too_many_.log_e(), too_few_.log_e()) - std::log(2.0);
  return {average, std::log(1 / kLevel)};
}

bool TrafficShare::is_wrong() const {
  Evidence e = evidence();
  return e.log_e >= e.limit;
}

ShareVerdict TrafficShare::verdict() const {
  double n = baseline_ + canary_;
  return {weight_, n > 0 ? canary_ / n : 0, evidence()};
}

std::string TrafficShare::sentence() const {
  return fmt::format("V2 gets {} of the requests instead of {}",
                     units::show_percent(verdict().observed), units::show_percent(weight_));
}

void TrafficShare::archive(Archive& a) {
  a(too_many_, too_few_, overdispersion_, information_, baseline_, canary_);
}

}  // namespace davy::canary
