#include "simulate/tables.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <limits>

#include "simulate/limit.h"

namespace davy::simulate {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr double kAlpha = 0.01;           // level of the delay tables, for FAIL and WARN
constexpr double kShortest = 10;          // limits that are compared, seconds
constexpr double kLongest = 1800;         //
constexpr double kLateOnset = 1200;       //
constexpr double kLevelOfNotices = 0.05;  // of WARN and PASS, by default
constexpr double kPodHistory = 600;
// Shares of the runs that each part gets: rare events need many, medians and instances (which cost
// most) get fewer.
constexpr double kIidRuns = 0.5;
constexpr double kDelayRuns = 0.5;
constexpr double kDisturbedRuns = 0.5;  // false rollbacks of the robust mode
constexpr double kContrastRuns = 0.2;   // ... of the others
constexpr double kPowerRuns = 0.2;

enum class Mode { Robust, Iid };

struct NamedChange {
  const char* name;
  Change change;
};

constexpr NamedChange kEffects[] = {{"x2", {.ratio = 2}},
                                    {"x5", {.ratio = 5}},
                                    {"+1pp", {.added = 0.01}},
                                    {"+5pp", {.added = 0.05}}};

/// The default policy, and nothing between the evidence and the verdict.
config::Policy bare(Mode mode, const Scenario& scenario) {
  config::Policy policy = fitted(config::Policy{}, scenario);
  policy.traffic_share.reset();
  policy.min_stage = Duration::zero();
  policy.max_stage = std::chrono::hours(24);
  policy.robustness.on = mode == Mode::Robust;
  return policy;
}

Change edge(const config::Margin& margin) {
  return {.ratio = margin.ratio, .added = margin.absolute};
}

double ratio_to(std::optional<double> delay, double limit) {
  return delay ? *delay / limit : kNever;
}

std::string show_ratio(double ratio) {
  return std::isfinite(ratio) ? fmt::format("{:.2f}", ratio) : "never";
}

std::string show_seconds(std::optional<double> seconds) {
  return seconds ? fmt::format("{:.0f}", *seconds) : "-";
}

class Writer {
 public:
  Writer(const TableOptions& options, const std::function<void(const std::string&)>& progress)
      : options_(options), progress_(progress) {}

  std::string all() {
    false_verdicts();
    delays("2. From the onset to the verdict", "The effect begins with the canary.", 0);
    delays("3. Late onset",
           "The effect begins 20 min after the canary, which ends after an hour as above.",
           kLateOnset);
    disturbed();
    return out_;
  }

 private:
  template <typename... Values>
  void say(fmt::format_string<Values...> line, Values&&... values) {
    out_ += fmt::format(line, std::forward<Values>(values)...) + "\n";
  }

  int runs(double part) const {
    return std::max(1, static_cast<int>(std::lround(options_.runs * part)));
  }

  Report measure(const Scenario& scenario, const config::Policy& policy, Question question,
                 std::size_t cell, double part = 1) const {
    Experiment x{.scenario = scenario,
                 .policy = policy,
                 .question = question,
                 .runs = runs(part),
                 .seed = mix_seed(options_.seed, cell)};
    return report(x, simulate(x));
  }

  void false_verdicts();
  void delays(const char* title, const char* text, double onset);
  void disturbed();

