// Sentences: what a person reads. One per verdict, all numbers from the evidence.
//
// Why: "why did it fail?" gets the same words from the gate, the API and the command line.
// Threading: pure.
#pragma once

#include <string>
#include <vector>

#include "canary/metric.h"
#include "davy/verdict.h"

namespace davy::canary {

std::string say_metric(const MetricReport& r);
/// `worst` = the metric with the most evidence against it.
std::string say_fail(const MetricReport& worst, const Evidence& rollback);
std::string say_hold(const MetricReport& worst);
std::string say_pass(const Verdict& v, const std::vector<MetricReport>& reports,
                     const std::string& next_stage, double false_promote);
std::string say_undecided(const Verdict& v, const std::vector<MetricReport>& reports);
std::string say_worse(const MetricVerdict& m);
/// A metric that is only trusted to advise is beyond its tolerance.
std::string say_advice(const MetricReport& r);
/// How bad V2 can still be.
std::string say_excluded(const Verdict& v);

}  // namespace davy::canary
