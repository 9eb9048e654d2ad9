#include "canary/gate.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "stats/log_sum.h"

namespace davy::canary {

GateResult gate(std::span<const GateMetric> metrics, double alpha, double beta) {
  double fail_limit = std::log(1 / alpha);
  double pass_limit = std::log(1 / beta);
  GateResult out;
  std::vector<double> weighted;
  bool any_gates = false;
  out.least_pass = std::numeric_limits<double>::infinity();
  out.score = 100;
  for (const GateMetric& m : metrics) {
    weighted.push_back(std::log(m.weight) + m.log_fail);
    double against = std::clamp(weighted.back() / fail_limit, 0.0, 1.0);
    double in_favour = std::clamp(m.log_pass / pass_limit, 0.0, 1.0);
    out.scores.push_back(50 + 50 * in_favour - 50 * against);
    if (!m.gates) continue;
    any_gates = true;
    out.least_pass = std::min(out.least_pass, m.log_pass);
    out.score = std::min(out.score, out.scores.back());
  }
  if (!any_gates) {
    out.least_pass = 0;
    out.score = 50;
  }
  out.pass = out.least_pass >= pass_limit;
  out.log_average = stats::log_sum(weighted);
  out.fail = out.log_average >= fail_limit;
  if (out.fail) out.score = 0;
  return out;
}

std::vector<bool> proven_alone(std::span<const GateMetric> metrics, double alpha) {
  double limit = 1 / alpha;
  auto beyond = [limit](const GateMetric& m) {
    return m.weight * (std::exp(std::min(m.log_fail, 700.0)) - limit);
  };
  double short_of = 0;  // what the metrics below the limit lack
  for (const GateMetric& m : metrics) short_of += std::min(0.0, beyond(m));
  std::vector<bool> proven;
  for (const GateMetric& m : metrics) {
    double own = beyond(m);
    proven.push_back(m.weight > 0 && own >= 0 && own + short_of >= 0);
  }
  return proven;
}

}  // namespace davy::canary
