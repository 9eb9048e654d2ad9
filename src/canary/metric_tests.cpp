#include "canary/metric_tests.h"

#include <cmath>

namespace davy::canary {
namespace {

double share(double k, double n) {
  return n > 0 ? k / n : 0;
}

}  // namespace

MetricTests::MetricTests(const config::Policy& policy, const Nulls& nulls)
    : fail(nulls.fail), warn(nulls.warn), pass(nulls.pass), discount(policy.robustness) {
  if (nulls.hold) hold.emplace(*nulls.hold);
}

void MetricTests::begin_stage() {
  fail.begin_stage();
  if (hold) hold->begin_stage();
  warn.begin_stage();
  pass.restart();
}

stats::Tempering MetricTests::see(const stats::Sample& s, double p1, double dt, double phi_split,
                                  double widen) {
  stats::Tempering tempering = discount.of(s, p1, dt, phi_split);
  fail.see(s, p1, dt, tempering, widen);
  if (hold) hold->see(s, p1, dt, tempering, widen);
  warn.see(s, p1, dt, tempering, widen);
  ratio.see(s, tempering.phi);
  discount.see(s, dt);
  seen += s;
  return tempering;
}

MetricEvidence MetricTests::evidence() const {
  MetricEvidence e;
  e.fail = fail.log_e();
  if (hold) e.hold = hold->log_e();
  e.warn = warn.log_e();
  e.pass = pass.log_e();
  return e;
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
  set_limits(m, evidence(), policy);
  m.overdispersion = discount.overdispersion();
  m.discount = discount.last().phi;
  m.noise = discount.noise();
  return m;
}

void MetricTests::archive(Archive& a) {
  a(fail);
  if (hold) a(*hold);
  a(warn, pass, ratio, discount, seen.n1, seen.k1, seen.n2, seen.k2);
}

stats::Null linear(const config::Margin& m) {
  return {.kind = stats::Null::Kind::Linear, .ratio = m.ratio, .absolute = m.absolute};
}

void set_limits(MetricVerdict& m, const MetricEvidence& e, const config::Policy& policy) {
  double hold_limit = std::log(1 / policy.false_hold);
  m.fail = {e.fail, std::log(1 / policy.false_rollback)};
  if (e.hold) m.hold = Evidence{*e.hold, hold_limit};
  m.warn = {e.warn, hold_limit};
  m.pass = {e.pass, std::log(1 / policy.false_promote)};
}

}  // namespace davy::canary
