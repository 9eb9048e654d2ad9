// Traffic: two versions' requests, errors and latencies, made up block by block.
//
// Why: the only way to see how often a judge is wrong, and how late it is right, is to know the
// truth. A Scenario is that truth; Traffic draws from it what a scrape would have seen.
// How: counts are drawn directly (Poisson requests, binomial errors, multinomial latencies), not
// request by request, so an hour at 1000 requests per second costs a fraction of a millisecond.
// Shapes: seconds, rates and shares 0..1. Block::t is 0 where V1's history begins; the canary gets
// its first requests at `history`, and after the A/A period, if any, all other times of a Scenario
// count. Threading: not thread-safe; one per trial. Failure: none; REQUIRES a Scenario that makes
// sense (shares and rates within 0..1, positive interval).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "davy/block.h"
#include "simulate/random.h"

namespace davy::simulate {

/// What V2 does to V1's error rate.
struct Change {
  double ratio = 1;
  double added = 0;

  double of(double rate) const { return rate * ratio + added; }
};

/// What makes production unlike independent requests.
enum class Disturbance {
  None,
  PodLognormal15,    // instances differ persistently: standard deviation of the log rate 0.15
  PodLognormal30,    // ... 0.3
  NegativeBinomial,  // an instance's rate varies from block to block as Gamma with CV 1
  RetryClumps,   // a failed request may be retried and fail again: as many errors, 1 to 3 at once
  CommonBursts,  // 50 times the errors of both versions for 10 to 25 s, every 5 min or so
  SinglePodBursts,        // an instance fails a fifth of its requests for 10 to 20 s, once an hour
  PodDrift,               // log rate of each instance wanders: sd 0.3, correlated over 60 s
  VersionDrift10,         // log rate of each version wanders by itself: sd 0.1
  VersionDrift30,         // ... 0.3
  DiurnalRamp,            // load from half to 1.5 times, error rate from 1 to 3 times
  Mix,                    // instances 0.15, gamma CV 0.5, clumps, common bursts, drift 0.15, ramp
  LatencyDrift,           // log latency of both versions wanders together: sd 0.2
  LatencyPodDrift,        // log latency of each instance wanders by itself: sd 0.1
  LatencyVersionDrift03,  // ... of each version: sd 0.03
  LatencyVersionDrift10,  // ... 0.1
};

struct NamedDisturbance {
  std::string_view name;
  Disturbance disturbance;
};
const std::vector<NamedDisturbance>& disturbances();
/// It acts on latencies only.
bool is_of_latency(Disturbance disturbance);

/// Where latency histograms have their bounds.
enum class Buckets {
  Sketch,     // 2 % apart, as a sketch of 1 % relative accuracy
  Native,     // 2^(1/8) apart
  Prometheus  // the client libraries' default: 5 ms ... 10 s
};

/// Lognormal latencies.
struct LatencyShape {
  double median = 0.05;  // seconds, of V1
  double sigma = 0.6;
  double slower = 1;  // V2's factor, from the onset on
  Buckets buckets = Buckets::Sketch;
};

/// A gauge that both versions show (memory, a queue), one value a scrape: level x rise x noise.
struct GaugeShape {
  static constexpr const char* kName = "gauge";  // as the policy's metrics call it
  double ratio = 1;                              // V2's level over V1's, from the onset on
  double sd = 0.1;           // of one value's noise, as a share of the level; each version its own
  double keep = 0;           // of one value's noise in the next (AR(1)); 0: independent
  bool heavy_tails = false;  // Student's t with 3 degrees of freedom instead of normal
  double rise = 0;           // of both versions over the horizon: 1 = doubles
};

struct Scenario {
  double requests_per_second = 100;
  double canary_share = 0.05;
  double base_error_rate = 0.001;
  Change change;
  double onset = 0;               // when the change (and V2's slowness) begins
  double interval = 5;            // between scrapes
  double horizon = 3600;          // how long the canary runs
  double history = 300;           // V1 alone, before
  std::size_t baseline_pods = 0;  // 0: instances cannot be told apart
  std::size_t canary_pods = 0;
  /// A/A period: V2 has its share of the traffic and is V1 but for its own noise. It comes between
  /// the history and the canary; times count from its end.
  double aa_period = 0;
  std::optional<double> routed_share;  // what V2 really gets, from the onset on
  double bundle = 1;                   // requests that arrive together, at the same version
  std::optional<LatencyShape> latency;
  std::optional<GaugeShape> gauge;
  Disturbance disturbance = Disturbance::None;
};

class Traffic {
 public:
  Traffic(const Scenario& scenario, std::uint64_t seed);

  /// The next block; valid until the next call.
  const Block& next();
  bool over() const;
  /// Seconds since the canary began, at the end of the last block; <= 0 before.
  double canary_time() const { return block_.t - scenario_.history - scenario_.aa_period; }

 private:
  /// A random process with mean 0, standard deviation `sd` and a correlation time of 60 s.
  struct Drift {
    double value = 0;
  };
  /// Something that comes now and then and lasts a while.
  struct Bursts {
    double begins = 0, ends = 0;
  };
  struct Pod {
    double factor = 1;  // persistent
    Drift drift, latency_drift;
    Bursts bursts;
  };
  struct Version {
    std::vector<Pod> pods;
    Drift drift, latency_drift;
    double gauge_noise = 0;  // in standard deviations
    bool named = false;      // instances are told apart
  };
  /// How strong each kind of trouble is; 0 = none.
  struct Troubles {
    double pod_sd = 0, gamma_cv = 0, pod_drift = 0, version_drift = 0;
    double latency_drift = 0, latency_pod_drift = 0, latency_version_drift = 0;
    bool clumps = false, common_bursts = false, pod_bursts = false, ramp = false;
  };

  static Troubles troubles_of(Disturbance disturbance);
  Version make(std::size_t pods);
  void step(Drift& drift, double sd);
  double overlap(Bursts& bursts, double every, double shortest, double longest);
  void fill(VersionCounts& counts, Version& version, double requests, double rate, double slower);
  double errors(Pod& pod, double& requests, double rate);
  void draw_latency(Histogram& histogram, double requests, double log_slower);
  void draw_gauge(VersionCounts& counts, Version& version, double level);

  const Scenario scenario_;
  const Troubles troubles_;
  Random random_;
  Version baseline_, canary_;
  Drift latency_drift_;
  Bursts common_bursts_;
  std::vector<double> log_bounds_;  // of latencies
  Block block_;
};

/// The bounds of a scenario's histograms.
std::vector<double> bounds_of(const LatencyShape& latency);

}  // namespace davy::simulate
