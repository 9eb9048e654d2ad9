#include "simulate/traffic.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace davy::simulate {
namespace {

constexpr double kCorrelationSeconds = 60;
constexpr double kHighestRate = 0.95;
constexpr double kBurstFactor = 50;  // of common bursts
constexpr double kMeanClump = 2;     // 1, 2 or 3 errors, equally often
constexpr double kGaugeLevel = 100;
constexpr double kPodBurstFailures = 0.2;  // of an instance's requests in its bursts

double normal_above(double z) {
  return 0.5 * std::erfc(z / std::sqrt(2.0));
}

/// A lognormal factor whose mean is 1.
double mean_one(double log_value, double sd) {
  return std::exp(log_value - sd * sd / 2);
}

Histogram empty(const LatencyShape& latency) {
  Histogram h;
  h.bounds = bounds_of(latency);
  h.counts.resize(h.bounds.size() + 1);
  return h;
}

}  // namespace

const std::vector<NamedDisturbance>& disturbances() {
  static const std::vector<NamedDisturbance> all{
      {"none", Disturbance::None},
      {"pod-lognormal-0.15", Disturbance::PodLognormal15},
      {"pod-lognormal-0.3", Disturbance::PodLognormal30},
      {"negative-binomial", Disturbance::NegativeBinomial},
      {"retry-clumps", Disturbance::RetryClumps},
      {"common-bursts", Disturbance::CommonBursts},
      {"single-pod-bursts", Disturbance::SinglePodBursts},
      {"pod-drift-0.3", Disturbance::PodDrift},
      {"version-drift-0.1", Disturbance::VersionDrift10},
      {"version-drift-0.3", Disturbance::VersionDrift30},
      {"diurnal-ramp", Disturbance::DiurnalRamp},
      {"mix", Disturbance::Mix},
      {"latency-drift", Disturbance::LatencyDrift},
      {"latency-pod-drift-0.1", Disturbance::LatencyPodDrift},
      {"latency-version-drift-0.03", Disturbance::LatencyVersionDrift03},
      {"latency-version-drift-0.1", Disturbance::LatencyVersionDrift10},
  };
  return all;
}

bool is_of_latency(Disturbance disturbance) {
  return disturbance >= Disturbance::LatencyDrift;
}

