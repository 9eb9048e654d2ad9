// Sentences: what a person reads. One per verdict, all numbers from the evidence.
//
// Why: "why did it fail?" gets the same words from the gate, the API and the command line.
// Threading: pure.
#pragma once

#include <string>

#include "config/policy.h"
#include "davy/verdict.h"

namespace davy::canary {

std::string say_metric(const MetricVerdict& m, const config::Policy& policy);
/// `worst` = the metric with the most evidence against it.
std::string say_fail(const MetricVerdict& worst, const Evidence& rollback,
                     const config::Policy& policy);
std::string say_hold(const MetricVerdict& worst, const config::Policy& policy);
std::string say_pass(const Verdict& v, const std::string& next_stage, const config::Policy& policy);
std::string say_undecided(const Verdict& v);
std::string say_worse(const MetricVerdict& m);

}  // namespace davy::canary
