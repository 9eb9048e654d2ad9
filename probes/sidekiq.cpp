// Sidekiq: its queues are worked off, and processes are there to do so.
//
// Fails on: the oldest job of a queue waiting longer than max_latency; no process with a fresh
// heartbeat; hard on a queue that has never existed: a misspelt one would read as empty, hence
// healthy, for ever. Warns on paused queues, on processes that all finish, and on scheduled jobs
// that nobody enqueues. Fails with Redis as the redis probe does.
// Restarting web processes drains no queue: this belongs to `severity: info` or `degrading` there.
// Keys and formats are those of Sidekiq 4 to 8. Never blocks past its deadline, except name
// resolution.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/shallow_json.h"
#include "base/text.h"
#include "base/units.h"
#include "davy/probe.h"
#include "net/redis.h"
#include "probes/findings.h"
#include "probes/redis_outcome.h"

namespace davy::probe {
namespace {

struct Settings {
  std::vector<std::string> queues;  // empty = all that Sidekiq knows
  Duration max_latency;
  Duration max_beat_age;
  std::string prefix;  // "namespace:", or ""
};

double now_seconds() {
  return static_cast<double>(machine_clock().wall()) / 1000;
}

/// When a job was enqueued, in seconds since 1970. Sidekiq 8 writes whole milliseconds, older ones
/// seconds with a fraction; Sidekiq itself tells them apart by their type.
std::optional<double> enqueued_at(const std::string& job) {
  // Its own members; not the job's arguments, of any size and depth.
  nlohmann::json parsed = parse_shallow(job, 2);
  if (!parsed.is_object()) return std::nullopt;
  for (const char* key : {"enqueued_at", "created_at"}) {
    auto found = parsed.find(key);
    if (found == parsed.end()) continue;
    if (found->is_number_integer()) return found->get<double>() / 1000;
    if (found->is_number_float()) return found->get<double>();
  }
  return std::nullopt;
}

struct Sidekiq final : Probe {
  Sidekiq(net::RedisTarget target, Settings settings)
      : client_(std::move(target)), set_(std::move(settings)) {}

  Outcome run(const ProbeContext& ctx) override {
    if (std::optional<net::RedisError> trouble = client_.begin(ctx)) return outcome_of(*trouble);
    Findings findings;
    double worst = 0;
    bool went_through = check_queues(ctx, findings, worst) && check_processes(ctx, findings) &&
                        check_sets(ctx, findings);
    Outcome seen = std::move(findings).worst();
    return went_through ? std::move(seen).measured(worst, "s") : std::move(seen);
  }

 private:
  /// Nothing when the command failed, which is then among the findings.
  std::optional<net::RedisReply> ask(const std::vector<std::string>& words, const ProbeContext& ctx,
                                     Findings& findings) {
    net::RedisAnswer answer = client_.command(words, ctx);
    if (auto* reply = std::get_if<net::RedisReply>(&answer)) return std::move(*reply);
    findings.add(outcome_of(std::get<net::RedisError>(answer)));
    return std::nullopt;
  }

  std::optional<std::set<std::string>> members(const std::string& key, const ProbeContext& ctx,
                                               Findings& findings) {
    std::optional<net::RedisReply> reply = ask({"SMEMBERS", set_.prefix + key}, ctx, findings);
    if (!reply) return std::nullopt;
    std::set<std::string> names;
    for (const net::RedisReply& item : reply->items) names.insert(item.text);
    return names;
  }

  bool check_queues(const ProbeContext& ctx, Findings& findings, double& worst) {
    std::optional<std::set<std::string>> known = members("queues", ctx, findings);
    if (!known) return false;
    std::optional<std::set<std::string>> paused = members("paused", ctx, findings);
    if (!paused) return false;
    seen_.insert(known->begin(), known->end());
    std::vector<std::string> names = set_.queues;
    if (names.empty()) names.assign(known->begin(), known->end());
    for (const std::string& name : names) {
      std::optional<net::RedisReply> oldest =
          ask({"LINDEX", set_.prefix + "queue:" + name, "-1"}, ctx, findings);
      if (!oldest) return false;
      bool is_empty = oldest->kind == net::RedisReply::Kind::Nil;
      if (!is_empty) seen_.insert(name);
      if (seen_.count(name) == 0) {
        findings.add(Outcome::failed(
            "unknown_queue",
            said(fmt::format("queue {} does not exist; there are: {}", text::quoted(name),
                             text::join({known->begin(), known->end()}, ", "))),
            Outcome::kHard));
        continue;
      }
      double latency = is_empty ? 0 : latency_of(name, oldest->text, findings);
      findings.measured(name + ".latency", latency, "s");
      worst = std::max(worst, latency);
      judge_queue(name, latency, paused->count(name) > 0, findings);
    }
    return true;
  }

  double latency_of(const std::string& name, const std::string& job, Findings& findings) const {
    std::optional<double> since = enqueued_at(job);
    if (!since)
      findings.add(Outcome::failed(
          "protocol", said("queue " + text::quoted(name) + " holds what is not a Sidekiq job")));
    // The clock that wrote it may be ahead of ours.
    return since ? std::max(0.0, now_seconds() - *since) : 0;
  }

  void judge_queue(const std::string& name, double latency, bool is_paused,
                   Findings& findings) const {
    if (is_paused)  // whoever paused it knows that it waits
      return findings.add(
          Outcome::warned("paused", said("queue " + text::quoted(name) + " is paused")));
    findings.level_of_fail(latency, seconds(set_.max_latency));
    if (latency <= seconds(set_.max_latency)) return;
    findings.add(Outcome::failed(
        "latency",
        said(fmt::format("queue {}: the oldest job waits for {}, limit {}", text::quoted(name),
                         units::show_latency(latency), units::show(set_.max_latency)))));
  }

