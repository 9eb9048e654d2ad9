#include "simulate/table_writer.h"

#include <algorithm>
#include <cmath>

namespace davy::simulate {

config::Policy bare(Mode mode, const Scenario& scenario, const config::Policy& asked) {
  config::Policy policy = fitted(asked, scenario);
  policy.traffic_share.reset();
  policy.min_stage = Duration::zero();
  policy.max_stage = std::chrono::hours(24);
  policy.robustness.on = mode == Mode::Robust;
  return policy;
}

int TableWriter::runs(double part) const {
  return std::max(1, static_cast<int>(std::lround(options_.runs * part)));
}

Report TableWriter::measure(const Scenario& scenario, const config::Policy& policy,
                            Question question, std::size_t cell, double part) const {
  Experiment x{.scenario = scenario,
               .policy = policy,
               .question = question,
               .runs = runs(part),
               .seed = mix_seed(options_.seed, cell)};
  return report(x, simulate(x));
}

}  // namespace davy::simulate
