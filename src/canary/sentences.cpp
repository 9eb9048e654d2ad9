#include "canary/sentences.h"

#include <fmt/format.h>
#include <cmath>
#include <vector>

#include "base/text.h"
#include "base/units.h"

namespace davy::canary {
namespace {

using text::grouped;
using units::show_latency;
using units::show_percent;

bool is_latency(const MetricVerdict& m) {
  return m.baseline_threshold.has_value();
}

/// "error rate", "p99"
std::string title(const MetricVerdict& m) {
  constexpr std::string_view kLatency = "latency_";
  if (m.name.starts_with(kLatency)) return m.name.substr(kLatency.size());
  return m.name == "error_rate" ? "error rate" : m.name;
}

std::string times(double x) {
  if (std::isinf(x)) return "any";
  return x < 10 ? fmt::format("{:.2g}", x) : fmt::format("{:.0f}", x);
}

/// "2.9-8.9x", "at least 2.9x", "at most 4.6x"
std::string interval(const RatioInterval& r) {
  if (r.low <= 0 && std::isinf(r.high)) return "open";
  if (std::isinf(r.high)) return fmt::format("at least {}x", times(r.low));
  if (r.low <= 0) return fmt::format("at most {}x", times(r.high));
  return fmt::format("{}-{}x", times(r.low), times(r.high));
}

/// "1.2x + 0.01 pp"
std::string margin(const config::Margin& m) {
  std::vector<std::string> parts;
  if (m.ratio != 1 || m.absolute == 0) parts.push_back(fmt::format("{:.3g}x V1's", m.ratio));
  if (m.ratio == 1 && m.absolute != 0) parts.emplace_back("V1's");
  if (m.absolute != 0) parts.push_back(fmt::format("{:.3g} pp", m.absolute * 100));
  return text::join(parts, " + ");
}

/// "180 times", "more than a million times"
std::string odds(double log_e) {
  if (log_e > std::log(1e6)) return "more than a million";
  return grouped(std::exp(log_e));
}

std::string both_rates(const MetricVerdict& m) {
  if (is_latency(m)) {
    return fmt::format("{} of V2's requests took longer than {}, {} of V1's took longer than {}",
                       show_percent(m.canary_rate), show_latency(*m.canary_threshold),
                       show_percent(m.baseline_rate), show_latency(*m.baseline_threshold));
  }
  std::string ratio = m.baseline_rate > 0 && m.canary_rate > 0
                          ? fmt::format("{}x; ", times(m.canary_rate / m.baseline_rate))
                          : "";
  return fmt::format(
      "V2 fails {} of requests ({} of {}), V1 {} ({} of {}); {}95% interval {}, valid at any look",
      show_percent(m.canary_rate), grouped(m.canary_events), grouped(m.canary_requests),
      show_percent(m.baseline_rate), grouped(m.baseline_events), grouped(m.baseline_requests),
      ratio, interval(m.ratio));
}

std::string claim(const MetricVerdict& m, double tolerance) {
  return fmt::format("V2's {} is more than {:.0f}% slower", title(m), tolerance * 100);
}

std::string caution(const MetricVerdict& m) {
  if (m.overdispersion < 2) return "";
  return fmt::format(" Events come in clumps (overdispersion {:.1f}), so evidence counts for less.",
                     m.overdispersion);
}

}  // namespace

std::string say_metric(const MetricVerdict& m, const config::Policy& policy) {
  if (m.baseline_requests == 0 && m.canary_requests == 0) {
    return m.sentence.empty() ? "not enough seen yet" : m.sentence;
  }
  std::string said = both_rates(m);
  if (m.pass.log_e >= m.pass.limit) {
    said += is_latency(m) ? fmt::format("; more than {:.0f}% slower is ruled out",
                                        policy.latency->pass_increase * 100)
                          : "; worse than " + margin(policy.error_rate.pass) + " is ruled out";
  }
  return m.sentence.empty() ? said : said + "; " + m.sentence;
}

std::string say_fail(const MetricVerdict& worst, const Evidence& rollback,
                     const config::Policy& policy) {
  std::string said = fmt::format("Roll back ({}): {}.", title(worst), both_rates(worst));
  said += is_latency(worst) ? fmt::format(" {}.", claim(worst, policy.latency->fail_increase))
                            : fmt::format(" Tolerated was {}.", margin(policy.error_rate.fail));
  return said +
         fmt::format(
             " The data are {} times likelier under a regression than under any "
             "tolerable version (limit {}).",
             odds(rollback.log_e), odds(rollback.limit)) +
         caution(worst);
}

std::string say_hold(const MetricVerdict& worst, const config::Policy& policy) {
  return fmt::format(
      "Hold ({}): {}. {}, which holds the promotion but does not roll back.{}", title(worst),
      both_rates(worst),
      claim(worst, worst.effective_tolerance.value_or(policy.latency->warn_increase)),
      caution(worst));
}

std::string say_pass(const Verdict& v, const std::string& next_stage,
                     const config::Policy& policy) {
  std::vector<std::string> excluded;
  std::vector<std::string> slower;
  for (const MetricVerdict& m : v.metrics) {
    if (!m.gates) continue;
    if (is_latency(m)) {
      slower.push_back(title(m));
    } else {
      excluded.push_back("an error rate above " + margin(policy.error_rate.pass));
    }
  }
  if (!slower.empty()) {
    excluded.push_back(fmt::format("a {} more than {:.0f}% slower", text::join(slower, "/"),
                                   policy.latency->pass_increase * 100));
  }
  return fmt::format("Safe to {}: {} V2 requests rule out ({:.0f}%) {}.",
                     next_stage.empty() ? "promote" : "advance to " + next_stage,
                     grouped(v.canary_requests), (1 - policy.false_promote) * 100,
                     text::join(excluded, " and "));
}

std::string say_undecided(const Verdict& v) {
  for (const MetricVerdict& m : v.metrics) {
    if (is_latency(m)) continue;
    return fmt::format(
        "Not decided: {} in {} V2 requests (V1: {} in {}), ratio {}; needs {}. Score {:.0f}.",
        text::counted(m.canary_events, "error", "errors"), grouped(m.canary_requests),
        grouped(m.baseline_events), grouped(m.baseline_requests), interval(m.ratio), v.needs.text,
        v.score);
  }
  return "Not decided; needs " + v.needs.text + ".";
}

std::string say_worse(const MetricVerdict& m) {
  return fmt::format(
      "V2's {} is worse than V1's (evidence {}:1), but not proven to exceed the "
      "tolerance; nothing is blocked.",
      title(m), odds(m.warn.log_e));
}

}  // namespace davy::canary
