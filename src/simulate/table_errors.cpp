// Tables 1 to 3: the error rate of independent requests.

#include <algorithm>
#include <cmath>
#include <limits>

#include "simulate/cells.h"
#include "simulate/limit.h"
#include "simulate/table_writer.h"

namespace davy::simulate {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr double kAlpha = 0.01;           // level of the delay tables, for FAIL and WARN
constexpr double kShortest = 10;          // limits that are compared, seconds
constexpr double kLongest = 1800;         //
constexpr double kLateOnset = 1200;       //
constexpr double kLevelOfNotices = 0.05;  // of WARN and PASS, by default
// Parts of the runs: rare events need many, medians fewer.
constexpr double kIidRuns = 0.5;
constexpr double kDelayRuns = 0.5;

struct NamedChange {
  const char* name;
  Change change;
};

constexpr NamedChange kEffects[] = {{"x2", {.ratio = 2}},
                                    {"x5", {.ratio = 5}},
                                    {"+1pp", {.added = 0.01}},
                                    {"+5pp", {.added = 0.05}}};

Change edge(const config::Margin& margin) {
  return {.ratio = margin.ratio, .added = margin.absolute};
}

double ratio_to(std::optional<double> delay, double limit) {
  return delay ? *delay / limit : kNever;
}

std::string show_ratio(double ratio) {
  return std::isfinite(ratio) ? fmt::format("{:.2f}", ratio) : "never";
}

// 1. False verdicts.

/// One column: what must not happen, how often it did in every cell.
struct Column {
  const char* summary;
  const char* head;
  double promised;
  std::vector<double> rates;

  /// Cells beyond the promise by more than two standard errors: chance alone makes one in 40.
  int clearly_above(int runs) const {
    double error = std::sqrt(promised * (1 - promised) / runs);
    return static_cast<int>(std::count_if(
        rates.begin(), rates.end(), [&](double rate) { return rate > promised + 2 * error; }));
  }
};

void false_verdicts(TableWriter& out) {
  std::vector<Cell> cells = grid();
  std::vector<Column> columns{
      {"rollback, V2 = V1, robust", "FAIL", kAlpha, {}},
      {"rollback, V2 on FAIL's margin, robust", "FAIL margin", kAlpha, {}},
      {"notice (WARN), V2 = V1, robust", "WARN", kLevelOfNotices, {}},
      {"pass, V2 on PASS's margin, robust", "PASS margin", kLevelOfNotices, {}},
      {"rollback, V2 = V1, iid", "FAIL iid", kAlpha, {}},
      {"rollback, V2 on FAIL's margin, iid", "FAIL margin iid", kAlpha, {}},
      {"notice (WARN), V2 = V1, iid", "WARN iid", kLevelOfNotices, {}},
      {"pass, V2 on PASS's margin, iid", "PASS margin iid", kLevelOfNotices, {}},
  };
  for (std::size_t i = 0; i < cells.size(); ++i) {
    out.tell(fmt::format("table 1, cell {} of {}", i + 1, cells.size()));
    std::size_t column = 0;
    for (Mode mode : {Mode::Robust, Mode::Iid}) {
      Scenario equal = cells[i].scenario();
      config::Policy policy = bare(mode, equal);
      Scenario tolerable = equal;
      tolerable.change = edge(policy.error_rate.fail);
      Scenario intolerable = equal;
      intolerable.change = edge(policy.error_rate.pass);
      double part = mode == Mode::Robust ? 1 : kIidRuns;
      config::Policy telling = policy;
      telling.hold_on_warn = true;
      Report same = out.measure(equal, telling, {.warn = true}, i, part);
      columns[column++].rates.push_back(same.false_rollbacks);
      columns[column++].rates.push_back(
          out.measure(tolerable, policy, {}, i, part).false_rollbacks);
      columns[column++].rates.push_back(same.false_warnings);
      columns[column++].rates.push_back(
          out.measure(intolerable, policy, {.stop_at_pass = true}, i, part).false_passes);
    }
  }

  out.say("## 1. False verdicts in an hour of independent requests\n");
  out.say(
      "{} cells (requests per second 1, 10, 100, 1000 x share 1, 5, 25, 50 % x V1's error rate "
      "0.01, 0.1, 1 %), {} canaries each (mode iid: {}), judged every 5 s (720 looks). A rate "
      "of 1 % is known to +-{} (one standard error), one of 5 % to +-{}.\n",
      cells.size(), out.runs(1), out.runs(kIidRuns),
      table_percent(std::sqrt(0.01 * 0.99 / out.runs(1))),
      table_percent(std::sqrt(0.05 * 0.95 / out.runs(1))));
  out.say(
      "| false | promised | mean | worst cell | cells above (by more than two standard errors) | "
      "worst at "
      "rps / share / base |");
  out.say("|---|---|---|---|---|---|");
  for (const Column& c : columns) {
    OverCells o = over_cells(c.rates, c.promised);
    bool iid = std::string_view(c.summary).ends_with("iid");
    out.say("| {} | {} | {} | {} | {} ({}) | {} |", c.summary, table_percent(c.promised),
            table_percent(o.mean), table_percent(o.worst), o.above,
            c.clearly_above(out.runs(iid ? kIidRuns : 1)),
            o.worst > 0 ? cells[o.worst_at].name() : "-");
  }
  std::string head = "\n| rps / share / base |", rule = "|---|";
  for (const Column& c : columns) {
    head += fmt::format(" {} |", c.head);
    rule += "---|";
  }
  out.say("{}\n{}", head, rule);
  for (std::size_t i = 0; i < cells.size(); ++i) {
    std::string row = "| " + cells[i].name() + " |";
    for (const Column& c : columns) row += " " + table_percent(c.rates[i]) + " |";
    out.say("{}", row);
  }
  out.say("");
}

// 2, 3. Delays.

/// Over the cells whose limit is comparable: how many times the limit a kind of verdict takes.
struct DelayColumn {
  const char* summary;
  std::vector<double> medians, p90s;  // in limits
  double misses = 0;

