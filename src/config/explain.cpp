// What `davy config check` prints: the effective config with its arithmetic, in words.

#include <fmt/format.h>
#include <algorithm>

#include "base/text.h"
#include "base/units.h"
#include "config/config.h"
#include "config/kind_options.h"

namespace davy::config {
namespace {

std::string one_in(double chance) {
  return fmt::format("1 in {:.0f}", 1 / chance);
}

/// "10s + 2 x 2s + 2s timeout": Schedule::worst_detection in its parts.
std::string sum_of_detection(const Schedule& schedule) {
  Duration between = std::max(schedule.period_fast, schedule.timeout);
  if (schedule.worst_detection() >
      schedule.period + (schedule.failure_threshold - 1) * between + schedule.timeout) {
    return fmt::format("{} + {} timeout + {} min_failing_for + {}", units::show(schedule.period),
                       units::show(schedule.timeout), units::show(schedule.min_failing_for),
                       units::show(between));
  }
  return fmt::format("{} + {} x {} + {} timeout", units::show(schedule.period),
                     schedule.failure_threshold - 1, units::show(between),
                     units::show(schedule.timeout));
}

std::string sum_of_recovery(const Schedule& schedule) {
  return fmt::format(
      "{} + {} x {} + {} timeout", units::show(std::max(schedule.period_down, schedule.timeout)),
      schedule.success_threshold - 1, units::show(std::max(schedule.period_fast, schedule.timeout)),
      units::show(schedule.timeout));
}

std::string explain(const Levels& levels, double margin) {
  if (!levels.any()) return "";
  std::vector<std::string> parts;
  auto add = [&](const char* what, const std::optional<double>& level) {
    if (level) parts.push_back(fmt::format("{} {:g}", what, *level));
  };
  add("fails above", levels.fail_above);
  add("fails below", levels.fail_below);
  add("warns above", levels.warn_above);
  add("warns below", levels.warn_below);
  return fmt::format("    {}; clears {} beyond that\n", text::join(parts, ", "),
                     units::show_ratio(margin));
}

std::string roles_of(const Check& check) {
  std::vector<std::string> words;
  for (Role role : check.roles) words.emplace_back(word(role));
  return words.empty() ? "no role" : text::join(words, ", ");
}

std::string explain(const Options& options, const std::vector<OptionSpec>& specs) {
  std::string out;
  for (const OptionSpec& spec : specs) {
    if (options.has(spec.name))
      out += fmt::format("    {}: {}\n", spec.name, show_option(options, spec));
  }
  return out;
}

std::string explain(const Check& check) {
  const Schedule& schedule = check.schedule;
  constexpr std::string_view kStale[] = {"fails", "warns", "keeps its last state"};
  std::string out = fmt::format("  {}: {} for {}; {}, {}\n", check.name, check.kind->name,
                                roles_of(check), word(check.severity), word(check.scope));
  out += explain(check.options, check.kind->options);
  if (!check.depends_on.empty()) {
    out += fmt::format("    not asked while {} fails\n", text::join(check.depends_on, " or "));
  }
  out += explain(schedule.levels, schedule.clear_margin);
  out += fmt::format(
      "    runs every {} with {} to answer; {} while it is about to change, {} while "
      "it fails",
      units::show(schedule.period), units::show(schedule.timeout),
      units::show(schedule.period_fast), units::show(schedule.period_down));
  if (schedule.initial_delay > Duration::zero()) {
    out += fmt::format(", first after {}", units::show(schedule.initial_delay));
  }
  out += fmt::format("\n    fails {} after it dies at the latest ({})\n",
                     units::show(schedule.worst_detection()), sum_of_detection(schedule));
  out += fmt::format("    recovers {} after it is back at the latest ({})\n",
                     units::show(schedule.worst_recovery()), sum_of_recovery(schedule));
  out +=
      fmt::format("    {} after {} without a result\n",
                  kStale[static_cast<int>(schedule.when_stale)], units::show(schedule.stale_after));
  return out;
}

/// What a shared dependency's failure does to readiness.
std::string explain_sharing(const Config& config) {
  std::vector<std::string> shared;
  for (const Check& check : config.checks) {
    if (check.scope == Scope::Shared && check.severity == Severity::Critical &&
        check.has(Role::Readiness))
      shared.push_back(check.name);
  }
  if (shared.empty()) return "";
  std::string hold = config.fail_open.max_hold == Duration::zero()
                         ? std::string("without end")
                         : "for " + units::show(config.fail_open.max_hold) + " at most";
  std::string out = fmt::format("shared dependencies: {}\n  readiness stays, {}, ",
                                text::join(shared, ", "), hold);
  if (!config.peers.any())
    return out +
           "when one of them fails: without `peers` nobody can tell whether it is only here\n";
  return out + fmt::format(
                   "when {} or more of the peers that answer share the failure, or fewer "
                   "than {} answer\n  peers: {}\n",
                   units::show_ratio(config.fail_open.quorum), config.fail_open.min_peers,
                   text::join(config.peers.addresses, ", "));
}

/// Each role with the checks that decide it. Info checks decide nothing.
std::string explain_roles(const std::vector<Check>& checks) {
  std::string out = "roles\n";
  for (Role role : kRoles) {
    std::vector<std::string> deciding;
    std::vector<std::string> warning;
    for (const Check& check : checks) {
      if (!check.has(role) || check.severity == Severity::Info) continue;
      (check.severity == Severity::Critical ? deciding : warning).push_back(check.name);
    }
    out += fmt::format("  {:<10} ", word(role));
    if (deciding.empty() && warning.empty()) {
      out += "always passes (no check has it)\n";
      continue;
    }
    out += deciding.empty() ? "never fails" : "fails with any of " + text::join(deciding, ", ");
    if (!warning.empty()) out += "; warns with any of " + text::join(warning, ", ");
    out += "\n";
  }
  return out;
}

std::string in_words(const Margin& margin) {
  std::string out = margin.ratio == 1 ? "the baseline's rate"
                                      : fmt::format("{:g} x the baseline's rate", margin.ratio);
  return margin.absolute == 0
             ? out
             : out + fmt::format(" + {:g} points of percent", margin.absolute * 100);
}

std::string in_words(const std::vector<double>& quantiles) {
  std::vector<std::string> words;
  for (double q : quantiles) words.push_back(fmt::format("p{:g}", q * 100));
  return text::join(words, ", ");
}

/// "rolls back", or what remains of that after severity, trust and muting.
std::string does(const Standing& standing) {
  if (standing.muted) return "does nothing (muted)";
  constexpr std::string_view kDoes[] = {"only records (shadow)", "only tells", "holds",
                                        "rolls back"};
  return std::string(kDoes[static_cast<int>(standing.effect())]);
}

std::string explain(const ErrorRatePolicy& errors) {
  std::string out = fmt::format("    {} when the canary's error rate is proven above {}\n",
                                does(errors.standing), in_words(errors.fail));
  if (errors.max) {
    out += fmt::format("      or above {}, unless the baseline's is, too (then it holds)\n",
                       units::show_ratio(*errors.max));
  }
  if (errors.warn)
    out += fmt::format("    holds when it is proven above {}\n", in_words(*errors.warn));
  return out;
}

std::string explain(const LatencyPolicy& latency) {
  std::string quantiles = in_words(latency.quantiles);
  std::string out =
      fmt::format("    {} when any of {} is proven more than {} slower\n", does(latency.standing),
                  quantiles, units::show_ratio(latency.fail_increase));
  for (const LatencyLimit& limit : latency.max) {
    out += fmt::format("      or more than {} of requests take longer than {}\n",
                       units::show_ratio(1 - limit.quantile), units::show_latency(limit.seconds));
  }
  out += fmt::format("    holds when any of {} is proven more than {} slower\n", quantiles,
                     units::show_ratio(latency.warn_increase));
  return out;
}

std::string explain(const ValuePolicy& metric) {
  bool up = metric.bad == ValuePolicy::Bad::Up;
  std::string margin =
      fmt::format("{:.4g} x {}{}", metric.fail.ratio, up ? "the baseline's" : "the canary's",
                  metric.fail.absolute == 0 ? "" : fmt::format(" + {:g}", metric.fail.absolute));
  return up ? fmt::format("    {} when the canary's {} is proven above {}\n", does(metric.standing),
                          metric.series.name, margin)
            : fmt::format("    {} when the baseline's {} is proven above {}\n",
                          does(metric.standing), metric.series.name, margin);
}

std::string explain(const Policy& policy) {
  constexpr std::string_view kUndecided[] = {"holds", "advances", "rolls back"};
  std::string out = explain(policy.error_rate);
  out += policy.latency ? explain(*policy.latency) : "    latency is not judged\n";
  if (policy.restarts) {
    out += fmt::format(
        "    {} when its instances are proven to restart more than 1.2 x as often as the "
        "baseline's + {:g} a day\n",
        does(policy.restarts->standing), policy.restarts->per_day);
  }
  for (const ValuePolicy& metric : policy.metrics) out += explain(metric);
  if (policy.hold_on_warn) out += "    holds when anything is proven worse at all\n";
  if (policy.traffic_share) {
    out += fmt::format("    holds when the canary's share of traffic is more than {} off (odds)\n",
                       units::show_ratio(policy.traffic_share->tolerance));
  }
  out += fmt::format("    advances when the error rate is proven below {}\n",
                     in_words(policy.error_rate.pass));
  if (policy.latency) {
    out += fmt::format("      and every quantile proven less than {} slower\n",
                       units::show_ratio(policy.latency->pass_increase));
  }
  for (const ValuePolicy& metric : policy.metrics) {
    if (metric.standing.effect() >= Effect::Hold)
      out += fmt::format("      and {} proven within its tolerance\n", metric.series.name);
  }
  if (policy.aa_period > Duration::zero()) {
    out += fmt::format(
        "    judges nothing in a run's first {}, when both versions must be the same: it learns "
        "how "
        "much they differ\n",
        units::show(policy.aa_period));
  }
  out += fmt::format(
      "    is wrong at most so often: {} tolerable canaries rolled back, {} held, and per stage {} "
      "intolerable ones advanced\n",
      one_in(policy.false_rollback), one_in(policy.false_hold), one_in(policy.false_promote));
  out += fmt::format("    a stage takes {} at least; undecided after {} it {}\n",
                     units::show(policy.min_stage), units::show(policy.max_stage),
                     kUndecided[static_cast<int>(policy.when_undecided)]);
  if (policy.latency && policy.warm_up > Duration::zero()) {
    out += fmt::format("    the canary's latency is not judged in its first {}\n",
                       units::show(policy.warm_up));
  }
  return out;
}

std::string explain(const RequestSeries& series) {
  std::string out = "    requests: " + text::join(series.counter, " or ") + "\n";
  if (!series.error_when.empty())
    out += "    errors: those with " + text::join(series.error_when, " or ") + "\n";
  if (!series.errors.empty()) out += "    errors: " + text::join(series.errors, " or ") + "\n";
  if (!series.histogram.empty()) {
    out += fmt::format("    latency: {} in {}\n", text::join(series.histogram, " or "),
                       series.latency_unit == 1.0 ? "seconds" : "milliseconds");
  }
  return out;
}

std::string explain(const Deployment& deployment) {
  std::string out = "deployment " + deployment.name;
  if (!deployment.revision.empty()) out += ", revision " + deployment.revision;
  out += fmt::format("\n  source: {}\n", deployment.source->name);
  out += explain(deployment.source_options, deployment.source->options);
  if (deployment.source->reads_series) out += explain(deployment.requests);
  out += "  policy\n" + explain(deployment.policy);
  if (!deployment.stages.empty()) {
    std::vector<std::string> stages;
    for (double stage : deployment.stages) stages.push_back(units::show_ratio(stage));
    out += "  stages: " + text::join(stages, ", ") + "\n";
  }
  return out;
}

std::string explain(const Publication& publication, bool is_kept) {
  std::string out =
      fmt::format("publish {} {} as {}\n  to: {}\n", publication.deployment, publication.version,
                  publication.instance, publication.exchange->name);
  out += explain(publication.exchange_options, publication.exchange->publisher->options);
  out += fmt::format("  source: {}\n", publication.source->name);
  out += explain(publication.source_options, publication.source->options);
  if (publication.source->reads_series) out += explain(publication.requests);
  for (const ValueSeries& metric : publication.values) {
    out += fmt::format("    {}: {} {}{}\n", metric.name,
                       metric.kind == ValueSeries::Kind::Gauge ? "gauge" : "rate of", metric.series,
                       metric.per == ValueSeries::Per::Request ? ", per request" : "");
  }
  return out + (is_kept
                    ? "  a restart of davy loses nothing and publishes nothing twice\n"
                    : "  a restart of davy loses what was served meanwhile (state_dir keeps it)\n");
}

}  // namespace

std::vector<Problem> doubts(const Config& config, const std::string& file) {
  std::vector<Problem> all;
  for (Role role : {Role::Readiness, Role::Deploy}) {
    const Check* weak = nullptr;
    bool has_strong = false;
    for (const Check& check : config.checks) {
      if (!check.has(role) || check.severity != Severity::Critical) continue;
      bool says_little = check.kind->is_weak && !check.options.has("expect");
      (says_little ? void(weak = &check) : void(has_strong = true));
    }
    if (weak == nullptr || has_strong) continue;
    all.push_back({file, weak->line,
                   fmt::format("check {}: {} rests on {} alone, which passes while an app answers "
                               "nothing but errors (add a check that speaks its protocol)",
                               weak->name, word(role), weak->kind->name)});
  }
  for (const Check& check : config.checks) {
    bool decides = check.has(Role::Readiness) && check.severity == Severity::Critical;
    if (decides && !check.kind->doubt_in_readiness.empty())
      all.push_back({file, check.line,
                     fmt::format("check {}: {}", check.name, check.kind->doubt_in_readiness)});
  }
  bool has_shared = std::any_of(config.checks.begin(), config.checks.end(),
                                [](const Check& c) { return c.scope == Scope::Shared; });
  if (config.peers.any() && !has_shared)
    all.push_back({file, 0, "peers: no check has scope: shared, so they are never asked"});
  return all;
}

std::string explain(const Config& config) {
  std::string out = fmt::format("service {}\n  health on {}, API on {}\n", config.service,
                                config.health.text(), config.api.text());
  out += fmt::format("  answers \"not ready\" for {} after SIGTERM, then leaves\n",
                     units::show(config.drain_delay));
  if (!config.state_dir.empty()) {
    out += fmt::format(
        "  keeps runs, what is to be published, and the states of checks in {}, over "
        "restarts\n",
        config.state_dir);
  } else if (!config.deployments.empty()) {
    out += "  keeps evidence in memory: a restart begins every run anew (state_dir keeps it)\n";
  }
  if (!config.checks.empty()) {
    out += "\nchecks\n";
    for (const Check& check : config.checks) out += explain(check);
    out += "\n" + explain_roles(config.checks) + explain_sharing(config);
  }
  for (const Deployment& deployment : config.deployments) out += "\n" + explain(deployment);
  for (const Publication& publication : config.publications)
    out += "\n" + explain(publication, !config.state_dir.empty());
  return out;
}

}  // namespace davy::config