  const TableOptions options_;
  const std::function<void(const std::string&)>& progress_;
  std::string out_;
};

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

void Writer::false_verdicts() {
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
    progress_(fmt::format("table 1, cell {} of {}", i + 1, cells.size()));
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
      Report same = measure(equal, telling, {.warn = true}, i, part);
      columns[column++].rates.push_back(same.false_rollbacks);
      columns[column++].rates.push_back(measure(tolerable, policy, {}, i, part).false_rollbacks);
      columns[column++].rates.push_back(same.false_warnings);
      columns[column++].rates.push_back(
          measure(intolerable, policy, {.stop_at_pass = true}, i, part).false_passes);
    }
  }

  say("## 1. False verdicts in an hour of independent requests\n");
  say("{} cells (requests per second 1, 10, 100, 1000 x share 1, 5, 25, 50 % x V1's error rate "
      "0.01, 0.1, 1 %), {} canaries each (mode iid: {}), judged every 5 s (720 looks). A rate "
      "of 1 % is known to +-{} (one standard error), one of 5 % to +-{}.\n",
      cells.size(), runs(1), runs(kIidRuns), table_percent(std::sqrt(0.01 * 0.99 / runs(1))),
      table_percent(std::sqrt(0.05 * 0.95 / runs(1))));
  say("| false | promised | mean | worst cell | cells above (by more than two standard errors) | "
      "worst at "
      "rps / share / base |");
  say("|---|---|---|---|---|---|");
  for (const Column& c : columns) {
    OverCells o = over_cells(c.rates, c.promised);
    bool iid = std::string_view(c.summary).ends_with("iid");
    say("| {} | {} | {} | {} | {} ({}) | {} |", c.summary, table_percent(c.promised),
        table_percent(o.mean), table_percent(o.worst), o.above,
        c.clearly_above(runs(iid ? kIidRuns : 1)), o.worst > 0 ? cells[o.worst_at].name() : "-");
  }
  std::string head = "\n| rps / share / base |", rule = "|---|";
  for (const Column& c : columns) {
    head += fmt::format(" {} |", c.head);
    rule += "---|";
  }
  say("{}\n{}", head, rule);
  for (std::size_t i = 0; i < cells.size(); ++i) {
    std::string row = "| " + cells[i].name() + " |";
    for (const Column& c : columns) row += " " + table_percent(c.rates[i]) + " |";
    say("{}", row);
  }
  say("");
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

void Writer::delays(const char* title, const char* text, double onset) {
  auto comparable = [](std::optional<double> limit) {
    return limit && *limit >= kShortest && *limit <= kLongest;
  };
  DelayColumn fail[] = {{"rollback (FAIL), robust", {}, {}}, {"rollback (FAIL), iid", {}, {}}};
  DelayColumn warn[] = {{"notice (WARN), robust", {}, {}}, {"notice (WARN), iid", {}, {}}};
  std::string rows;
  std::vector<Cell> cells = grid();
  for (std::size_t i = 0; i < cells.size(); ++i) {
    progress_(fmt::format("table {:.1}, cell {} of {}", title, i + 1, cells.size()));
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
        Report r =
            measure(scenario, policy, {.warn = ask_warn, .stop_at_warn = !ask_fail}, i, kDelayRuns);
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

  say("## {}\n", title);
  say("{} Effects x2, x5, +1 pp and +5 pp in the cells of table 1, all tests at 1 %, {} "
      "canaries each. The limit is the mean delay that no test with as few false alarms can "
      "beat; cells with limits from {:.0f} s to {:.0f} min count. A canary in which it is "
      "never found is infinitely late.\n",
      text, runs(kDelayRuns), kShortest, kLongest / 60);
  say("| verdict | cells | median delay / limit, median cell | 90 % cell | p90 / limit, median "
      "cell | never found, mean |");
  say("|---|---|---|---|---|---|");
  for (const DelayColumn* c : {&fail[0], &fail[1], &warn[0], &warn[1]}) {
    double count = static_cast<double>(std::max<std::size_t>(1, c->medians.size()));
    say("| {} | {} | {} | {} | {} | {} |", c->summary, c->medians.size(),
        show_ratio(cell_quantile(c->medians, 0.5)), show_ratio(cell_quantile(c->medians, 0.9)),
        show_ratio(cell_quantile(c->p90s, 0.5)), table_percent(c->misses / count));
  }
  say("\nSeconds from the onset, median / p90 (never found):\n");
  say("| rps / share / base | effect | limit FAIL | FAIL robust | FAIL iid | limit WARN | WARN "
      "robust | WARN iid |");
  say("|---|---|---|---|---|---|---|---|\n{}", rows);
}

// 4. Disturbances.

/// Twelve cells with 20 instances: 1, 5 or 10 of them the canary's.
std::vector<Scenario> pod_cells(Disturbance disturbance) {
  std::vector<Scenario> cells;
  for (double rps : {100.0, 1000.0}) {
    for (std::size_t canary : {1U, 5U, 10U}) {
      for (double base : {0.001, 0.01}) {
        cells.push_back({.requests_per_second = rps,
                         .canary_share = static_cast<double>(canary) / 20,
                         .base_error_rate = base,
                         .history = kPodHistory,
                         .baseline_pods = 20 - canary,
                         .canary_pods = canary,
                         .disturbance = disturbance});
      }
    }
  }
  return cells;
}

void Writer::disturbed() {
  say("## 4. When requests depend on each other\n");
  say("20 instances, 1, 5 or 10 of them V2's; 100 and 1000 requests per second; V1's error "
      "rate 0.1 and 1 %: 12 cells. False rollbacks (V2 = V1, promised 1 %): mean / worst cell, "
      "{} canaries each ({} in the other modes). Delays: median over the cells of the median "
      "seconds to the rollback (mean share never found in the hour), {} canaries each.\n",
      runs(kDisturbedRuns), runs(kContrastRuns), runs(kPowerRuns));
  say("| disturbance | false rollbacks, robust | noisy profile | iid | x2, robust | x3, robust |");
  say("|---|---|---|---|---|---|");
  for (const NamedDisturbance& d : disturbances()) {
    if (d.disturbance == Disturbance::LatencyDrift) continue;
    progress_(fmt::format("table 4, {}", d.name));
    std::vector<Scenario> cells = pod_cells(d.disturbance);
    std::vector<double> rates[3], medians[2];
    double misses[2] = {0, 0};
    for (std::size_t i = 0; i < cells.size(); ++i) {
      config::Policy robust = bare(Mode::Robust, cells[i]);
      config::Policy noisy = robust;
      noisy.robustness.sigma = 0.3;
      const config::Policy policies[] = {robust, noisy, bare(Mode::Iid, cells[i])};
      for (std::size_t p = 0; p < 3; ++p)
        rates[p].push_back(
            measure(cells[i], policies[p], {}, i, p == 0 ? kDisturbedRuns : kContrastRuns)
                .false_rollbacks);
      for (std::size_t e = 0; e < 2; ++e) {
        Scenario worse = cells[i];
        worse.change.ratio = e == 0 ? 2 : 3;
        Delays found = measure(worse, robust, {}, i, kPowerRuns).fail;
        medians[e].push_back(found.quantile(0.5).value_or(kNever));
        misses[e] += found.missed() / static_cast<double>(cells.size());
      }
    }
    auto alarms = [&](std::size_t p) {
      OverCells o = over_cells(rates[p], kAlpha);
      return table_percent(o.mean) + " / " + table_percent(o.worst);
    };
    auto power = [&](std::size_t e) {
      double middle = cell_quantile(medians[e], 0.5);
      return fmt::format("{} ({})", std::isfinite(middle) ? fmt::format("{:.0f}", middle) : "-",
                         table_percent(misses[e]));
    };
    say("| {} | {} | {} | {} | {} | {} |", d.name, alarms(0), alarms(1), alarms(2), power(0),
        power(1));
  }
  say("");
}

}  // namespace

