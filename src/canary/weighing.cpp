#include "canary/weighing.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "stats/log_sum.h"

namespace davy::canary {

using config::Effect;

std::optional<double> fail_evidence(const MetricEvidence& e) {
  if (e.effect != Effect::Rollback) return std::nullopt;
  return e.excused ? std::min(0.0, e.fail) : e.fail;
}

std::optional<double> hold_evidence(const MetricEvidence& e) {
  if (e.effect < Effect::Hold) return std::nullopt;
  std::optional<double> log_e = e.hold;
  if (!log_e && e.effect == Effect::Hold) log_e = e.fail;
  if (log_e && e.excused) log_e = std::min(0.0, *log_e);
  return log_e;
}

std::optional<double> warn_evidence(const MetricEvidence& e) {
  return e.effect >= Effect::Notice ? std::optional(e.warn) : std::nullopt;
}

double log_average(const std::vector<MetricEvidence>& all, EvidenceOf evidence) {
  double sum = -std::numeric_limits<double>::infinity();
  double weights = 0;
  for (const MetricEvidence& e : all) {
    std::optional<double> log_e = evidence(e);
    if (!log_e) continue;
    sum = stats::log_sum(sum, std::log(e.weight) + *log_e);
    weights += e.weight;
  }
  return weights > 0 ? sum - std::log(weights) : 0;
}

std::size_t most_against(const std::vector<MetricEvidence>& all, EvidenceOf evidence) {
  std::size_t most = 0;
  double highest = -std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::optional<double> log_e = evidence(all[i]);
    if (!log_e || std::log(all[i].weight) + *log_e <= highest) continue;
    highest = std::log(all[i].weight) + *log_e;
    most = i;
  }
  return most;
}

std::vector<GateMetric> gate_metrics(const std::vector<MetricEvidence>& all) {
  double weights = 0;
  for (const MetricEvidence& e : all) {
    if (e.effect == Effect::Rollback) weights += e.weight;
  }
  std::vector<GateMetric> inputs;
  for (const MetricEvidence& e : all) {
    double weight = e.effect == Effect::Rollback ? e.weight / weights : 0;
    inputs.push_back(
        {weight, fail_evidence(e).value_or(0), e.pass, e.gates && e.effect >= Effect::Hold});
  }
  return inputs;
}

}  // namespace davy::canary
