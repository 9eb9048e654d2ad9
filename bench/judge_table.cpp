// The comparison: davy beside its peers, on the same made-up canaries.
//
// Prints Markdown. Every rule sees the same blocks of the same seeds. Arguments: [RUNS [SEED]],
// by default 300 and 1.

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "canary/judge.h"
#include "peers/peers.h"
#include "simulate/cells.h"
#include "simulate/trial.h"

using namespace davy;
using namespace davy::simulate;

namespace {

/// When each rule rolled back, in the order of kRules: davy first, then the peers.
using Rollbacks = std::vector<std::optional<double>>;

/// What davy's rule is here: errors only, nothing between the evidence and the verdict.
config::Policy davys_policy(const Scenario& scenario) {
  config::Policy policy = fitted(config::Policy{}, scenario);
  policy.traffic_share.reset();
  policy.min_stage = Duration::zero();
  return policy;
}

Rollbacks run(const Scenario& scenario, std::uint64_t seed) {
  Traffic traffic(scenario, seed);
  canary::Judge judge(davys_policy(scenario), {});
  std::optional<double> davys;
  std::vector<std::unique_ptr<peers::Peer>> others;
  for (const peers::NamedPeer& named : peers::all_peers()) others.push_back(named.make());
  while (!traffic.over()) {
    const Block& block = traffic.next();
    double t = block.t - scenario.history;
    if (!davys) {
      judge.see(block);
      if (judge.kind() == VerdictKind::Fail) davys = t;
    }
    if (t <= 0) continue;
    for (auto& peer : others) peer->see(block, t);
  }
  Rollbacks all{davys};
  for (auto& peer : others) all.push_back(peer->rolled_back());
  return all;
}

std::vector<Rollbacks> run_all(const Scenario& scenario, int runs, std::uint64_t seed) {
  std::vector<Rollbacks> all(static_cast<std::size_t>(runs));
  auto every_second = [&](std::size_t first) {
    for (std::size_t i = first; i < all.size(); i += 2) all[i] = run(scenario, mix_seed(seed, i));
  };
  std::jthread other(every_second, 1);
  every_second(0);
  other.join();
  return all;
}

std::vector<std::string> rules() {
  std::vector<std::string> names{"**davy**"};
  for (const peers::NamedPeer& peer : peers::all_peers()) names.push_back(peer.name);
  return names;
}

double rolled_back(const std::vector<Rollbacks>& runs, std::size_t rule) {
  auto count = std::count_if(runs.begin(), runs.end(),
                             [&](const Rollbacks& r) { return r[rule].has_value(); });
  return static_cast<double>(count) / static_cast<double>(runs.size());
}

Delays delays(const std::vector<Rollbacks>& runs, std::size_t rule) {
  Delays all;
  for (const Rollbacks& r : runs) all.add(r[rule]);
  all.finish();
  return all;
}

std::string mean_worst(const std::vector<double>& rates) {
  OverCells over = over_cells(rates, 1);
  return table_percent(over.mean) + " / " + table_percent(over.worst);
}

/// Cells with traffic enough for a minute to have a rate.
std::vector<Scenario> cells() {
  std::vector<Scenario> all;
  for (double rps : {10.0, 100.0, 1000.0})
    for (double share : {0.05, 0.25})
      for (double base : {1e-3, 1e-2})
        all.push_back({.requests_per_second = rps, .canary_share = share, .base_error_rate = base});
  return all;
}

void with_pods(Scenario& s, Disturbance disturbance) {
  s.disturbance = disturbance;
  s.canary_pods = static_cast<std::size_t>(20 * s.canary_share);
  s.baseline_pods = 20 - s.canary_pods;
}

struct NamedDesign {
  const char* name;
  Change change;
  Disturbance disturbance;
};

void false_rollbacks(int runs, std::uint64_t seed) {
  const NamedDesign designs[] = {
      {"independent", {}, Disturbance::None},
      {"retry clumps", {}, Disturbance::RetryClumps},
      {"instances differ (0.3)", {}, Disturbance::PodLognormal30},
      {"one instance hiccups", {}, Disturbance::SinglePodBursts},
      {"all of it (mix)", {}, Disturbance::Mix},
  };
  std::string head = "| rule | expected |", line = "|---|---|";
  std::vector<std::string> rows = rules();
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const std::string promise = r == 0 ? "1%" : peers::all_peers()[r - 1].promise;
    rows[r] = fmt::format("| {} | {} |", rows[r], promise);
  }
  for (const NamedDesign& design : designs) {
    head += fmt::format(" {} |", design.name);
    line += "---|";
    std::vector<std::vector<double>> rates(rows.size());
    for (Scenario s : cells()) {
      if (design.disturbance != Disturbance::None) with_pods(s, design.disturbance);
      std::vector<Rollbacks> all = run_all(s, runs, mix_seed(seed, rates[0].size()));
      for (std::size_t r = 0; r < rows.size(); ++r) rates[r].push_back(rolled_back(all, r));
    }
    for (std::size_t r = 0; r < rows.size(); ++r) rows[r] += " " + mean_worst(rates[r]) + " |";
  }
  fmt::print("### False rollbacks in an hour, V2 = V1, mean / worst of 12 cells\n\n{}\n{}\n", head,
             line);
  for (const std::string& row : rows) fmt::print("{}\n", row);
}

void times_to_rollback(int runs, std::uint64_t seed) {
  const NamedDesign designs[] = {{"x2", {.ratio = 2}, Disturbance::None},
                                 {"x5", {.ratio = 5}, Disturbance::None},
                                 {"+1pp", {.added = 0.01}, Disturbance::None},
                                 {"+5pp", {.added = 0.05}, Disturbance::None}};
  std::vector<std::string> names = rules();
  std::string head = "| rps / share / base | effect |", line = "|---|---|";
  for (const std::string& name : names) {
    head += fmt::format(" {} |", name);
    line += "---|";
  }
  fmt::print("\n### Seconds to the rollback, median / p90 (never in the hour)\n\n{}\n{}\n", head,
             line);
  for (double share : {0.05, 0.25}) {
    for (double base : {1e-3, 1e-2}) {
      for (const NamedDesign& design : designs) {
        Cell cell{100, share, base};
        Scenario s = cell.scenario();
        s.change = design.change;
        std::vector<Rollbacks> all = run_all(s, runs, seed);
        std::string row = fmt::format("| {} | {} |", cell.name(), design.name);
        for (std::size_t r = 0; r < names.size(); ++r)
          row += " " + show_delays(delays(all, r)) + " |";
        fmt::print("{}\n", row);
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  int runs = argc > 1 ? std::atoi(argv[1]) : 300;
  std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  if (runs < 1) {
    fmt::print(stderr, "judge_table [RUNS [SEED]]: RUNS must be a number from 1 on (try 300)\n");
    return 2;
  }
  auto began = std::chrono::steady_clock::now();
  fmt::print(
      "{} canaries of an hour per cell, seed {}; every rule sees the same blocks, a scrape every "
      "5 s. davy in its default, robust mode. A rule that rolls back whatever it sees is fast, so "
      "read both tables. The threshold is an objective of 0.1 %: where V1 itself is there or "
      "above, it can only fail.\n\n",
      runs, seed);
  false_rollbacks(runs, seed);
  times_to_rollback(runs, seed);
  std::chrono::duration<double> taken = std::chrono::steady_clock::now() - began;
  fmt::print("\nPrinted by `./dev bench judge {} {}` in {:.0f} s.\n", runs, seed, taken.count());
  return 0;
}