Scenario Cell::scenario() const {
  return {
      .requests_per_second = requests_per_second, .canary_share = share, .base_error_rate = base};
}

std::string Cell::name() const {
  return fmt::format("{:g} / {:g}% / {:g}%", requests_per_second, share * 100, base * 100);
}

std::vector<Cell> grid() {
  std::vector<Cell> cells;
  for (double rps : {1.0, 10.0, 100.0, 1000.0})
    for (double share : {0.01, 0.05, 0.25, 0.5})
      for (double base : {1e-4, 1e-3, 1e-2}) cells.push_back({rps, share, base});
  return cells;
}

OverCells over_cells(const std::vector<double>& rates, double promised) {
  OverCells over;
  for (std::size_t i = 0; i < rates.size(); ++i) {
    over.mean += rates[i] / static_cast<double>(rates.size());
    if (rates[i] > over.worst) {
      over.worst = rates[i];
      over.worst_at = i;
    }
    if (rates[i] > promised * (1 + 1e-9)) ++over.above;
  }
  return over;
}

double cell_quantile(std::vector<double> values, double q) {
  if (values.empty()) return kNever;
  std::sort(values.begin(), values.end());
  double place = std::ceil(q * static_cast<double>(values.size())) - 1;
  return values[static_cast<std::size_t>(std::max(0.0, place))];
}

std::string show_delays(const Delays& delays) {
  std::string text =
      show_seconds(delays.quantile(0.5)) + " / " + show_seconds(delays.quantile(0.9));
  return delays.missed() > 0 ? text + " (" + table_percent(delays.missed()) + ")" : text;
}

std::string table_percent(double share) {
  double percent = share * 100;
  if (percent == 0) return "0%";
  return percent < 10 ? fmt::format("{:.2f}%", percent) : fmt::format("{:.0f}%", percent);
}

std::string tables(const TableOptions& options,
                   const std::function<void(const std::string&)>& progress) {
  return Writer(options, progress).all();
}

}  // namespace davy::simulate
