// Gate: several metrics, one decision.
//
// Why: the weighted average of e-processes is an e-process under any dependence between them, so
// "any false rollback, ever" keeps its level without dividing it among the metrics (Vovk, Wang
// 2021, arXiv 1912.06116). A pass needs every gating metric (intersection-union: no correction).
// Threading: pure.
#pragma once

#include <span>
#include <vector>

namespace davy::canary {

struct GateMetric {
  double weight = 0;    // over all metrics they add up to 1
  double log_fail = 0;  // log e of "worse than tolerated"
  double log_pass = 0;  // log e of "not intolerably worse"
  bool gates = true;    // holds up a pass until it is proven
};

struct GateResult {
  double log_average = 0;  // of the e-processes, weighted
  bool fail = false;
  bool pass = false;
  double least_pass = 0;       // log e of the gating metric that is farthest from its pass
  std::vector<double> scores;  // per metric, 0..100: a progress bar of proof, 50 = nothing known
  double score = 50;           // the least among gating metrics, 0 once it fails
};

/// Which metrics' faults are proven on their own: metric m, if every set S of metrics that holds m
/// has sum_S w E >= sum_S w / alpha (closed testing of averaged e-values: Vovk, Wang 2021; Hartog,
/// Lei 2025, arXiv 2501.09015). The worst such set is m and every metric with E < 1/alpha.
std::vector<bool> proven_alone(std::span<const GateMetric> metrics, double alpha);

/// `alpha` = false rollback, `beta` = false promotion. REQUIRES: at least one metric.
GateResult gate(std::span<const GateMetric> metrics, double alpha, double beta);

}  // namespace davy::canary
