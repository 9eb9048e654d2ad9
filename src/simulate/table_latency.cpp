// Table 7: latency, p95 and p99.

#include "simulate/cells.h"
#include "simulate/table_writer.h"

namespace davy::simulate {
namespace {

// Parts of the runs: a histogram costs a hundred times what an error rate does.
constexpr double kFalseRuns = 0.1;
constexpr double kPowerRuns = 0.05;
constexpr double kPodRuns = 0.02;  // instances: twenty times as much again

struct NamedBuckets {
  const char* name;
  Buckets buckets;
};
constexpr NamedBuckets kBuckets[] = {{"sketch, 2 % apart", Buckets::Sketch},
                                     {"native, 9 % apart", Buckets::Native},
                                     {"Prometheus' default", Buckets::Prometheus}};

struct Noise {
  const char* name;
  Disturbance disturbance;
  bool all_buckets;
};
constexpr Noise kNoises[] = {
    {"none", Disturbance::None, true},
    {"both wander together, 0.2", Disturbance::LatencyDrift, false},
    {"each version wanders, 0.03", Disturbance::LatencyVersionDrift03, false},
    {"each version wanders, 0.1", Disturbance::LatencyVersionDrift10, true},
    {"each of 20 instances wanders, 0.1", Disturbance::LatencyPodDrift, false},
};

std::vector<Scenario> cells(Buckets buckets, Disturbance disturbance) {
  std::vector<Scenario> all;
  for (double rps : {100.0, 1000.0}) {
    for (double share : {0.05, 0.25}) {
      Scenario s{.requests_per_second = rps,
                 .canary_share = share,
                 .latency = LatencyShape{.buckets = buckets},
                 .disturbance = disturbance};
      if (disturbance == Disturbance::LatencyPodDrift) {
        s.canary_pods = static_cast<std::size_t>(20 * share);
        s.baseline_pods = 20 - s.canary_pods;
      }
      all.push_back(s);
    }
  }
  return all;
}

config::Policy latency_only(const Scenario& scenario) {
  config::Policy policy = bare(Mode::Robust, scenario);
  policy.error_rate.standing.muted = true;
  return policy;
}

Scenario slower(Scenario scenario, double factor) {
  scenario.latency->slower = factor;
  return scenario;
}

void false_verdicts(TableWriter& out) {
  out.say(
      "| bounds | noise | rollback, x1 | hold, x1 | hold, x1.2 | pass, x1.2 | rollback, x1.5 | too "
      "coarse |");
  out.say("|---|---|---|---|---|---|---|---|");
  for (const NamedBuckets& b : kBuckets) {
    for (const Noise& noise : kNoises) {
      if (!noise.all_buckets && b.buckets != Buckets::Sketch) continue;
      out.tell(fmt::format("table 7, {}, noise: {}", b.name, noise.name));
      bool pods = noise.disturbance == Disturbance::LatencyPodDrift;
      double part = pods ? kPodRuns : kFalseRuns;
      std::vector<double> rates[5];
      double coarse = 0;
      std::vector<Scenario> all = cells(b.buckets, noise.disturbance);
      for (std::size_t i = 0; i < all.size(); ++i) {
        config::Policy policy = latency_only(all[i]);
        Report same = out.measure(all[i], policy, {.coarse = true}, i, part);
        Report edge = out.measure(slower(all[i], 1.2), policy, {}, i, part);
        Report far = out.measure(slower(all[i], 1.5), policy, {}, i, part);
        rates[0].push_back(same.failed);
        rates[1].push_back(same.marginal);
        rates[2].push_back(edge.marginal);
        rates[3].push_back(edge.passed);
        rates[4].push_back(far.failed);
        coarse += same.coarse / static_cast<double>(all.size());
      }
      std::string row;
      for (const std::vector<double>& r : rates) row += " " + show_over_cells(r) + " |";
      out.say("| {} | {} |{} {} |", b.name, noise.name, row, table_percent(coarse));
    }
  }
}

void delays(TableWriter& out) {
  out.say(
      "\n| bounds | rps / share | hold, x1.3 | hold, x1.5 | hold, x2 | rollback, x2 | pass, x1 |");
  out.say("|---|---|---|---|---|---|---|");
  for (const NamedBuckets& b : kBuckets) {
    std::vector<Scenario> all = cells(b.buckets, Disturbance::None);
    for (std::size_t i = 0; i < all.size(); ++i) {
      out.tell(fmt::format("table 7, {}, delays {} of {}", b.name, i + 1, all.size()));
      config::Policy policy = latency_only(all[i]);
      std::string row;
      for (double factor : {1.3, 1.5}) {
        Question ask{.stop_at_hold = true};
        Report r = out.measure(slower(all[i], factor), policy, ask, i, kPowerRuns);
        row += " " + show_delays(r.hold) + " |";
      }
      Report twice = out.measure(slower(all[i], 2), policy, {}, i, kPowerRuns);
      Report good = out.measure(all[i], policy, {.stop_at_pass = true}, i, kPowerRuns);
      row += " " + show_delays(twice.hold) + " | " + show_delays(twice.fail) + " | " +
             show_delays(good.pass) + " |";
      out.say("| {} | {:g} / {:g}% |{}", b.name, all[i].requests_per_second,
              all[i].canary_share * 100, row);
    }
  }
}

}  // namespace

void table_latency(TableWriter& out) {
  out.say("## 7. Latency, p95 and p99\n");
  out.say(
      "Lognormal latencies (median 50 ms, sigma 0.6), judged alone for an hour under the default "
      "policy: more than 20 % slower holds (5 %), more than 50 % rolls back (1 %), a pass rules "
      "out "
      "20 % (5 %). The first {} s are warm-up and count as delay. 100 and 1000 requests per "
      "second, "
      "V2's share 5 and 25 %: 4 cells. \"Wanders\": the log latency is correlated over 60 s, with "
      "this standard deviation. False verdicts, mean / worst cell, {} canaries each (instances: "
      "{}); "
      "too coarse: the share of quantiles that do not gate because of their bounds.\n",
      90, out.runs(kFalseRuns), out.runs(kPodRuns));
  false_verdicts(out);
  out.say("\nSeconds, median / p90 (never found), without noise, {} canaries each:",
          out.runs(kPowerRuns));
  delays(out);
  out.say("");
}

}  // namespace davy::simulate
