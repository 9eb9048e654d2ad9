// The `policy:` part of a deployment, also as a file of its own for `davy replay`.

#include <fmt/format.h>
#include <algorithm>

#include "base/text.h"
#include "base/units.h"
#include "config/sections.h"

namespace davy::config {
namespace {

/// "0.01" of "0.01pp" as 0.0001. By way of the text, so that it is the double nearest to what was
/// written: 0.01 / 100 is not.
Result<double> hundredths(std::string_view digits) {
  bool is_plain =
      !digits.empty() && digits.find_first_not_of("0123456789.") == std::string_view::npos;
  return units::parse_number(is_plain ? std::string(digits) + "e-2" : "");
}

/// "20%", "0.5pp", "20% + 0.01pp".
Result<Margin> parse_margin(std::string_view text) {
  Error wrong{text::quoted(text) +
              " is not a margin (try 20% for relative, 0.5pp for absolute, 20% + 0.01pp for both)"};
  Margin margin;
  bool has_ratio = false;
  bool has_absolute = false;
  for (std::string_view part : text::split(text, '+')) {
    part = text::trim(part);
    bool is_ratio = part.ends_with('%');
    if (!is_ratio && !part.ends_with("pp")) return wrong;
    Result<double> value = hundredths(part.substr(0, part.size() - (is_ratio ? 1 : 2)));
    bool& seen = is_ratio ? has_ratio : has_absolute;
    if (!value || seen) return wrong;
    seen = true;
    (is_ratio ? margin.ratio : margin.absolute) += *value;
  }
  if (margin.absolute >= 1)
    return Error{text::quoted(text) + " tolerates everything (less than 100pp)"};
  return margin;
}

std::string show(const Margin& margin) {
  return fmt::format("{:g}% + {:g}pp", (margin.ratio - 1) * 100, margin.absolute * 100);
}

/// "p99.9" as 0.999.
Result<double> parse_quantile(std::string_view text) {
  Result<double> level = hundredths(text.starts_with('p') ? text.substr(1) : "");
  if (level && *level > 0 && *level < 1) return *level;
  return Error{text::quoted(text) + " is not a quantile (try p50, p95, p99, p99.9)"};
}

void read_margin(Settings& settings, std::string_view key, std::optional<Margin>& out) {
  const Node* node = settings.find(key);
  std::optional<std::string> text = settings.text_of(node);
  if (!text) return;
  Result<Margin> margin = parse_margin(*text);
  if (margin) {
    out = *margin;
  } else {
    settings.problem(key, margin.error().what);
  }
}

ErrorRatePolicy read_error_rate(const Node& map, const std::string& where, Problems& problems) {
  ErrorRatePolicy policy;
  Settings settings(map, where, problems);
  if (settings.find("max") != nullptr) {
    settings.problem("max",
                     "an absolute limit is not supported yet (use max_increase, which compares "
                     "the canary with the baseline)");
  }
  std::optional<Margin> fail;
  std::optional<Margin> pass;
  read_margin(settings, "max_increase", fail);
  read_margin(settings, "pass_increase", pass);
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
  return policy;
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

LatencyPolicy read_latency(const Node& map, const std::string& where, Problems& problems) {
  LatencyPolicy policy;
  Settings settings(map, where, problems);
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
  return policy;
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

Policy read_policy(const Node& map, const std::string& where, Problems& problems) {
  Policy policy;
  Settings settings(map, where, problems);
  if (const Node* node = settings.find("error_rate")) {
    policy.error_rate = read_error_rate(*node, settings.inside("error_rate"), problems);
  }
  if (const Node* node = settings.find("latency")) {
    if (node->kind == Node::Kind::Scalar) {
      if (settings.choice(node, {"off"})) policy.latency.reset();
    } else {
      policy.latency = read_latency(*node, settings.inside("latency"), problems);
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
  settings.read("on_undecided", policy.when_undecided, {"hold", "advance", "rollback"});
  settings.finish();
  return policy;
}

}  // namespace davy::config
