// Made-up traffic for tests of the judge: blocks of two versions, drawn with a fixed seed.
#pragma once

#include <algorithm>
#include <cmath>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "canary/judge.h"

namespace davy::test {

/// Poisson arrivals, log-normal latencies on buckets 8 % apart.
struct Traffic {
  double per_second = 1000;
  double share = 0.2;
  double baseline_errors = 0.002, canary_errors = 0.002;
  double canary_slower = 1;
  bool with_latency = true;
  std::vector<double> bounds = fine_bounds();
  std::optional<double> weight;
  std::mt19937_64 random{42};
  double t = 0;

  static std::vector<double> fine_bounds() {
    std::vector<double> all;
    for (double b = 0.001; b < 5; b *= 1.08) all.push_back(b);
    return all;
  }

  Histogram draw_latency(double requests, double scale) {
    Histogram h{bounds, std::vector<double>(bounds.size() + 1, 0.0)};
    std::lognormal_distribution<double> takes(std::log(0.02 * scale), 0.5);
    for (int i = 0; i < static_cast<int>(requests); ++i) {
      ++h.counts[static_cast<std::size_t>(
          std::lower_bound(bounds.begin(), bounds.end(), takes(random)) - bounds.begin())];
    }
    return h;
  }

  VersionCounts draw(double mean, double errors, double scale) {
    VersionCounts v;
    if (mean > 0) v.requests = static_cast<double>(std::poisson_distribution<long>(mean)(random));
    v.errors = static_cast<double>(
        std::binomial_distribution<long>(static_cast<long>(v.requests), errors)(random));
    if (with_latency) v.latency = draw_latency(v.requests, scale);
    return v;
  }

  Block next(double dt = 5) {
    Block b;
    b.dt = dt;
    b.t = t += dt;
    b.weight = weight;
    b.baseline = draw(per_second * (1 - share) * dt, baseline_errors, 1);
    b.canary = draw(per_second * share * dt, canary_errors, canary_slower);
    return b;
  }
};

inline config::Policy policy() {
  config::Policy p;
  p.warm_up = Duration::zero();
  return p;
}

/// Feeds up to `blocks` blocks; stops at a pass or fail.
inline const Verdict& run(canary::Judge& judge, Traffic& traffic, int blocks) {
  for (int i = 0; i < blocks; ++i) {
    judge.see(traffic.next());
    VerdictKind kind = judge.kind();
    if (kind == VerdictKind::Fail || kind == VerdictKind::Pass) break;
  }
  return judge.verdict();
}

inline const MetricVerdict& metric(const Verdict& v, std::string_view name) {
  for (const MetricVerdict& m : v.metrics) {
    if (m.name == name) return m;
  }
  throw std::runtime_error("no such metric: " + std::string(name));
}

inline bool says(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace davy::test
