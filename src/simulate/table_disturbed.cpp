// Table 4: errors when requests depend on each other.

#include "simulate/cells.h"
#include "simulate/table_writer.h"

namespace davy::simulate {
namespace {

// Parts of the runs: instances cost most.
constexpr double kDisturbedRuns = 0.5;  // false rollbacks of the robust mode
constexpr double kContrastRuns = 0.2;   // ... of the others
constexpr double kPowerRuns = 0.2;

}  // namespace

void table_disturbed(TableWriter& out) {
  out.say("## 4. When requests depend on each other\n");
  out.say(
      "20 instances, 1, 5 or 10 of them V2's; 100 and 1000 requests per second; V1's error "
      "rate 0.1 and 1 %: 12 cells. False rollbacks (V2 = V1, promised 1 %): mean / worst cell, "
      "{} canaries each ({} in the other modes). Delays: median over the cells of the median "
      "seconds to the rollback (mean share never found in the hour), {} canaries each.\n",
      out.runs(kDisturbedRuns), out.runs(kContrastRuns), out.runs(kPowerRuns));
  out.say(
      "| disturbance | false rollbacks, robust | noisy profile | iid | x2, robust | x3, robust |");
  out.say("|---|---|---|---|---|---|");
  for (const NamedDisturbance& d : disturbances()) {
    if (is_of_latency(d.disturbance)) continue;
    out.tell(fmt::format("table 4, {}", d.name));
    std::vector<Scenario> cells = pod_cells(d.disturbance);
    std::vector<double> rates[3];
    CellDelays found[2];
    for (std::size_t i = 0; i < cells.size(); ++i) {
      config::Policy robust = bare(Mode::Robust, cells[i]);
      config::Policy noisy = robust;
      noisy.robustness.sigma = 0.3;
      const config::Policy policies[] = {robust, noisy, bare(Mode::Iid, cells[i])};
      for (std::size_t p = 0; p < 3; ++p)
        rates[p].push_back(
            out.measure(cells[i], policies[p], {}, i, p == 0 ? kDisturbedRuns : kContrastRuns)
                .false_rollbacks);
      for (std::size_t e = 0; e < 2; ++e) {
        Scenario worse = cells[i];
        worse.change.ratio = e == 0 ? 2 : 3;
        found[e].add(out.measure(worse, robust, {}, i, kPowerRuns).fail);
      }
    }
    out.say("| {} | {} | {} | {} | {} | {} |", d.name, show_over_cells(rates[0]),
            show_over_cells(rates[1]), show_over_cells(rates[2]), found[0].show(), found[1].show());
  }
  out.say("");
}

}  // namespace davy::simulate