std::vector<double> bounds_of(const LatencyShape& latency) {
  if (latency.buckets == Buckets::Prometheus) {
    return {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
  }
  // Every bound is a whole power of gamma, as in a sketch; only those where requests can fall.
  double gamma = latency.buckets == Buckets::Sketch ? 1.0202 : std::exp2(1.0 / 8);
  double lowest = latency.median * std::exp(-5 * latency.sigma);
  double highest = latency.median * std::max(1.0, latency.slower) * std::exp(5 * latency.sigma);
  std::vector<double> bounds;
  for (double i = std::floor(std::log(lowest) / std::log(gamma));; ++i) {
    bounds.push_back(std::pow(gamma, i));
    if (bounds.back() >= highest) return bounds;
  }
}

Traffic::Troubles Traffic::troubles_of(Disturbance disturbance) {
  switch (disturbance) {
    case Disturbance::None: return {};
    case Disturbance::PodLognormal15: return {.pod_sd = 0.15};
    case Disturbance::PodLognormal30: return {.pod_sd = 0.3};
    case Disturbance::NegativeBinomial: return {.gamma_cv = 1};
    case Disturbance::RetryClumps: return {.clumps = true};
    case Disturbance::CommonBursts: return {.common_bursts = true};
    case Disturbance::SinglePodBursts: return {.pod_bursts = true};
    case Disturbance::PodDrift: return {.pod_drift = 0.3};
    case Disturbance::VersionDrift10: return {.version_drift = 0.1};
    case Disturbance::VersionDrift30: return {.version_drift = 0.3};
    case Disturbance::DiurnalRamp: return {.ramp = true};
    case Disturbance::Mix:
      return {.pod_sd = 0.15,
              .gamma_cv = 0.5,
              .pod_drift = 0.15,
              .clumps = true,
              .common_bursts = true,
              .ramp = true};
    case Disturbance::LatencyDrift: return {.latency_drift = 0.2};
    case Disturbance::LatencyPodDrift: return {.latency_pod_drift = 0.1};
    case Disturbance::LatencyVersionDrift03: return {.latency_version_drift = 0.03};
    case Disturbance::LatencyVersionDrift10: return {.latency_version_drift = 0.1};
  }
  return {};
}

Traffic::Traffic(const Scenario& scenario, std::uint64_t seed)
    : scenario_(scenario),
      troubles_(troubles_of(scenario.disturbance)),
      random_(seed),
      baseline_(make(scenario.baseline_pods)),
      canary_(make(scenario.canary_pods)) {
  latency_drift_.value = troubles_.latency_drift * random_.normal();
  block_.dt = scenario_.interval;
  block_.weight = scenario_.canary_share;
  for (std::size_t i = 0; i < scenario_.baseline_pods; ++i)
    block_.baseline.pods.push_back({.id = "v1-" + std::to_string(i)});
  for (std::size_t i = 0; i < scenario_.canary_pods; ++i)
    block_.canary.pods.push_back({.id = "v2-" + std::to_string(i)});
  if (scenario_.latency) {
    block_.baseline.latency = empty(*scenario_.latency);
    for (double bound : block_.baseline.latency->bounds) log_bounds_.push_back(std::log(bound));
    block_.canary.latency = empty(*scenario_.latency);
  }
  if (scenario_.gauge)
    block_.baseline.values = block_.canary.values = {{.name = GaugeShape::kName}};
}

Traffic::Version Traffic::make(std::size_t pods) {
  Version version;
  version.named = pods > 0;
  version.drift.value = troubles_.version_drift * random_.normal();
  version.latency_drift.value = troubles_.latency_version_drift * random_.normal();
  version.gauge_noise = random_.normal();
  version.pods.resize(std::max<std::size_t>(1, pods));
  for (Pod& pod : version.pods) {
    pod.factor = mean_one(troubles_.pod_sd * random_.normal(), troubles_.pod_sd);
    pod.drift.value = troubles_.pod_drift * random_.normal();
    pod.latency_drift.value = troubles_.latency_pod_drift * random_.normal();
  }
  return version;
}

bool Traffic::over() const {
  return canary_time() + scenario_.interval > scenario_.horizon + 1e-9;
}

const Block& Traffic::next() {
  block_.t += scenario_.interval;
  double time = canary_time();
  bool alone = block_.t - scenario_.history <= 1e-9;
  bool changed = time - scenario_.interval >= scenario_.onset - 1e-9;

  double load = scenario_.requests_per_second * scenario_.interval;
  double factor = 1;
  double part = std::max(0.0, time) / scenario_.horizon;
  if (troubles_.ramp) {
    load *= 0.5 + part;
    factor *= 1 + 2 * part;
  }
  if (troubles_.common_bursts) {
    factor *= 1 + (kBurstFactor - 1) * overlap(common_bursts_, 300, 10, 25);
  }
  if (troubles_.latency_drift > 0) step(latency_drift_, troubles_.latency_drift);

  double share = alone ? 0 : scenario_.canary_share;
  if (changed) share = scenario_.routed_share.value_or(share);
  double p1 = scenario_.base_error_rate;
  double p2 = changed ? scenario_.change.of(p1) : p1;
  double slower = changed && scenario_.latency ? scenario_.latency->slower : 1;
  fill(block_.baseline, baseline_, load * (1 - share), p1 * factor, 1);
  fill(block_.canary, canary_, load * share, p2 * factor, slower);
  if (const std::optional<GaugeShape>& gauge = scenario_.gauge) {
    double level = kGaugeLevel * (1 + gauge->rise * part);
    draw_gauge(block_.baseline, baseline_, level);
    draw_gauge(block_.canary, canary_, changed ? level * gauge->ratio : level);
  }
  return block_;
}

/// One step of the wandering, exact for any interval.
void Traffic::step(Drift& drift, double sd) {
  double keep = std::exp(-scenario_.interval / kCorrelationSeconds);
  drift.value = keep * drift.value + std::sqrt(1 - keep * keep) * sd * random_.normal();
}

/// The part of this block that lies in a burst, 0..1. `every` = mean seconds between two.
double Traffic::overlap(Bursts& bursts, double every, double shortest, double longest) {
  double from = block_.t - scenario_.interval;
  if (bursts.ends <= from) {
    bursts.begins = from + random_.exponential(every);
    bursts.ends = bursts.begins + random_.uniform(shortest, longest);
  }
  double both = std::min(block_.t, bursts.ends) - std::max(from, bursts.begins);
  return std::max(0.0, both) / scenario_.interval;
}

/// `requests` expected in all, `rate` before what is particular to the version's instances.
void Traffic::fill(VersionCounts& counts, Version& version, double requests, double rate,
                   double slower) {
  counts.requests = counts.errors = 0;
  if (troubles_.version_drift > 0) {
    step(version.drift, troubles_.version_drift);
    rate *= mean_one(version.drift.value, troubles_.version_drift);
  }
  double log_slower = std::log(slower) + latency_drift_.value;
  if (troubles_.latency_version_drift > 0) {
    step(version.latency_drift, troubles_.latency_version_drift);
    log_slower += version.latency_drift.value;
  }
  if (counts.latency) std::fill(counts.latency->counts.begin(), counts.latency->counts.end(), 0.0);
  double each = requests / static_cast<double>(version.pods.size());
  for (std::size_t i = 0; i < version.pods.size(); ++i) {
    Pod& pod = version.pods[i];
    double n = scenario_.bundle * random_.poisson(each / scenario_.bundle);
    double k = errors(pod, n, rate);
    counts.requests += n;
    counts.errors += k;
    if (version.named) {
      counts.pods[i].requests = n;
      counts.pods[i].errors = k;
    }
    if (counts.latency && troubles_.latency_pod_drift > 0) {
      step(pod.latency_drift, troubles_.latency_pod_drift);
      draw_latency(*counts.latency, n, log_slower + pod.latency_drift.value);
    }
  }
  if (counts.latency && troubles_.latency_pod_drift == 0)
    draw_latency(*counts.latency, counts.requests, log_slower);
}

/// One instance's errors; retries are requests, too.
double Traffic::errors(Pod& pod, double& requests, double rate) {
  rate *= pod.factor;
  if (troubles_.pod_drift > 0) {
    step(pod.drift, troubles_.pod_drift);
    rate *= mean_one(pod.drift.value, troubles_.pod_drift);
  }
  if (troubles_.gamma_cv > 0) {
    double variance = troubles_.gamma_cv * troubles_.gamma_cv;
    rate *= random_.gamma(1 / variance, variance);
  }
  if (troubles_.pod_bursts) rate += kPodBurstFailures * overlap(pod.bursts, 3600, 10, 20);
  rate = std::min(rate, kHighestRate);
  if (!troubles_.clumps) return random_.binomial(requests, rate);
  double failed = random_.binomial(requests, rate / kMeanClump);
  double twice = random_.binomial(failed, 2.0 / 3);
  double thrice = random_.binomial(twice, 0.5);
  requests += twice + thrice;
  return failed + twice + thrice;
}

/// Adds a multinomial, drawn as one binomial after the other of what is left.
void Traffic::draw_latency(Histogram& histogram, double requests, double log_slower) {
  const LatencyShape& shape = *scenario_.latency;
  double centre = std::log(shape.median) + log_slower;
  double above = 1;  // probability of what is left
  double left = requests;
  for (std::size_t i = 0; i < histogram.bounds.size() && left > 0; ++i) {
    double beyond = normal_above((log_bounds_[i] - centre) / shape.sigma);
    double here = above > 0 ? random_.binomial(left, 1 - beyond / above) : left;
    histogram.counts[i] += here;
    left -= here;
    above = beyond;
  }
  histogram.counts.back() += left;
}

/// Noise of standard deviation 1 that may linger and may have heavy tails, scaled to the gauge's.
void Traffic::draw_gauge(VersionCounts& counts, Version& version, double level) {
  const GaugeShape& gauge = *scenario_.gauge;
  double fresh = random_.normal();
  if (gauge.heavy_tails) {  // t with 3 degrees of freedom has variance 3
    double chi_squared = random_.gamma(1.5, 2);
    fresh /= std::sqrt(chi_squared / 3) * std::sqrt(3.0);
  }
  version.gauge_noise =
      gauge.keep * version.gauge_noise + std::sqrt(1 - gauge.keep * gauge.keep) * fresh;
  counts.values.front().value = level * (1 + gauge.sd * version.gauge_noise);
}

}  // namespace davy::simulate
