// Table 5: noise that no canary can tell from a fault, learned in an A/A period.

#include "simulate/cells.h"
#include "simulate/table_writer.h"

namespace davy::simulate {
namespace {

constexpr double kFalseRuns = 0.2;
constexpr double kPowerRuns = 0.1;

struct Setting {
  const char* name;
  Duration aa_period;
  double sigma;
};
const Setting kSettings[] = {{"none", Duration::zero(), 0.15},
                             {"10 min", std::chrono::minutes(10), 0.15},
                             {"20 min", std::chrono::minutes(20), 0.15},
                             {"none, profile noisy", Duration::zero(), 0.3}};

}  // namespace

void table_noise(TableWriter& out) {
  out.say("## 5. Noise learned in an A/A period\n");
  out.say(
      "The cells of table 4. Each version's error rate wanders by itself (log sd 0.1 or 0.3, "
      "correlated over 60 s), or does not. The canary is preceded by an A/A period in which V2 is "
      "V1 but for its own wandering. False rollbacks (V2 = V1, promised 1 %): mean / worst cell, "
      "{} "
      "canaries each. Learned: median over cells of the median learned sd of a minute's log rate "
      "ratio. Delays: median over the cells of the median seconds to the rollback (mean share "
      "never "
      "found), {} canaries each.\n",
      out.runs(kFalseRuns), out.runs(kPowerRuns));
  out.say("| noise | A/A period | false rollbacks | learned | x2 | x3 | x5 |");
  out.say("|---|---|---|---|---|---|---|");
  for (Disturbance d :
       {Disturbance::None, Disturbance::VersionDrift10, Disturbance::VersionDrift30}) {
    const char* noise = d == Disturbance::None             ? "none"
                        : d == Disturbance::VersionDrift10 ? "0.1"
                                                           : "0.3";
    for (const Setting& setting : kSettings) {
      out.tell(fmt::format("table 5, noise {}, A/A period {}", noise, setting.name));
      std::vector<Scenario> cells = pod_cells(d);
      std::vector<double> rates, learned;
      CellDelays found[3];
      for (std::size_t i = 0; i < cells.size(); ++i) {
        Scenario equal = cells[i];
        equal.aa_period = seconds(setting.aa_period);
        config::Policy policy = bare(Mode::Robust, equal);
        policy.aa_period = setting.aa_period;
        policy.robustness.sigma = setting.sigma;
        Report same = out.measure(equal, policy, {.noise = true}, i, kFalseRuns);
        rates.push_back(same.false_rollbacks);
        learned.push_back(same.noise);
        for (std::size_t e = 0; e < 3; ++e) {
          Scenario worse = equal;
          worse.change.ratio = e == 0 ? 2 : e == 1 ? 3 : 5;
          found[e].add(out.measure(worse, policy, {}, i, kPowerRuns).fail);
        }
      }
      out.say("| {} | {} | {} | {:.2f} | {} | {} | {} |", noise, setting.name,
              show_over_cells(rates), cell_quantile(learned, 0.5), found[0].show(), found[1].show(),
              found[2].show());
    }
  }
  out.say("");
}

}  // namespace davy::simulate
