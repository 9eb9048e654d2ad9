// Table 6: the deployment's own metrics, as gauges.

#include "simulate/cells.h"
#include "simulate/table_writer.h"

namespace davy::simulate {
namespace {

constexpr double kPowerRuns = 0.3;
constexpr double kTolerated = 1.2;
constexpr double kLateOnset = 1200;

struct Noise {
  const char* name;
  GaugeShape gauge;
};
const Noise kNoises[] = {
    {"normal, 2 %", {.sd = 0.02}},
    {"normal, 10 %", {.sd = 0.1}},
    {"normal, 30 %", {.sd = 0.3}},
    {"Student t (3), 10 %", {.sd = 0.1, .heavy_tails = true}},
    {"AR(1) 0.8, 10 %", {.sd = 0.1, .keep = 0.8}},
    {"AR(1) 0.95, 10 %", {.sd = 0.1, .keep = 0.95}},
    {"normal, 10 %, both double", {.sd = 0.1, .rise = 1}},
};

/// Nothing but the gauge is judged: errors are muted.
config::Policy gauge_only(const Scenario& scenario, config::Effect severity) {
  config::Policy asked;
  asked.metrics.push_back({.series = {.name = GaugeShape::kName},
                           .fail = {kTolerated, 0},
                           .standing = {.severity = severity}});
  config::Policy policy = bare(Mode::Robust, scenario, asked);
  policy.error_rate.standing.muted = true;
  return policy;
}

}  // namespace

void table_values(TableWriter& out) {
  using config::Effect;
  out.say("## 6. Own metrics\n");
  out.say(
      "A gauge read every 5 s, tolerated up to 1.2 times V1's, judged alone for an hour. Each "
      "version has noise of its own, told as the standard deviation of one value. False rollbacks "
      "(severity rollback, 1 %), holds and passes (5 %) when V2 lies exactly on 1.2, and false "
      "holds "
      "when V2 = V1: {} runs each. Seconds to the rollback, median / p90 (never found), and from a "
      "step to x1.5 after 20 min: {} runs each.\n",
      out.runs(1), out.runs(kPowerRuns));
  out.say(
      "| noise | rollback at x1.2 | hold at x1.2 | pass at x1.2 | hold at x1 | x1.3 | x1.5 | x2 | "
      "x1.5 after 20 min |");
  out.say("|---|---|---|---|---|---|---|---|---|");
  for (const Noise& noise : kNoises) {
    out.tell(fmt::format("table 6, {}", noise.name));
    auto at = [&](double ratio) {
      Scenario s{.requests_per_second = 20, .canary_share = 0.5, .gauge = noise.gauge};
      s.gauge->ratio = ratio;
      return s;
    };
    Scenario edge = at(kTolerated), equal = at(1);
    config::Policy fails = gauge_only(edge, Effect::Rollback);
    config::Policy holds = gauge_only(edge, Effect::Hold);
    double rollback = out.measure(edge, fails, {}, 1).false_rollbacks;
    double hold = out.measure(edge, holds, {.stop_at_hold = true}, 1).marginal;
    double pass = out.measure(edge, holds, {.stop_at_pass = true}, 1).false_passes;
    double equal_hold = out.measure(equal, holds, {.stop_at_hold = true}, 1).marginal;
    std::string row;
    for (double ratio : {1.3, 1.5, 2.0})
      row += " " + show_delays(out.measure(at(ratio), fails, {}, 1, kPowerRuns).fail) + " |";
    Scenario late = at(1.5);
    late.onset = kLateOnset;
    row += " " + show_delays(out.measure(late, fails, {}, 1, kPowerRuns).fail) + " |";
    out.say("| {} | {} | {} | {} | {} |{}", noise.name, table_percent(rollback),
            table_percent(hold), table_percent(pass), table_percent(equal_hold), row);
  }
  out.say("");
}

}  // namespace davy::simulate