  bool check_processes(const ProbeContext& ctx, Findings& findings) {
    std::optional<std::set<std::string>> identities = members("processes", ctx, findings);
    if (!identities) return false;
    int alive = 0;
    int quiet = 0;
    double youngest = std::numeric_limits<double>::infinity();
    for (const std::string& identity : *identities) {
      std::optional<net::RedisReply> hash =
          ask({"HMGET", set_.prefix + identity, "beat", "quiet"}, ctx, findings);
      if (!hash) return false;
      // The hash expires after 60 s, its name stays in the set until another process cleans up.
      if (hash->items.size() != 2 || hash->items[0].kind != net::RedisReply::Kind::Text) continue;
      double age = std::max(0.0, now_seconds() - std::atof(hash->items[0].text.c_str()));
      youngest = std::min(youngest, age);
      if (age > seconds(set_.max_beat_age)) continue;
      ++alive;
      if (hash->items[1].text == "true") ++quiet;
    }
    findings.measured("processes", alive, "1");
    if (alive == 0) {
      std::string last = std::isinf(youngest)
                             ? "none has left a heartbeat"
                             : "the last heartbeat is " + units::show_latency(youngest) + " old";
      findings.add(Outcome::failed(
          "no_process", said(fmt::format("no Sidekiq process with a heartbeat within {}: {}",
                                         units::show(set_.max_beat_age), last))));
    } else if (alive == quiet) {
      findings.add(Outcome::warned(
          "quiet", said("all Sidekiq processes finish their jobs and take no new ones")));
    }
    return true;
  }

  bool check_sets(const ProbeContext& ctx, Findings& findings) {
    for (const char* name : {"retry", "dead", "schedule"}) {
      std::optional<net::RedisReply> size = ask({"ZCARD", set_.prefix + name}, ctx, findings);
      if (!size) return false;
      findings.measured(name, static_cast<double>(size->integer), "1");
    }
    std::optional<net::RedisReply> next =
        ask({"ZRANGE", set_.prefix + "schedule", "0", "0", "WITHSCORES"}, ctx, findings);
    if (!next) return false;
    if (next->items.size() != 2) return true;
    double overdue = std::max(0.0, now_seconds() - std::atof(next->items[1].text.c_str()));
    findings.measured("schedule.overdue", overdue, "s");
    findings.level_of_warn(overdue, seconds(set_.max_latency));
    if (overdue > seconds(set_.max_latency))
      findings.add(Outcome::warned(
          "overdue",
          said(fmt::format("a scheduled job is overdue for {}, limit {}",
                           units::show_latency(overdue), units::show(set_.max_latency)))));
    return true;
  }

  std::string said(const std::string& what) const {
    return "sidekiq, " + client_.name() + ": " + what;
  }

  net::RedisClient client_;
  const Settings set_;
  std::set<std::string> seen_;  // queues that exist or existed; Sidekiq forgets those it clears
};

Result<std::unique_ptr<Probe>> make(const Options& options) {
  Result<net::RedisTarget> target = net::parse_redis_url(options.text("url"));
  if (!target) return target.error();
  Settings settings;
  if (options.has("queues")) settings.queues = options.list("queues");
  settings.max_latency = options.duration("max_latency");
  settings.max_beat_age = options.duration("max_beat_age");
  if (options.has("namespace")) settings.prefix = options.text("namespace") + ":";
  for (const std::string& name : settings.queues) {
    if (name.empty()) return Error{"holds an empty name of a queue", "queues"};
  }
  return std::unique_ptr<Probe>(new Sidekiq(std::move(*target), std::move(settings)));
}

}  // namespace

extern const ProbeKind sidekiq{
    .name = "sidekiq",
    .summary =
        "Sidekiq's queues are worked off in time. For web processes let it be `severity: "
        "info` or `degrading`: restarting them drains no queue.",
    .reach = ProbeKind::Reach::Remote,
    .options =
        {
            {"url", OptionType::Secret, kRequired, "",
             "the Redis of Sidekiq, as in the redis kind"},
            {"queues", OptionType::TextList, kOptional, "",
             "the queues to look at; a name that never existed fails. None: all there are"},
            {"max_latency", OptionType::Duration, kOptional, "5m",
             "how long the oldest job of a queue may wait; a separate check per kind of queue lets "
             "them differ"},
            {"max_beat_age", OptionType::Duration, kOptional, "60s",
             "a process that has not reported for longer counts as gone; they report every 10 s"},
            {"namespace", OptionType::Text, kOptional, "",
             "the prefix of Sidekiq's keys (redis-namespace, before Sidekiq 7)"},
        },
    .example = "{ url: \"redis://127.0.0.1:6379/0\", queues: [default, mailers], max_latency: 2m }",
    .reasons = with_redis_reasons({
        {"latency", "a job waits for longer than max_latency"},
        {"unknown_queue",
         "the queue never existed: its name is misspelt, or nothing was enqueued "
         "yet",
         true},
        {"no_process", "no Sidekiq process has reported lately"},
        {"quiet", "all processes finish and take no new jobs (warning)"},
        {"paused", "a queue is paused (warning)"},
        {"overdue", "scheduled jobs are not enqueued in time (warning)"},
    }),
    .doubt_in_readiness =
        "a web process that leaves rotation drains no queue (severity: info or "
        "degrading)",
    .make = make,
};

}  // namespace davy::probe
