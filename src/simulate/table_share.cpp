// Table 8: does V2 get the share of the requests that it should?

#include "simulate/cells.h"
#include "simulate/table_writer.h"

namespace davy::simulate {
namespace {

constexpr double kPowerRuns = 0.3;
constexpr double kLost = 600;  // seconds into the canary, when V2 loses all requests

struct Case {
  const char* name;
  double requests_per_second;
  double share;
  double routed;
};
constexpr Case kCases[] = {
    {"5 % as configured", 100, 0.05, 0.05},        {"5 % as configured", 1000, 0.05, 0.05},
    {"25 % as configured", 100, 0.25, 0.25},       {"5.1 % instead of 5 %", 1000, 0.05, 0.051},
    {"6 % instead of 5 %", 100, 0.05, 0.06},       {"6 % instead of 5 %", 1000, 0.05, 0.06},
    {"3 % instead of 5 %", 100, 0.05, 0.03},       {"3 % instead of 5 %", 1000, 0.05, 0.03},
    {"none any more, after 10 min", 100, 0.05, 0},
};

}  // namespace

void table_share(TableWriter& out) {
  out.say("## 8. Traffic share\n");
  out.say(
      "Requests arrive one by one, or in bundles (connections that stick) that the policy knows "
      "of: "
      "`stickiness` 10, the default, for single requests and bundles of 10, and 50 for bundles of "
      "50; 10 in the last column, so not known of. Level 0.1 %, odds within 10 % tolerated, an "
      "hour. "
      "Share of runs that found a wrong share: {} runs where the share is tolerable, {} where it "
      "is "
      "not; in brackets the median seconds from when it is.\n",
      out.runs(1), out.runs(kPowerRuns));
  out.say("| V2's share | requests/s | single | bundles of 10 | bundles of 50 | of 50, unknown |");
  out.say("|---|---|---|---|---|---|");
  struct Bundles {
    double size, stickiness;
  };
  for (std::size_t i = 0; i < std::size(kCases); ++i) {
    const Case& c = kCases[i];
    out.tell(fmt::format("table 8, {}", c.name));
    bool tolerable = c.routed > c.share * 0.9 && c.routed < c.share * 1.1;
    std::string row;
    for (Bundles bundles : {Bundles{1, 10}, {10, 10}, {50, 50}, {50, 10}}) {
      Scenario s{.requests_per_second = c.requests_per_second,
                 .canary_share = c.share,
                 .onset = c.routed > 0 ? 0 : kLost,
                 .routed_share = c.routed,
                 .bundle = bundles.size};
      config::Policy policy = bare(Mode::Robust, s);
      policy.traffic_share = config::TrafficSharePolicy{.stickiness = bundles.stickiness};
      Report r =
          out.measure(s, policy, {.stop_at_wrong_share = true}, i, tolerable ? 1 : kPowerRuns);
      std::optional<double> half = r.share.quantile(0.5);
      row +=
          " " + table_percent(r.wrong_share) + (half ? fmt::format(" ({:.0f})", *half) : "") + " |";
    }
    out.say("| {} | {:g} |{}", c.name, c.requests_per_second, row);
  }
  out.say("");
}

}  // namespace davy::simulate
