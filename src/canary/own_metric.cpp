#include "canary/own_metric.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>

#include "canary/metric_tests.h"
#include "canary/phrases.h"

namespace davy::canary {
namespace {

constexpr double kWeight = 0.1;

const double* find(const VersionCounts& version, const std::string& name) {
  for (const Value& value : version.values) {
    if (value.name == name) return &value.value;
  }
  return nullptr;
}

/// "1.24", "153 M"
std::string show(double x) {
  constexpr std::pair<double, const char*> kSteps[] = {{1e9, " G"}, {1e6, " M"}, {1e3, " k"}};
  for (auto [step, letter] : kSteps) {
    if (std::abs(x) >= step) return fmt::format("{:.3g}{}", x / step, letter);
  }
  return fmt::format("{:.3g}", x);
}

std::string say(const config::Margin& m) {
  std::string said = fmt::format("{:.3g}x V1's", m.ratio);
  return m.absolute == 0 ? said : said + " + " + show(m.absolute);
}

}  // namespace

OwnMetric::OwnMetric(const config::Policy& policy, const config::ValuePolicy& metric)
    : policy_(policy), metric_(metric) {
  if (metric.warn) hold_.emplace();
}

void OwnMetric::begin_stage() {
  fail_.begin_stage();
  warn_.begin_stage();
  if (hold_) hold_->begin_stage();
  pass_ = {};
}

double OwnMetric::beyond(const config::Margin& margin, double v1, double v2) const {
  if (metric_.bad == config::ValuePolicy::Bad::Down) std::swap(v1, v2);
  return v2 - (margin.ratio * v1 + margin.absolute);
}

void OwnMetric::see(const Block& block, const StageTime& stage) {
  if (stage.alone || stage.age < seconds(policy_.warm_up)) return;
  const double* v1 = find(block.baseline, metric_.series.name);
  const double* v2 = find(block.canary, metric_.series.name);
  missing_ = v1 == nullptr || v2 == nullptr;
  if (missing_) return;
  open_v1_ += *v1 * block.dt;
  open_v2_ += *v2 * block.dt;
  open_seconds_ += block.dt;
  if (open_seconds_ < kIntervalSeconds) return;
  see_interval(open_v1_ / open_seconds_, open_v2_ / open_seconds_, open_seconds_);
  open_v1_ = open_v2_ = open_seconds_ = 0;
}

void OwnMetric::see_interval(double v1, double v2, double dt) {
  double divide = lingering_.factor();
  fail_.see(beyond(metric_.fail, v1, v2), dt, divide);
  warn_.see(beyond({1, 0}, v1, v2), dt, divide);
  if (hold_) hold_->see(beyond(*metric_.warn, v1, v2), dt, divide);
  pass_.see(-beyond(metric_.fail, v1, v2), dt, divide);
  interval_.see(v2 - v1, divide);
  lingering_.see(v2 - v1);
  sum_v1_ += v1 * dt;
  sum_v2_ += v2 * dt;
  seconds_ += dt;
  intervals_ += 1;
}

void OwnMetric::weigh(std::vector<MetricEvidence>& out) const {
  MetricEvidence e;
  e.weight = kWeight;
  e.effect = metric_.standing.effect();
  e.fail = fail_.log_e();
  if (hold_) e.hold = hold_->log_e();
  e.warn = warn_.log_e();
  e.pass = pass_.log_e();
  out.push_back(e);
}

void OwnMetric::report(std::vector<MetricReport>& out) const {
  MetricReport r;
  MetricVerdict& m = r.verdict;
  std::vector<MetricEvidence> evidence;
  weigh(evidence);
  set_limits(m, evidence.front(), policy_);
  m.name = m.title = metric_.series.name;
  m.muted = metric_.standing.muted;
  m.ratio = {0, std::numeric_limits<double>::infinity()};
  m.discount = lingering_.factor();
  m.overdispersion = m.discount;
  if (seconds_ > 0) {
    ValueComparison values{sum_v1_ / seconds_, sum_v2_ / seconds_, intervals_, {}, {}};
    std::string range = "open";
    if (auto seen = interval_.range()) {
      values.low = seen->low;
      values.high = seen->high;
      range = fmt::format("{}{} to {}{}", seen->low >= 0 ? "+" : "", show(seen->low),
                          seen->high >= 0 ? "+" : "", show(seen->high));
    }
    m.values = values;
    r.facts = fmt::format(
        "V2's {} is {} on average, V1's {} ({:.0f} paired intervals); 95% interval of the "
        "difference {}, valid at any look",
        m.name, show(values.canary), show(values.baseline), intervals_, range);
  }
  bool up = metric_.bad == config::ValuePolicy::Bad::Up;
  auto claim = [&](const config::Margin& margin) {
    return up ? fmt::format("V2's {} is above {}", m.name, say(margin))
              : fmt::format("V2's {} is so low that V1's is above {}", m.name,
                            fmt::format("{:.3g}x V2's{}", margin.ratio,
                                        margin.absolute == 0 ? "" : " + " + show(margin.absolute)));
  };
  r.fail_claim = claim(metric_.fail);
  r.hold_claim = claim(metric_.warn.value_or(metric_.fail));
  r.pass_claim = fmt::format("a {} {} than tolerated", m.name, up ? "higher" : "lower");
  if (missing_) r.note = "one of the versions does not show it";
  out.push_back(std::move(r));
}

/// An interval brings at most half a nat; less, as differences linger.
void OwnMetric::grow(double, double, std::vector<Growth>& out) const {
  double most = kFastestGrowth / lingering_.factor();
  out.push_back({missing_ || intervals_ == 0 ? 0 : most, 0});
}

void OwnMetric::archive(Archive& a) {
  a(fail_, warn_, pass_);
  if (hold_) a(*hold_);
  a(lingering_, interval_, open_v1_, open_v2_, open_seconds_, sum_v1_, sum_v2_, seconds_,
    intervals_, missing_);
}

}  // namespace davy::canary