  void add(const Delays& delays, double limit) {
    medians.push_back(ratio_to(delays.quantile(0.5), limit));
    p90s.push_back(ratio_to(delays.quantile(0.9), limit));
    misses += delays.missed();
  }
};

void delays(TableWriter& out, const char* title, const char* text, double onset) {
  auto comparable = [](std::optional<double> limit) {
    return limit && *limit >= kShortest && *limit <= kLongest;
  };
  DelayColumn fail[] = {{"rollback (FAIL), robust", {}, {}}, {"rollback (FAIL), iid", {}, {}}};
  DelayColumn warn[] = {{"notice (WARN), robust", {}, {}}, {"notice (WARN), iid", {}, {}}};
  std::string rows;
  std::vector<Cell> cells = grid();
  for (std::size_t i = 0; i < cells.size(); ++i) {
    out.tell(fmt::format("table {:.1}, cell {} of {}", title, i + 1, cells.size()));
    for (const NamedChange& effect : kEffects) {
      Scenario scenario = cells[i].scenario();
      scenario.change = effect.change;
      scenario.onset = onset;
      std::string found[4];
      Report truth;  // limits are the same in both modes
      for (Mode mode : {Mode::Robust, Mode::Iid}) {
        config::Policy policy = bare(mode, scenario);
        policy.false_hold = kAlpha;
        policy.hold_on_warn = true;
        truth = report({.scenario = scenario, .policy = policy}, {});
        bool ask_fail = comparable(truth.fail_limit);
        bool ask_warn = comparable(truth.warn_limit);
        if (!ask_fail && !ask_warn) continue;
        Report r = out.measure(scenario, policy, {.warn = ask_warn, .stop_at_warn = !ask_fail}, i,
                               kDelayRuns);
        std::size_t m = mode == Mode::Robust ? 0 : 1;
        if (ask_fail) fail[m].add(r.fail, *r.fail_limit);
        if (ask_warn) warn[m].add(r.warn, *r.warn_limit);
        found[m] = ask_fail ? show_delays(r.fail) : "";
        found[2 + m] = ask_warn ? show_delays(r.warn) : "";
      }
      if (found[0].empty() && found[2].empty()) continue;
      auto limit = [&](std::optional<double> seconds) {
        if (!seconds) return std::string("-");
        return *seconds < 100 ? fmt::format("{:.1f}", *seconds) : fmt::format("{:.0f}", *seconds);
      };
      rows += fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} |\n", cells[i].name(),
                          effect.name, limit(truth.fail_limit), found[0], found[1],
                          limit(truth.warn_limit), found[2], found[3]);
    }
  }

  out.say("## {}\n", title);
  out.say(
      "{} Effects x2, x5, +1 pp and +5 pp in the cells of table 1, all tests at 1 %, {} "
      "canaries each. The limit is the mean delay that no test with as few false alarms can "
      "beat; cells with limits from {:.0f} s to {:.0f} min count. A canary in which it is "
      "never found is infinitely late.\n",
      text, out.runs(kDelayRuns), kShortest, kLongest / 60);
  out.say(
      "| verdict | cells | median delay / limit, median cell | 90 % cell | p90 / limit, median "
      "cell | never found, mean |");
  out.say("|---|---|---|---|---|---|");
  for (const DelayColumn* c : {&fail[0], &fail[1], &warn[0], &warn[1]}) {
    double count = static_cast<double>(std::max<std::size_t>(1, c->medians.size()));
    out.say("| {} | {} | {} | {} | {} | {} |", c->summary, c->medians.size(),
            show_ratio(cell_quantile(c->medians, 0.5)), show_ratio(cell_quantile(c->medians, 0.9)),
            show_ratio(cell_quantile(c->p90s, 0.5)), table_percent(c->misses / count));
  }
  out.say("\nSeconds from the onset, median / p90 (never found):\n");
  out.say(
      "| rps / share / base | effect | limit FAIL | FAIL robust | FAIL iid | limit WARN | WARN "
      "robust | WARN iid |");
  out.say("|---|---|---|---|---|---|---|---|\n{}", rows);
}

}  // namespace

void table_errors(TableWriter& out) {
  false_verdicts(out);
  delays(out, "2. From the onset to the verdict", "The effect begins with the canary.", 0);
  delays(out, "3. Late onset",
         "The effect begins 20 min after the canary, which ends after an hour as above.",
         kLateOnset);
}

}  // namespace davy::simulate
