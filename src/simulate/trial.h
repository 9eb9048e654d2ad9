// Trials: many canaries of one scenario, each judged as the agent would judge it.
//
// Why: "at most 1 % false rollbacks" is a claim that anyone should be able to check on their own
// traffic, their own margins and their own kind of noise.
// Shapes: seconds count from the canary's first request; delays from the onset of the change.
// Threading: simulate() runs at most two threads of its own and joins them; what it returns depends
// on the scenario, the policy and the seed only, not on the threads. Failure: none.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "config/policy.h"
#include "simulate/traffic.h"

namespace davy::simulate {

/// When a trial may end early, and what it need not look at. A FAIL always ends it.
struct Question {
  bool warn = false;  // also note when the error rate is found worse at all
  bool stop_at_warn = false;
  bool stop_at_pass = false;
  bool stop_at_hold = false;
  bool stop_at_wrong_share = false;
  bool noise = false;   // also note what the A/A period taught
  bool coarse = false;  // ... and how many quantiles' bounds were too coarse to gate, at the end
};

/// When each thing first happened, if it did.
struct Trial {
  std::optional<double> fail;
  std::optional<double> warn;  // at the latest with the FAIL
  std::optional<double> pass;
  std::optional<double> marginal;
  std::optional<double>
      wrong_share;    // V2 found to get another share of the requests than it should
  double coarse = 0;  // share of the quantiles
  double noise = 0;   // learned of the error rate: sd of a minute's log ratio
};

struct Experiment {
  Scenario scenario;
  config::Policy policy;
  Question question{};
  int runs = 1000;
  std::uint64_t seed = 1;
  int threads = 2;
};

/// The policy as it acts on made-up traffic: metrics that the scenario has nothing of are left out,
/// so that they do not weigh.
config::Policy fitted(config::Policy policy, const Scenario& scenario);

Trial run_trial(const Experiment& experiment, std::uint64_t index);

/// `progress` is called now and then in the caller's thread with the number of trials done.
std::vector<Trial> simulate(const Experiment& experiment,
                            const std::function<void(int)>& progress = {});

}  // namespace davy::simulate
