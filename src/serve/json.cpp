#include "serve/json.h"

#include <fmt/format.h>
#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/units.h"
#include "health/roles.h"

namespace davy::serve {
namespace {

using json = nlohmann::ordered_json;

constexpr std::size_t kLongestRevision = 200;

std::string dump(const json& j) {
  return j.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

json number(double x) {
  return std::isfinite(x) ? json(x) : json(nullptr);
}

json optional(const std::optional<double>& x) {
  return x ? number(*x) : json(nullptr);
}

std::string rfc3339(WallMillis ms) {
  std::time_t whole = static_cast<std::time_t>(ms / 1000);
  std::tm utc{};
  gmtime_r(&whole, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900,
                     utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, ms % 1000);
}

json evidence(const Evidence& e) {
  return {{"log_e", number(e.log_e)}, {"limit", number(e.limit)}, {"reached", e.log_e >= e.limit}};
}

json comparison(const ValueComparison& v) {
  return {{"baseline", number(v.baseline)},
          {"canary", number(v.canary)},
          {"intervals", number(v.intervals)},
          {"difference_95", {{"low", optional(v.low)}, {"high", optional(v.high)}}}};
}

json metric(const MetricVerdict& m) {
  json tests{{"fail", evidence(m.fail)}};
  if (m.hold) tests["hold"] = evidence(*m.hold);
  tests["warn"] = evidence(m.warn);
  tests["pass"] = evidence(m.pass);
  json baseline{{"requests", number(m.baseline_requests)},
                {"events", number(m.baseline_events)},
                {"rate", number(m.baseline_rate)}};
  json canary{{"requests", number(m.canary_requests)},
              {"events", number(m.canary_events)},
              {"rate", number(m.canary_rate)}};
  if (m.baseline_threshold) {
    baseline["slower_than_seconds"] = optional(m.baseline_threshold);
    canary["slower_than_seconds"] = optional(m.canary_threshold);
  }
  json out{{"name", m.name},     {"title", m.title},           {"verdict", word(m.kind)},
           {"effect", m.effect}, {"score", number(m.score)},   {"sentence", m.sentence},
           {"gates", m.gates},   {"weight", number(m.weight)}, {"proven_alone", m.proven_alone}};
  if (m.muted) out["muted"] = true;
  if (!m.note.empty()) out["note"] = m.note;
  if (m.values) {
    out["values"] = comparison(*m.values);
  } else {
    out["baseline"] = baseline;
    out["canary"] = canary;
    out["ratio_95"] = {{"low", number(m.ratio.low)}, {"high", number(m.ratio.high)}};
  }
  out["evidence"] = tests;
  out["overdispersion"] = number(m.overdispersion);
  out["discount"] = number(m.discount);
  if (m.noise > 0) out["noise"] = number(m.noise);
  if (m.objective) out["objective"] = optional(m.objective);
  if (m.effective_tolerance) out["effective_tolerance"] = optional(m.effective_tolerance);
  return out;
}

json verdict(const Verdict& v) {
  json metrics = json::array();
  for (const MetricVerdict& m : v.metrics) metrics.push_back(metric(m));
  json share = nullptr;
  if (v.traffic_share) {
    share = {{"configured", number(v.traffic_share->configured)},
             {"observed", number(v.traffic_share->observed)},
             {"evidence", evidence(v.traffic_share->evidence)}};
  }
  return {{"verdict", word(v.kind)},
          {"deployment", v.deployment},
          {"revision", v.revision},
          {"stage", v.stage},
          {"t", number(v.t)},
          {"score", number(v.score)},
          {"reason", v.reason},
          {"next", v.next},
          {"needs",
           {{"requests", optional(v.needs.requests)},
            {"seconds", optional(v.needs.seconds)},
            {"text", v.needs.text}}},
          {"decided_by", v.decided_by},
          {"excluded", v.excluded},
          {"notices", v.notices},
          {"requests",
           {{"baseline", number(v.baseline_requests)}, {"canary", number(v.canary_requests)}}},
          {"rollback", evidence(v.rollback)},
          {"hold", evidence(v.hold)},
          {"traffic_share", share},
          {"metrics", metrics},
          {"url", v.url}};
}

json deployment(const DeploymentView& d) {
  return {{"name", d.name},
          {"revision", d.verdict.revision},
          {"verdict", word(d.verdict.kind)},
          {"score", number(d.verdict.score)},
          {"reason", d.verdict.reason},
          {"source", d.source},
          {"trouble", d.trouble},
          {"updated", d.updated == 0 ? json(nullptr) : json(rfc3339(d.updated))}};
}

json check(const CheckView& c, Time now, bool detail) {
  json out{{"name", c.name},
           {"kind", c.kind},
           {"status", word(health::effective(c))},
           {"state", word(c.status)},
           {"since", rfc3339(c.since)},
           {"time", c.last_seen == 0 ? json(nullptr) : json(rfc3339(c.last_seen))},
           {"age_ms",
            std::chrono::duration_cast<std::chrono::milliseconds>(now - c.last_result).count()},
           {"took_ms", std::chrono::duration<double, std::milli>(c.took).count()},
           {"severity", word(c.severity)},
           {"scope", word(c.scope)},
           {"stale", c.stale},
           {"stuck", c.stuck},
           {"consecutive_failures", c.consecutive_failures},
           {"reason", c.reason}};
  if (!c.unit.empty()) {
    out["observedValue"] = number(c.value);
    out["observedUnit"] = c.unit;
  }
  if (detail && !c.message.empty()) out["output"] = c.message;
  return out;
}

/// The value of the one key that a body may have.
Result<json> only_member(const std::string& body, const std::string& name) {
  constexpr int kDeepest = 64;  // nlohmann parses deeper, but copying and dumping recurse
  auto not_too_deep = [](int depth, json::parse_event_t, json&) { return depth < kDeepest; };
  json in = json::parse(body, not_too_deep, false);
  if (!in.is_object())
    return Error{fmt::format("the body is not a JSON object with the key {}", name)};
  for (const auto& [key, value] : in.items()) {
    if (key != name) {
      return Error{fmt::format("unknown key {} (known: {})", text::quoted(key), name)};
    }
  }
  if (!in.contains(name)) return Error{fmt::format("the body has no {}", name)};
  return in[name];
}

}  // namespace

std::string verdict_json(const Verdict& v) {
  return dump(verdict(v));
}

std::string deployment_json(const DeploymentView& d) {
  json out = deployment(d);
  out["evidence"] = verdict(d.verdict);
  return dump(out);
}

std::string deployments_json(const Board& board) {
  json all = json::array();
  for (const DeploymentView& d : board.deployments) all.push_back(deployment(d));
  return dump({{"service", board.service}, {"deployments", all}});
}

std::string check_json(const CheckView& c, Time now, bool detail) {
  return dump(check(c, now, detail));
}

std::string role_json(const Board& board, const RoleView& role, Time now, bool detail) {
  json checks = json::object();
  for (const CheckView& c : board.checks) {
    if (!health::has_role(c, role.role)) continue;
    std::string key = c.name + (c.unit.empty() ? "" : ":" + c.unit);
    checks[key] = json::array({check(c, now, detail)});
  }
  json out{{"status", !role.ok                           ? "fail"
                      : role.status == CheckStatus::Warn ? "warn"
                                                         : "pass"},
           {"serviceId", board.service},
           {"description", fmt::format("{} of {}", word(role.role), board.service)},
           {"draining", board.draining},
           {"checks", checks}};
  if (!role.reason.empty()) out["output"] = role.reason;
  return dump(out);
}

Result<std::string> read_run_request(const std::string& body) {
  if (body.empty()) return std::string();
  Result<json> revision = only_member(body, "revision");
  if (!revision) return revision.error();
  if (!revision->is_string()) return Error{"revision is not a string (try {\"revision\": \"v2\"})"};
  std::string text = *revision;
  if (text.size() > kLongestRevision) return Error{"revision is longer than 200 bytes"};
  return text;
}

Result<double> read_stage_request(const std::string& body) {
  Result<json> weight = only_member(body, "weight");
  if (!weight) return weight.error();
  Result<double> share = weight->is_number() ? Result<double>(weight->get<double>())
                         : weight->is_string()
                             ? units::parse_ratio(weight->get<std::string>())
                             : Result<double>(Error{"weight is neither a share nor a number"});
  if (!share) return share;
  if (*share < 0 || *share > 1) return Error{"weight is not between 0% and 100%"};
  return share;
}

}  // namespace davy::serve
