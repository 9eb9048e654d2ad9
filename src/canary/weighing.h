// Weighing: every metric's evidence of one kind, together.
//
// Why: which evidence may count for what (a metric that only advises holds nobody; an objective
// that V1 misses, too, is not held against V2) is one rule for the decision and for its words.
// Threading: pure.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "canary/gate.h"
#include "canary/metric.h"

namespace davy::canary {

// One metric's evidence of a kind: log e; nothing where it has no such test, or may do no such
// thing.
using EvidenceOf = std::optional<double> (*)(const MetricEvidence&);
std::optional<double> fail_evidence(const MetricEvidence& e);
std::optional<double> hold_evidence(const MetricEvidence& e);
std::optional<double> warn_evidence(const MetricEvidence& e);

/// log of the weighted average of e-processes, weights normalised over those that have one; 0 when
/// none has.
double log_average(const std::vector<MetricEvidence>& all, EvidenceOf evidence);

/// The metric with the most weighted evidence; 0 when none has any.
std::size_t most_against(const std::vector<MetricEvidence>& all, EvidenceOf evidence);

/// Weights of rollback evidence: they add up to 1, and are 0 for metrics that may not roll back.
std::vector<GateMetric> gate_metrics(const std::vector<MetricEvidence>& all);

}  // namespace davy::canary
