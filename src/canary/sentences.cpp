#include "canary/sentences.h"

#include <fmt/format.h>
#include <cmath>

#include "base/text.h"
#include "canary/phrases.h"

namespace davy::canary {
namespace {

using text::grouped;

std::string caution(const MetricVerdict& m) {
  if (m.overdispersion < 2) return "";
  return fmt::format(" {} (overdispersion {:.1f}), so evidence counts for less.",
                     m.values ? "Neighbouring values are alike" : "Events come in clumps",
                     m.overdispersion);
}

}  // namespace

std::string say_metric(const MetricReport& r) {
  if (r.facts.empty()) return r.note.empty() ? "not enough seen yet" : r.note;
  std::string said = r.facts;
  const MetricVerdict& m = r.verdict;
  if (m.pass.log_e >= m.pass.limit) said += "; " + r.pass_claim + " is ruled out";
  return r.note.empty() ? said : said + "; " + r.note;
}

std::string say_fail(const MetricReport& worst, const Evidence& rollback) {
  return fmt::format(
             "Roll back ({}): {}. {}. The data are {} times likelier under a regression than under "
             "any tolerable version (limit {}).",
             worst.verdict.title, worst.facts, worst.fail_claim, say_odds(rollback.log_e),
             say_odds(rollback.limit)) +
         caution(worst.verdict);
}

std::string say_hold(const MetricReport& worst) {
  return fmt::format("Hold ({}): {}. {}, which holds the promotion but does not roll back.{}",
                     worst.verdict.title, worst.facts, worst.hold_claim, caution(worst.verdict));
}

std::string say_pass(const Verdict& v, const std::vector<MetricReport>& reports,
                     const std::string& next_stage, double false_promote) {
  std::vector<std::string> excluded;
  for (std::size_t i = 0; i < reports.size(); ++i) {
    if (v.metrics[i].gates) excluded.push_back(reports[i].pass_claim);
  }
  return fmt::format("Safe to {}: {} V2 requests rule out ({:.0f}%) {}.",
                     next_stage.empty() ? "promote" : "advance to " + next_stage,
                     grouped(v.canary_requests), (1 - false_promote) * 100,
                     text::join(excluded, " and "));
}

std::string say_undecided(const Verdict& v, const std::vector<MetricReport>& reports) {
  // The error rate is always the first metric.
  const MetricVerdict& m = reports.front().verdict;
  return fmt::format(
      "Not decided: {} in {} V2 requests (V1: {} in {}), ratio {}; needs {}. Score {:.0f}.",
      text::counted(m.canary_events, "error", "errors"), grouped(m.canary_requests),
      grouped(m.baseline_events), grouped(m.baseline_requests), say_interval(m.ratio), v.needs.text,
      v.score);
}

std::string say_worse(const MetricVerdict& m) {
  return fmt::format(
      "V2's {} is worse than V1's (evidence {}:1), but not proven to exceed the "
      "tolerance; nothing is blocked.",
      m.title, say_odds(m.warn.log_e));
}

std::string say_advice(const MetricReport& r) {
  return fmt::format("Advice ({}): {}. {} (evidence {}:1); it is only trusted to advise.",
                     r.verdict.title, r.facts, r.fail_claim, say_odds(r.verdict.fail.log_e));
}

std::string say_excluded(const Verdict& v) {
  const MetricVerdict& errors = v.metrics.front();
  if (std::isinf(errors.ratio.high)) return "";
  return fmt::format("V2's error rate is at most {}x V1's (95%, valid at any look)",
                     say_times(errors.ratio.high));
}

}  // namespace davy::canary
