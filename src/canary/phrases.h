// Phrases: the parts that sentences are made of, so that every metric says the same the same way.
//
// Threading: pure.
#pragma once

#include <string>

#include "config/policy.h"
#include "davy/verdict.h"

namespace davy::canary {

/// "1.2x V1's + 0.01 pp"
std::string say_margin(const config::Margin& m);
/// "5.1", "12", "any"
std::string say_times(double x);
/// "2.9-8.9x", "at least 2.9x", "at most 4.6x", "open"
std::string say_interval(const RatioInterval& r);
/// "V2 fails 0.52% of requests (12 of 2,300), V1 0.1% (...); 5.1x; 95% interval 2.9-8.9x, ..."
/// `what` = "fails ... of requests" with the rate in place of {}.
std::string say_rates(const MetricVerdict& m, const std::string& does, const std::string& of);
/// "180", "more than a million"
std::string say_odds(double log_e);

}  // namespace davy::canary
