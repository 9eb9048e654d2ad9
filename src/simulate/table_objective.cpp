// Table 9: an absolute limit on V2's error rate.

#include "simulate/cells.h"
#include "simulate/table_writer.h"

namespace davy::simulate {
namespace {

constexpr double kFalseRuns = 0.5;
constexpr double kPowerRuns = 0.2;
constexpr double kObjective = 0.001;
constexpr double kGood = 0.0002;  // V1's error rate

/// Only the objective can roll back: any difference between the versions is tolerated.
config::Policy objective_only(const Scenario& scenario) {
  config::Policy policy = bare(Mode::Robust, scenario);
  policy.error_rate.max = kObjective;
  policy.error_rate.fail = policy.error_rate.pass = {1, 1};
  return policy;
}

}  // namespace

void table_objective(TableWriter& out) {
  out.say("## 9. Objective: at most 0.1 % errors\n");
  out.say(
      "V1 fails {} of its requests, V2 as told; differences between the versions are tolerated, so "
      "that only the objective can roll back. It has 0.2 of 0.65 of the weight beside them, as by "
      "default, which costs it 1.2 of 4.6 nats. At 0.05 and 0.1 % (the objective itself): false "
      "rollbacks, promised 1 %, {} canaries each. Above: median / p90 seconds to the rollback "
      "(never "
      "found), {} canaries each. Last: both versions fail 0.5 %, the default margins hold; "
      "rollbacks.\n",
      table_percent(kGood), out.runs(kFalseRuns), out.runs(kPowerRuns));
  out.say("| rps / share | 0.05% | 0.1% | 0.2% | 0.5% | 1% | both 0.5% |");
  out.say("|---|---|---|---|---|---|---|");
  std::size_t i = 0;
  for (double rps : {10.0, 100.0, 1000.0}) {
    for (double share : {0.05, 0.25}) {
      out.tell(fmt::format("table 9, cell {} of 6", ++i));
      auto with = [&](double base, double ratio) {
        return Scenario{.requests_per_second = rps,
                        .canary_share = share,
                        .base_error_rate = base,
                        .change = {.ratio = ratio}};
      };
      std::string row;
      for (double rate : {0.0005, 0.001, 0.002, 0.005, 0.01}) {
        Scenario s = with(kGood, rate / kGood);
        bool kept = rate <= kObjective;
        Report r = out.measure(s, objective_only(s), {}, i, kept ? kFalseRuns : kPowerRuns);
        row += " " + (kept ? table_percent(r.false_rollbacks) : show_delays(r.fail)) + " |";
      }
      Scenario both = with(0.005, 1);
      config::Policy policy = bare(Mode::Robust, both);
      policy.error_rate.max = kObjective;
      row += " " + table_percent(out.measure(both, policy, {}, i, kFalseRuns).failed) + " |";
      out.say("| {:g} / {:g}% |{}", rps, share * 100, row);
    }
  }
  out.say("");
}

}  // namespace davy::simulate
