// The `policy:` part of a deployment, also as a file of its own for `davy replay`.

#include <fmt/format.h>
#include <algorithm>

#include "base/text.h"
#include "base/units.h"
#include "config/margin.h"
#include "config/sections.h"

namespace davy::config {
namespace {

/// "p99.9" as 0.999.
Result<double> parse_quantile(std::string_view text) {
  Result<double> level = hundredths(text.starts_with('p') ? text.substr(1) : "");
  if (level && *level > 0 && *level < 1) return *level;
  return Error{text::quoted(text) + " is not a quantile (try p50, p95, p99, p99.9)"};
}

/// `fail_increase`, or `max_increase`, which is the same in the words of a limit.
void read_limit(Settings& settings, Result<Margin> (*parse)(std::string_view),
                std::optional<Margin>& out) {
  std::optional<Margin> fail;
  std::optional<Margin> max;
  read_margin(settings, "max_increase", parse, max);
  read_margin(settings, "fail_increase", parse, fail);
  if (fail && max) settings.problem("fail_increase", "is the same as max_increase (name one)");
  if (max) out = max;
  if (fail) out = fail;
}

/// A share of requests that may be bad.
void read_objective(Settings& settings, std::optional<double>& out) {
  if (settings.find("max") == nullptr) return;
  double max = 0;
  std::size_t before = settings.problems().count();
  settings.read_ratio("max", max);
  if (settings.problems().count() > before) return;
  if (max <= 0 || max >= 0.5) {
    settings.problem("max", fmt::format("{} is no objective (more than 0%, less than 50%)",
                                        units::show_percent(max)));
    return;
  }
  out = max;
}

void read_error_rate(const Node& map, const std::string& where, Problems& problems,
                     ErrorRatePolicy& policy) {
  Settings settings(map, where, problems);
  read_objective(settings, policy.max);
  std::optional<Margin> fail;
  std::optional<Margin> pass;
  read_limit(settings, parse_rate_margin, fail);
  read_margin(settings, "warn_increase", parse_rate_margin, policy.warn);
  read_margin(settings, "pass_increase", parse_rate_margin, pass);
  read_standing(settings, policy.standing);
  settings.finish();

  const Margin usual_pass = policy.pass;
  if (fail) policy.fail = *fail;
  policy.pass = pass.value_or(Margin{std::max(policy.fail.ratio, usual_pass.ratio),
                                     std::max(policy.fail.absolute, usual_pass.absolute)});
  if (policy.pass.ratio < policy.fail.ratio || policy.pass.absolute < policy.fail.absolute) {
    settings.problem("pass_increase",
                     fmt::format("{} is tighter than max_increase, {} (both parts at "
                                 "least as large, or leave it out)",
                                 show(policy.pass), show(policy.fail)));
  }
  if (policy.warn &&
      (policy.warn->ratio > policy.fail.ratio || policy.warn->absolute > policy.fail.absolute)) {
    settings.problem("warn_increase",
                     fmt::format("{} tolerates more than max_increase, {} (both parts at most as "
                                 "large)",
                                 show(*policy.warn), show(policy.fail)));
  }
}

void read_quantiles(Settings& settings, std::vector<double>& out) {
  std::vector<std::string> texts;
  std::size_t before = settings.problems().count();
  settings.read("quantiles", texts);
  if (texts.empty() || settings.problems().count() > before) return;
  std::vector<double> levels;
  for (const std::string& text : texts) {
    Result<double> level = parse_quantile(text);
    if (!level) {
      settings.problem("quantiles", level.error().what);
    } else if (std::find(levels.begin(), levels.end(), *level) != levels.end()) {
      settings.problem("quantiles", text + " stands there twice (once is enough)");
    } else {
      levels.push_back(*level);
    }
  }
  constexpr std::size_t kMost = 8;
  if (levels.size() > kMost) {
    settings.problem("quantiles",
                     fmt::format("{} of them thin the evidence out ({} at most, p95 and "
                                 "p99 are usual)",
                                 levels.size(), kMost));
  }
  std::sort(levels.begin(), levels.end());
  out = std::move(levels);
}

/// `max: { p99: 500ms }`.
void read_latency_limits(const Node& map, const std::string& where, Problems& problems,
                         std::vector<LatencyLimit>& out) {
  Settings settings(map, where, problems);
  if (map.kind != Node::Kind::Map) return;
  for (const Node& item : map.items) {
    Result<double> quantile = parse_quantile(item.key);
    Duration limit{0};
    std::size_t before = problems.count();
    settings.read(item.key, limit);
    if (!quantile) {
      settings.problem_at(item, quantile.error().what);
    } else if (problems.count() == before && limit <= Duration::zero()) {
      settings.problem_at(item, "is no limit (more than 0ms)");
    } else {
      out.push_back({*quantile, seconds(limit)});
    }
  }
}

void read_latency(const Node& map, const std::string& where, Problems& problems,
                  LatencyPolicy& policy) {
  Settings settings(map, where, problems);
  if (const Node* node = settings.find("max"))
    read_latency_limits(*node, settings.inside("max"), problems, policy.max);
  read_standing(settings, policy.standing);
  read_quantiles(settings, policy.quantiles);
  bool has_warn = settings.find("warn_increase") != nullptr;
  bool has_fail = settings.find("fail_increase") != nullptr;
  settings.read_ratio("warn_increase", policy.warn_increase);
  settings.read_ratio("fail_increase", policy.fail_increase);
  // One alone moves the other one's default out of its way.
  if (has_fail && !has_warn)
    policy.warn_increase = std::min(policy.warn_increase, policy.fail_increase);
  if (has_warn && !has_fail)
    policy.fail_increase = std::max(policy.warn_increase, policy.fail_increase);
  policy.pass_increase = policy.warn_increase;
  settings.read_ratio("pass_increase", policy.pass_increase);
  if (policy.warn_increase > policy.fail_increase) {
    settings.problem("warn_increase",
                     fmt::format("{} is more than fail_increase, {} (at most as much)",
                                 units::show_percent(policy.warn_increase),
                                 units::show_percent(policy.fail_increase)));
  }
  if (policy.pass_increase <= 0) {
    settings.problem("pass_increase", "nothing proves 0% (20% is usual)");
  }
  settings.finish();
}

void read_restarts(Settings& settings, const Node& node, std::optional<RestartsPolicy>& out) {
  if (node.kind == Node::Kind::Scalar) {
    if (settings.choice(&node, {"off"})) out.reset();
    return;
  }
  Settings inner(node, settings.inside("restarts"), settings.problems());
  RestartsPolicy policy;
  inner.read_number("per_day", policy.per_day);
  if (policy.per_day <= 0)
    inner.problem("per_day", "no restart at all is not testable (1 is usual, more than 0)");
  read_standing(inner, policy.standing);
  inner.finish();
  out = policy;
}

void read_traffic_share(Settings& settings, const Node& node,
                        std::optional<TrafficSharePolicy>& out) {
  if (node.kind == Node::Kind::Scalar) {
    if (settings.choice(&node, {"off"})) out.reset();
    return;
  }
  Settings inner(node, settings.inside("traffic_share"), settings.problems());
  TrafficSharePolicy policy;
  inner.read_ratio("tolerance", policy.tolerance);
  inner.read_number("stickiness", policy.stickiness);
  if (policy.tolerance <= 0) inner.problem("tolerance", "nothing is exact (10% is usual)");
  if (policy.stickiness < 1)
    inner.problem("stickiness", "is less than one request (1 or more; 10 is usual)");
  inner.finish();
  out = policy;
}

/// What a profile sets, before the policy's own keys.
void apply_profile(std::size_t profile, Policy& policy) {
  constexpr std::size_t kStrict = 1;
  constexpr std::size_t kNoisy = 2;
  if (profile == kStrict) {
    policy.error_rate = {.fail = {1.1, 5e-5}, .pass = {1.2, 2e-4}, .warn = {}, .max = 0.001};
    policy.latency = LatencyPolicy{.quantiles = {0.5, 0.95, 0.99},
                                   .warn_increase = 0.1,
                                   .fail_increase = 0.25,
                                   .pass_increase = 0.1};
    policy.false_promote = 0.01;
    policy.hold_on_warn = true;
  } else if (profile == kNoisy) {
    policy.robustness.sigma = 0.3;
  }
}

void read_chance(Settings& settings, std::string_view key, double& out) {
  settings.read_ratio(key, out);
  if (out <= 0 || out > 0.5) {
    settings.problem(
        key, fmt::format("{} is not possible (more than 0%, at most 50%; 1% to 5% is usual)",
                         units::show_percent(out)));
  }
}

void read_confidence(const Node& map, const std::string& where, Problems& problems,
                     Policy& policy) {
  Settings settings(map, where, problems);
  read_chance(settings, "false_rollback", policy.false_rollback);
  read_chance(settings, "false_hold", policy.false_hold);
  read_chance(settings, "false_promote", policy.false_promote);
  settings.finish();
}

}  // namespace

std::vector<ValueSeries> Policy::value_series() const {
  std::vector<ValueSeries> all;
  for (const ValuePolicy& metric : metrics) all.push_back(metric.series);
  return all;
}

void read_standing(Settings& settings, Standing& out) {
  if (const Node* node = settings.find("severity")) {
    if (auto at = settings.choice(node, {"rollback", "hold"}))
      out.severity = *at == 0 ? Effect::Rollback : Effect::Hold;
  }
  settings.read("trust", out.trust, {"shadow", "advise", "hold", "enforce"});
  settings.read("muted", out.muted, {"false", "true"});
}

Policy read_policy(const Node& map, const std::string& where, Problems& problems) {
  Policy policy;
  Settings settings(map, where, problems);
  if (const Node* node = settings.find("profile")) {
    if (auto at = settings.choice(node, {"default", "strict", "noisy"})) apply_profile(*at, policy);
  }
  if (const Node* node = settings.find("error_rate")) {
    read_error_rate(*node, settings.inside("error_rate"), problems, policy.error_rate);
  }
  if (const Node* node = settings.find("latency")) {
    if (node->kind == Node::Kind::Scalar) {
      if (settings.choice(node, {"off"})) policy.latency.reset();
    } else {
      read_latency(*node, settings.inside("latency"), problems, *policy.latency);
    }
  }
  if (const Node* node = settings.find("restarts")) read_restarts(settings, *node, policy.restarts);
  if (const Node* node = settings.find("traffic_share"))
    read_traffic_share(settings, *node, policy.traffic_share);
  if (const Node* node = settings.find("metrics")) {
    if (node->kind == Node::Kind::List) {
      policy.metrics = read_own_metrics(*node, settings.inside("metrics"), problems);
    } else {
      settings.problem("metrics",
                       "is not a list (- { name: memory, gauge: ..., max_increase: 20% })");
    }
  }
  if (const Node* node = settings.find("confidence")) {
    read_confidence(*node, settings.inside("confidence"), problems, policy);
  }
  settings.read("min_stage", policy.min_stage);
  settings.read("max_stage", policy.max_stage);
  if (policy.max_stage <= policy.min_stage) {
    settings.problem("max_stage",
                     fmt::format("{} is not more than min_stage, {} (nothing could ever pass)",
                                 units::show(policy.max_stage), units::show(policy.min_stage)));
  }
  settings.read("warm_up", policy.warm_up);
  settings.read("aa_period", policy.aa_period);
  settings.read_number("attempts", policy.robustness.attempts);
  if (policy.robustness.attempts < 1 || policy.robustness.attempts > 100)
    settings.problem("attempts",
                     "is not possible (1 to 100: how often a request is tried at most)");
  settings.read("hold_on_warn", policy.hold_on_warn, {"false", "true"});
  settings.read("on_undecided", policy.when_undecided, {"hold", "advance", "rollback"});
  settings.finish();
  return policy;
}

}  // namespace davy::config
