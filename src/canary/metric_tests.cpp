#include "canary/metric_tests.h"

#include <cmath>

namespace davy::canary {
namespace {

double share(double k, double n) {
  return n > 0 ? k / n : 0;
}

}  // namespace

void MetricTests::begin_stage() {
  fail.begin_stage();
  warn.begin_stage();
  pass.restart();
}

MetricVerdict MetricTests::report(const config::Policy& policy) const {
  MetricVerdict m;
  m.baseline_requests = seen.n1;
  m.baseline_events = seen.k1;
  m.canary_requests = seen.n2;
  m.canary_events = seen.k2;
  m.baseline_rate = share(seen.k1, seen.n1);
  m.canary_rate = share(seen.k2, seen.n2);
  m.ratio = ratio.interval();
  m.fail = {fail.log_e(), std::log(1 / policy.false_rollback)};
  m.warn = {warn.log_e(), std::log(1 / policy.false_hold)};
  m.pass = {pass.log_e(), std::log(1 / policy.false_promote)};
  m.overdispersion = discount.overdispersion();
  m.discount = discount.last().phi;
  return m;
}

}  // namespace davy::canary
