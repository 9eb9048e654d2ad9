#include "serve/json.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/shallow_json.h"
#include "base/text.h"
#include "base/units.h"
#include "health/roles.h"

namespace davy::serve {
namespace {

using json = nlohmann::ordered_json;

constexpr std::size_t kLongestText = 200;

std::string dump(const json& j) {
  return j.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

json number(double x) {
  return std::isfinite(x) ? json(x) : json(nullptr);
}

json optional(const std::optional<double>& x) {
  return x ? number(*x) : json(nullptr);
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
          {"updated", d.updated == 0 ? json(nullptr) : json(units::show_time(d.updated))}};
}

json check(const CheckView& c, Time now, bool detail) {
  json out{{"name", c.name},
           {"kind", c.kind},
           {"status", word(health::effective(c))},
           {"state", word(c.status)},
           {"since", units::show_time(c.since)},
           {"time", c.last_seen == 0 ? json(nullptr) : json(units::show_time(c.last_seen))},
           {"age_ms",
            std::chrono::duration_cast<std::chrono::milliseconds>(now - c.last_result).count()},
           {"took_ms", std::chrono::duration<double, std::milli>(c.took).count()},
           {"severity", word(c.severity)},
           {"scope", word(c.scope)},
           {"stale", c.stale},
           {"stuck", c.stuck},
           {"flapping", c.flapping},
           {"consecutive_failures", c.consecutive_failures},
           {"consecutive_successes", c.consecutive_successes},
           {"reason", c.reason}};
  if (c.stuck)
    out["stuck_for_ms"] =
        std::chrono::duration_cast<std::chrono::milliseconds>(c.stuck_for).count();
  if (c.fail_open) out["fail_open"] = true;
  if (c.restored) out["restored"] = true;
  if (!c.instance.empty()) out["instance"] = c.instance;
  if (!c.waits_for.empty()) out["waits_for"] = c.waits_for;
  if (c.muted) {
    out["muted"] = {
        {"by", c.muted->by}, {"why", c.muted->why}, {"until", units::show_time(c.muted->until)}};
  }
  if (!c.unit.empty()) {
    out["observedValue"] = number(c.value);
    out["observedUnit"] = c.unit;
  }
  if (detail && !c.message.empty()) out["output"] = c.message;
  return out;
}

/// A body that is one object of these keys at most.
Result<json> read_object(const std::string& body, const std::vector<std::string>& known) {
  constexpr int kDeepest = 64;
  json in = parse_shallow<json>(body, kDeepest);
  if (!in.is_object()) {
    return Error{
        fmt::format("the body is not a JSON object with the key {}", text::join(known, ", "))};
  }
  for (const auto& [key, value] : in.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      return Error{
          fmt::format("unknown key {} (known: {})", text::quoted(key), text::join(known, ", "))};
    }
  }
  return in;
}

/// The value of the one key that a body may have.
Result<json> only_member(const std::string& body, const std::string& name) {
  Result<json> in = read_object(body, {name});
  if (!in) return in;
  if (!in->contains(name)) return Error{fmt::format("the body has no {}", name)};
  return (*in)[name];
}

/// The text at a key, "" when it is not there.
Result<std::string> text_at(const json& in, const std::string& key) {
  if (!in.contains(key)) return std::string();
  if (!in[key].is_string()) return Error{key + " is not a string"};
  std::string text = in[key];
  if (text.size() > kLongestText) return Error{key + " is longer than 200 bytes"};
  return text;
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

std::string check_page_json(const CheckView& c, Time now) {
  json out = check(c, now, true);
  json also = json::array();
  for (const Measurement& m : c.also)
    also.push_back({{"name", m.name}, {"value", number(m.value)}, {"unit", m.unit}});
  out["measurements"] = also;
  json history = json::array();
  for (const Seen& seen : *c.history) {
    history.push_back({{"time", units::show_time(seen.at)},
                       {"outcome", word(seen.outcome)},
                       {"hard", seen.hard},
                       {"reason", seen.reason},
                       {"took_ms", std::chrono::duration<double, std::milli>(seen.took).count()}});
  }
  out["history"] = history;
  return dump(out);
}

std::string checks_json(const Board& board, Time now) {
  json all = json::array();
  for (const CheckView& c : board.checks) all.push_back(check(c, now, true));
  return dump({{"service", board.service}, {"checks", all}});
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
  if (!role.note.empty()) out["note"] = role.note;
  return dump(out);
}

Result<std::string> read_run_request(const std::string& body) {
  if (body.empty()) return std::string();
  Result<json> revision = only_member(body, "revision");
  if (!revision) return revision.error();
  if (!revision->is_string()) return Error{"revision is not a string (try {\"revision\": \"v2\"})"};
  std::string text = *revision;
  if (text.size() > kLongestText) return Error{"revision is longer than 200 bytes"};
  return text;
}

Result<MuteRequest> read_mute_request(const std::string& body) {
  Result<json> in = read_object(body, {"for", "by", "why"});
  if (!in) return in.error();
  Result<std::string> length = text_at(*in, "for");
  Result<std::string> by = text_at(*in, "by");
  Result<std::string> why = text_at(*in, "why");
  for (const Result<std::string>* one : {&length, &by, &why}) {
    if (!*one) return one->error();
  }
  if (by->empty())
    return Error{"by is missing: who says so? (try {\"for\": \"30m\", \"by\": \"ann\"})"};
  Result<Duration> duration = units::parse_duration(*length);
  if (!duration) return Error{"for: " + duration.error().what};
  constexpr Duration kLongest = std::chrono::hours(24);
  if (*duration <= Duration::zero() || *duration > kLongest)
    return Error{"for must be more than 0s and at most 24h"};
  return MuteRequest{*duration, *by, *why};
}

Result<Heartbeats::Report> read_heartbeat(const std::string& body) {
  Heartbeats::Report report;
  if (body.empty()) return report;
  Result<json> in = read_object(body, {"status", "message"});
  if (!in) return in.error();
  Result<std::string> status = text_at(*in, "status");
  Result<std::string> message = text_at(*in, "message");
  if (!status) return status.error();
  if (!message) return message.error();
  if (*status == "warn") {
    report.said = Heartbeats::Said::Warn;
  } else if (*status == "fail") {
    report.said = Heartbeats::Said::Fail;
  } else if (!status->empty() && *status != "pass") {
    return Error{"status is " + text::quoted(*status) + ", not one of pass, warn, fail"};
  }
  report.message = *message;
  return report;
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
