#include "canary/forecast.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>

#include "base/units.h"
#include "canary/judge.h"
#include "canary/latency.h"
#include "canary/objective.h"
#include "canary/own_metric.h"
#include "davy/sequential.h"
#include "stats/robust.h"

namespace davy::canary {
namespace {

using Kind = stats::Null::Kind;

constexpr double kDay = 86400;
constexpr double kHighestBoundary = 0.9;  // the tests go no higher
constexpr double kPoints = 0.05;
constexpr double kEvenSplit = 0.5;  // without stages
// What not knowing the fault costs: 0.6 is staked at first, spread over ten effect sizes, of which
// about two are near enough to any fault.
constexpr double kFirstStake = 0.6;
constexpr double kSizes = 5;
// Requests' times are taken for lognormal with this spread (of the logarithm) to say how many fewer
// exceed 1.2 times a threshold.
constexpr double kSpread = 0.5;
// What V1's history amounts to, as it is forgotten exponentially.
constexpr double kHistorySeconds = kHistoryHalfLife / 0.693147;

/// Both versions' requests in a second, with what fails of them.
stats::Sample per_second(double n, double share, double p1, double p2) {
  double n1 = n * (1 - share);
  double n2 = n * share;
  return {n1, n1 * p1, n2, n2 * p2};
}

/// Nats per second that count: after the noise floor and the cap.
double tempered(double growth, const stats::Sample& s, const stats::Robustness& robust) {
  if (!robust.on) return growth;
  stats::InformationRate information;
  information.see(s, 1, 1);
  double floor = 1 + robust.sigma * robust.sigma * information.per_minute();
  return std::min(growth / floor, robust.cap_per_second);
}

std::optional<double> within_a_day(double seconds) {
  return seconds <= kDay ? std::optional(seconds) : std::nullopt;  // also false for not-a-number
}

/// Of one test, for a V2 like V1. `equal` = V2's rate where the test looks.
double pass_seconds(const config::Policy& policy, const stats::Null& null, const stats::Sample& s,
                    double p1, double equal) {
  double growth = stats::NotWorseTest(null).growth(s, p1, equal);
  growth = tempered(growth, s, policy.robustness);
  return growth > 0 ? std::log(1 / policy.false_promote) / growth : INFINITY;
}

/// The share of a lognormal's tail above (1 + tolerance) times the point that `u` lies above.
double tail_beyond(double u, double tolerance) {
  auto above = [](double z) { return 0.5 * std::erfc(z / std::sqrt(2.0)); };
  double low = -10;
  double high = 10;
  for (int i = 0; i < 60; ++i) {
    double middle = (low + high) / 2;
    (above(middle) > u ? low : high) = middle;
  }
  return above(low + std::log1p(tolerance) / kSpread);
}

double rollback_seconds(const config::Policy& policy, double weight, const stats::Sample& s,
                        double p1) {
  stats::WorseTest test(linear(policy.error_rate.fail));
  double growth = 0;
  for (const stats::Bet& bet : test.bets(s.n1, s.n2, p1)) growth = std::max(growth, bet.log_e(s));
  growth = tempered(growth, s, policy.robustness);
  if (weight <= 0 || growth <= 0) return INFINITY;
  return std::log(kSizes / (policy.false_rollback * weight * kFirstStake)) / growth;
}

bool starts_with_latency(const MetricVerdict& m) {
  return m.name.starts_with("latency_");
}

/// Whether a pass waits for it.
bool gates(const MetricVerdict& m, bool latency) {
  bool counts = m.effect == "hold" || m.effect == "rollback";
  return counts && m.name != "restarts" && (latency || !starts_with_latency(m));
}

/// Every metric of the policy with its weight and effect, before it has seen anything.
std::vector<MetricVerdict> metrics_of(const config::Policy& policy) {
  return Judge(policy, {}).verdict().metrics;
}

/// As exact as an estimate may look: "25s", "6m", "2h30m".
std::string show(double seconds) {
  double step = seconds < 120 ? 5 : seconds < 7200 ? 60 : 600;
  return units::show(std::chrono::seconds(std::llround(std::ceil(seconds / step) * step)));
}

/// "twice the errors are rolled back in about 25m", "... are not rolled back within a day"
std::string say(const std::string& who, const std::string& does, const std::string& does_not,
                const std::optional<double>& seconds) {
  return seconds ? fmt::format("{} {} in about {}", who, does, show(*seconds))
                 : fmt::format("{} {} within a day", who, does_not);
}

bool has_latency(const config::Deployment& d) {
  bool others_count = d.source != nullptr && !d.source->reads_series;  // then they know
  return d.policy.latency && (others_count || !d.requests.histogram.empty());
}

/// The stages with V1 beside V2.
std::vector<double> compared_stages(const config::Deployment& d) {
  if (d.stages.empty()) return {kEvenSplit};
  std::vector<double> all;
  for (double share : d.stages) {
    if (share < 1) all.push_back(share);
  }
  return all;
}

std::string traffic_words(const config::Expected& traffic, double share) {
  return fmt::format("{:g} requests/s and {}", traffic.requests_per_second,
                     units::show_ratio(share));
}

/// What the effects of its metrics make impossible.
void doubt_effects(const config::Deployment& d, std::vector<std::string>& out) {
  std::vector<MetricVerdict> metrics = metrics_of(d.policy);
  if (std::all_of(metrics.begin(), metrics.end(), [](const auto& m) { return m.muted; })) {
    out.emplace_back("every metric is muted: nothing is judged (take `muted` away from one)");
    return;
  }
  bool any_gates = std::any_of(metrics.begin(), metrics.end(),
                               [&](const auto& m) { return gates(m, has_latency(d)); });
  if (!any_gates) {
    out.emplace_back(
        "nothing can ever pass: no metric that could prove V2 good may hold or roll back (give one "
        "`trust: hold` or `enforce`)");
  }
  bool any_rolls_back = std::any_of(metrics.begin(), metrics.end(),
                                    [](const auto& m) { return m.effect == "rollback"; });
  if (!any_rolls_back) {
    out.emplace_back(
        "nothing may roll back: every metric only holds, advises or is muted (meant so? else "
        "`severity: rollback` and `trust: enforce`)");
  }
}

/// Margins that allow nearly everything.
void doubt_margins(const config::Deployment& d, std::vector<std::string>& out) {
  double p1 = d.expect ? d.expect->error_rate : 0;
  const config::ErrorRatePolicy& errors = d.policy.error_rate;
  auto doubt = [&](const char* what, const config::Margin& m, const char* so) {
    double edge = m.ratio * p1 + m.absolute;
    if (edge > kHighestBoundary) {
      out.push_back(fmt::format("error_rate: {} tolerates {} of requests failing: {}", what,
                                units::show_ratio(std::min(1.0, edge)), so));
    }
  };
  doubt("max_increase", errors.fail, "that is never proven to be exceeded (less than 90%)");
  doubt("pass_increase", errors.pass, "a pass says nothing then (less than 90%)");
}

/// Time that is too short for any traffic.
void doubt_times(const config::Deployment& d, std::vector<std::string>& out) {
  const config::Policy& p = d.policy;
  double most = p.robustness.cap_per_second * seconds(p.max_stage);
  auto doubt = [&](double level, const char* what, const char* key) {
    double limit = std::log(1 / level);
    if (!p.robustness.on || most >= limit) return;
    out.push_back(fmt::format(
        "nothing {} within max_stage, {}: {:g} nats a second count at most, and {} = {} needs "
        "{:.1f} (max_stage of {} at least)",
        what, units::show(p.max_stage), p.robustness.cap_per_second, key, units::show_ratio(level),
        limit,
        units::show(
            std::chrono::seconds(std::llround(std::ceil(limit / p.robustness.cap_per_second))))));
  };
  doubt(p.false_rollback, "is rolled back", "false_rollback");
  doubt(p.false_promote, "passes", "false_promote");
  if (has_latency(d) && kBlindWarmUp * seconds(p.warm_up) >= seconds(p.max_stage)) {
    out.push_back(fmt::format(
        "latency is never judged where instances' ages are not known: warm_up, {}, and half as "
        "much again is not less than max_stage, {}",
        units::show(p.warm_up), units::show(p.max_stage)));
  }
}

/// Quantiles beyond what V1 shows in the time that is remembered.
void doubt_quantiles(const config::Deployment& d, std::vector<std::string>& out) {
  if (!has_latency(d) || !d.expect) return;
  std::vector<double> stages = compared_stages(d);
  if (stages.empty()) return;
  double n1 = d.expect->requests_per_second * (1 - stages.back());
  for (double q : d.policy.latency->quantiles) {
    double above = n1 * kHistorySeconds * (1 - q);
    if (above >= kFewestAbove) continue;
    out.push_back(fmt::format(
        "p{:g} is finer than the traffic shows: at {} V1 has about {:.2g} requests above it in the "
        "minutes that are remembered, and {:g} are needed; a pass waits for it all the same (leave "
        "it out of `quantiles`)",
        q * 100, traffic_words(*d.expect, stages.back()), above, kFewestAbove));
  }
}

/// Stages that end before they can decide.
void doubt_stages(const config::Deployment& d, std::vector<std::string>& out) {
  if (!d.expect) return;
  const config::Policy& p = d.policy;
  if (p.error_rate.max && d.expect->error_rate >= *p.error_rate.max) {
    out.push_back(
        fmt::format("error_rate: max: the objective, {}, is not above the expected error "
                    "rate, {}: V1 would miss it, too",
                    units::show_ratio(*p.error_rate.max), units::show_ratio(d.expect->error_rate)));
  }
  double longest = seconds(p.max_stage);
  bool any_found = false;
  bool any_rolls_back = false;
  std::optional<double> soonest;
  for (double share : compared_stages(d)) {
    Forecast f = forecast(p, *d.expect, share, has_latency(d));
    if (!f.slowest.empty() && (!f.pass || *f.pass > longest)) {
      out.push_back(fmt::format(
          "a good canary does not pass: at {} the {} needs {}, max_stage is {} (raise max_stage, "
          "the share, or pass_increase)",
          traffic_words(*d.expect, share), f.slowest, f.pass ? show(*f.pass) : "more than a day",
          units::show(p.max_stage)));
    }
    for (const MetricVerdict& m : metrics_of(p))
      any_rolls_back = any_rolls_back || (m.name == "error_rate" && m.effect == "rollback");
    for (std::optional<double> found : {f.fivefold, f.points}) {
      if (found) soonest = std::min(soonest.value_or(kDay), *found);
      any_found = any_found || (found && *found <= longest);
    }
  }
  if (any_rolls_back && !any_found && !compared_stages(d).empty()) {
    out.push_back(fmt::format(
        "no error regression is found within a stage: at {:g} requests/s five times the errors, or "
        "5 points more, need {}, max_stage is {} (raise max_stage or the share, or tighten "
        "max_increase)",
        d.expect->requests_per_second, soonest ? show(*soonest) : "more than a day",
        units::show(p.max_stage)));
  }
}

}  // namespace

Forecast forecast(const config::Policy& policy, const config::Expected& traffic, double share,
                  bool latency) {
  double n = traffic.requests_per_second;
  double p1 = traffic.error_rate;
  stats::Sample same = per_second(n, share, p1, p1);
  double longest = seconds(policy.min_stage);
  Forecast out;
  auto wait = [&](const MetricVerdict& m, double needed) {
    if (needed <= longest && !out.slowest.empty()) return;
    longest = std::max(longest, needed);
    out.slowest = m.title;
  };
  double error_weight = 0;
  std::size_t quantile = 0;
  for (const MetricVerdict& m : metrics_of(policy)) {
    if (m.name == "error_rate" && m.effect == "rollback") error_weight = m.weight;
    bool is_quantile = starts_with_latency(m) && !m.objective;
    double u = is_quantile ? 1 - policy.latency->quantiles[quantile++] : 0;
    if (!gates(m, latency)) continue;
    if (m.name == "error_rate") {
      wait(m, pass_seconds(policy, linear(policy.error_rate.pass), same, p1, p1));
    } else if (is_quantile) {
      double equal = tail_beyond(u, policy.latency->pass_increase);
      bool shows = n * (1 - share) * kHistorySeconds * u >= kFewestAbove;
      double judged =
          pass_seconds(policy, {.kind = Kind::Equal}, per_second(n, share, u, equal), u, equal);
      wait(m, shows ? kBlindWarmUp * seconds(policy.warm_up) + judged : INFINITY);
    } else if (m.objective) {
      // Of a latency objective nothing is known: a V2 that keeps it by half is assumed.
      double usual = starts_with_latency(m) ? *m.objective / 2 : p1;
      stats::Null null = Objective::pass_null(*m.objective);
      stats::Sample s{0, 0, n * share, n * share * usual};
      wait(m, pass_seconds(policy, null, s, *m.objective, std::min(usual, *m.objective)));
    } else {
      wait(m, std::log(1 / policy.false_promote) / OwnMetric::kFastestGrowth);
    }
  }
  if (!out.slowest.empty()) out.pass = within_a_day(longest);

  auto found = [&](double p2) -> std::optional<double> {
    p2 = std::min(p2, 1.0);
    if (p2 <= linear(policy.error_rate.fail).boundary(p1)) return std::nullopt;
    return within_a_day(rollback_seconds(policy, error_weight, per_second(n, share, p1, p2), p1));
  };
  out.twice = found(2 * p1);
  out.fivefold = found(5 * p1);
  out.points = found(p1 + kPoints);
  return out;
}

std::vector<std::string> forecast_lines(const config::Deployment& d) {
  std::vector<std::string> lines;
  if (!d.expect) return lines;
  for (double share : compared_stages(d)) {
    Forecast f = forecast(d.policy, *d.expect, share, has_latency(d));
    auto rolled_back = [](const char* who, const std::optional<double>& seconds) {
      return say(who, "are rolled back", "are not rolled back", seconds);
    };
    lines.push_back(fmt::format(
        "at {}{}: {}, {}, {}, {}", units::show_ratio(share), d.stages.empty() ? " (no stages)" : "",
        say("a good canary", "passes", "does not pass", f.pass),
        rolled_back("twice the errors", f.twice), rolled_back("five times", f.fivefold),
        rolled_back("5 points more", f.points)));
  }
  return lines;
}

std::vector<std::string> doubts(const config::Deployment& d) {
  std::vector<std::string> out;
  doubt_effects(d, out);
  doubt_margins(d, out);
  doubt_times(d, out);
  doubt_quantiles(d, out);
  doubt_stages(d, out);
  return out;
}

}  // namespace davy::canary
