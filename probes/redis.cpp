// Redis: PING is answered, the server has the expected role, and, where a limit is set, is neither
// full nor behind.
//
// Fails on: what net/redis.h cannot do, hard on auth and permission; hard on the wrong role and on
// a maintenance key; a replica that is behind, memory above its limit, a cluster that is down. A
// server that refuses writes (misconf) warns, or fails when they are expected. PING passes on a
// server that is full or read-only: only a write tells, and only with `write_key` is one made.
// Keeps its connection, and makes a new one after any trouble with it. Never blocks past its
// deadline, except name resolution.

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>

#include "base/text.h"
#include "base/units.h"
#include "davy/probe.h"
#include "net/redis.h"
#include "probes/redis_outcome.h"

namespace davy::probe {
namespace {

struct Settings {
  std::string expect;
  std::string write_key;        // "" = no write
  std::string maintenance_key;  // "" = do not look
  std::optional<Duration> max_replica_age;
  std::optional<double> max_memory_used;
  bool cluster = false;
  std::vector<net::Endpoint> sentinels;
  std::string sentinel_name;
};

struct Redis final : Probe {
  Redis(net::RedisTarget target, Settings settings)
      : target_(std::move(target)), set_(std::move(settings)) {
    if (set_.sentinels.empty()) client_ = std::make_unique<net::RedisClient>(target_);
  }

  Outcome run(const ProbeContext& ctx) override {
    Time start = machine_clock().now();
    Findings findings;
    ask(ctx, findings);
    return std::move(findings).worst().measured(seconds(machine_clock().now() - start), "s");
  }

 private:
  void ask(const ProbeContext& ctx, Findings& findings) {
    if (!set_.sentinels.empty() && !find_primary(ctx, findings)) return;
    if (std::optional<net::RedisError> trouble = client_->begin(ctx))
      return findings.add(outcome_of(*trouble));
    if (!ping(ctx, findings)) return;
    if (set_.expect != "any" && !check_role(ctx, findings)) return;
    if (!set_.maintenance_key.empty()) check_maintenance(ctx, findings);
    if (set_.max_replica_age) check_replica(ctx, findings);
    if (set_.max_memory_used) check_memory(ctx, findings);
    if (set_.cluster) check_cluster(ctx, findings);
    if (!set_.write_key.empty()) write(ctx, findings);
  }

  /// The server on which sentinels agree, which changes with a failover.
  bool find_primary(const ProbeContext& ctx, Findings& findings) {
    std::string last = "none was asked";
    for (std::size_t i = 0; i < set_.sentinels.size() && !ctx.deadline.expired(); ++i) {
      net::RedisTarget at;
      at.at = set_.sentinels[i];
      auto still_to_try = static_cast<Duration::rep>(set_.sentinels.size() - i + 1);
      Deadline share = Deadline::in(ctx.deadline.left() / still_to_try);
      net::RedisClient sentinel(at);
      std::optional<net::RedisError> trouble = sentinel.begin(ctx.until(share));
      net::RedisAnswer answer;
      if (!trouble)
        answer = sentinel.command({"SENTINEL", "get-master-addr-by-name", set_.sentinel_name},
                                  ctx.until(share));
      if (!trouble && std::holds_alternative<net::RedisError>(answer))
        trouble = std::get<net::RedisError>(answer);
      if (trouble) {
        last = trouble->what;
        continue;
      }
      const net::RedisReply& reply = std::get<net::RedisReply>(answer);
      if (reply.items.size() == 2 && use(reply.items[0].text, reply.items[1].text)) return true;
      last = sentinel.name() + ": knows no primary " + text::quoted(set_.sentinel_name);
    }
    findings.add(Outcome::failed("no_sentinel", "no sentinel names a primary; " + last));
    return false;
  }

  bool use(const std::string& host, const std::string& port) {
    Result<net::Endpoint> at = net::parse_endpoint(
        host.find(':') == std::string::npos ? host + ":" + port : "[" + host + "]:" + port);
    if (!at) return false;
    bool is_same = client_ && at->text() == target_.at.text();
    target_.at = *at;
    if (!is_same) client_ = std::make_unique<net::RedisClient>(target_);
    return true;
  }

  bool ping(const ProbeContext& ctx, Findings& findings) {
    net::RedisAnswer answer = client_->command({"PING"}, ctx);
    if (const auto* error = std::get_if<net::RedisError>(&answer)) {
      // After a failed save Redis refuses writes, and PING with them; reads still work.
      bool is_fatal = error->reason != "misconf" || set_.expect == "writable";
      findings.add(is_fatal ? outcome_of(*error) : Outcome::warned("misconf", error->what));
      return !is_fatal;
    }
    const net::RedisReply& reply = std::get<net::RedisReply>(answer);
    if (reply.text == "PONG") return true;
    bool is_text = reply.kind == net::RedisReply::Kind::Text;
    findings.add(Outcome::failed("protocol",
                                 said("PING: expected \"PONG\", got " +
                                      (is_text ? text::quoted(reply.text) : "\"another type\""))));
    return false;
  }

  bool check_role(const ProbeContext& ctx, Findings& findings) {
    net::RedisAnswer answer = client_->command({"ROLE"}, ctx);
    if (const auto* error = std::get_if<net::RedisError>(&answer)) {
      findings.add(outcome_of(*error));
      return false;
    }
    const net::RedisReply& reply = std::get<net::RedisReply>(answer);
    if (reply.items.empty() || reply.items[0].kind != net::RedisReply::Kind::Text) {
      findings.add(Outcome::failed("protocol", said("ROLE: expected a role, got something else")));
      return false;
    }
    const std::string& role = reply.items[0].text;
    if (role == (set_.expect == "replica" ? "slave" : "master")) return true;
    findings.add(Outcome::failed(
        "role", said("expected " + set_.expect + ", got role " + text::quoted(role)),
        Outcome::kHard));
    return false;
  }

  void check_maintenance(const ProbeContext& ctx, Findings& findings) {
    net::RedisAnswer answer = client_->command({"EXISTS", set_.maintenance_key}, ctx);
    if (const auto* error = std::get_if<net::RedisError>(&answer))
      return findings.add(outcome_of_look(*error));
    if (std::get<net::RedisReply>(answer).integer == 0) return;
    findings.add(Outcome::failed("maintenance",
                                 said("the key " + text::quoted(set_.maintenance_key) + " exists"),
                                 Outcome::kHard));
  }

  void check_replica(const ProbeContext& ctx, Findings& findings) {
    std::optional<std::string> info = ask_info("replication", ctx, findings);
    if (!info || info_field(*info, "role") != "slave") return;  // a primary is not behind
    double age = std::atof(info_field(*info, "master_last_io_seconds_ago").c_str());
    double limit = seconds(*set_.max_replica_age);
    std::string link = info_field(*info, "master_link_status");
    if (link != "up") {
      bool is_syncing = info_field(*info, "master_sync_in_progress") == "1";
      return findings.add(Outcome::failed(
          "link_down", said(is_syncing ? "the replica copies its primary's data for the first time"
                                       : "the replica has no connection to its primary")));
    }
    findings.measured("replica_age", age, "s");
    findings.level_of_fail(age, limit);
    if (age <= limit) return;
    findings.add(Outcome::failed(
        "lag", said(fmt::format("nothing came from the primary for {}, limit {}",
                                units::show_latency(age), units::show(*set_.max_replica_age)))));
  }

  void check_memory(const ProbeContext& ctx, Findings& findings) {
    std::optional<std::string> info = ask_info("memory", ctx, findings);
    if (!info) return;
    double used = std::atof(info_field(*info, "used_memory").c_str());
    double most = std::atof(info_field(*info, "maxmemory").c_str());
    std::string policy = info_field(*info, "maxmemory_policy");
    findings.measured("memory", used, "bytes");
    if (most <= 0)
      return findings.add(Outcome::passed("max_memory_used is not judged: maxmemory is 0"));
    double ratio = used / most;
    findings.measured("memory_used", ratio, "ratio");
    // A cache that evicts is meant to be full.
    bool is_fatal = policy == "noeviction";
    is_fatal ? findings.level_of_fail(ratio, *set_.max_memory_used)
             : findings.level_of_warn(ratio, *set_.max_memory_used);
    if (ratio <= *set_.max_memory_used) return;
    std::string what = said(fmt::format(
        "{} of {} used ({}), limit {}, policy {}", units::show_bytes(used), units::show_bytes(most),
        units::show_percent(ratio), units::show_ratio(*set_.max_memory_used), policy));
    findings.add(is_fatal ? Outcome::failed("memory", what) : Outcome::warned("memory", what));
  }

  void check_cluster(const ProbeContext& ctx, Findings& findings) {
    net::RedisAnswer answer = client_->command({"CLUSTER", "INFO"}, ctx);
    if (const auto* error = std::get_if<net::RedisError>(&answer)) {
      bool is_single = error->what.find("cluster support disabled") != std::string::npos;
      return findings.add(is_single ? Outcome::failed("not_a_cluster", error->what, Outcome::kHard)
                                    : outcome_of_look(*error));
    }
    std::string state = info_field("\n" + std::get<net::RedisReply>(answer).text, "cluster_state");
    if (state == "ok") return;
    findings.add(Outcome::failed("clusterdown", said("cluster_state is " + text::quoted(state))));
  }

  void write(const ProbeContext& ctx, Findings& findings) {
    net::RedisAnswer answer = client_->command({"SET", set_.write_key, "1", "EX", "60"}, ctx);
    if (const auto* error = std::get_if<net::RedisError>(&answer)) findings.add(outcome_of(*error));
  }

  std::optional<std::string> ask_info(const std::string& section, const ProbeContext& ctx,
                                      Findings& findings) {
    net::RedisAnswer answer = client_->command({"INFO", section}, ctx);
    if (const auto* error = std::get_if<net::RedisError>(&answer)) {
      findings.add(outcome_of_look(*error));
      return std::nullopt;
    }
    return std::get<net::RedisReply>(answer).text;
  }

  std::string said(const std::string& what) const { return client_->name() + ": " + what; }

  net::RedisTarget target_;  // where the primary was last, when sentinels say
  const Settings set_;
  std::unique_ptr<net::RedisClient> client_;
};

Result<std::unique_ptr<Probe>> make(const Options& options) {
  Result<net::RedisTarget> target = net::parse_redis_url(options.text("url"));
  if (!target) return target.error();
  Settings settings;
  settings.expect = options.text("expect");
  settings.write_key = options.text_or("write_key");
  settings.maintenance_key = options.text_or("maintenance_key");
  if (options.has("max_replica_age"))
    settings.max_replica_age = options.duration("max_replica_age");
  if (options.has("max_memory_used")) settings.max_memory_used = options.number("max_memory_used");
  settings.cluster = options.flag("cluster");
  settings.sentinel_name = options.text_or("sentinel_name");
  if (options.has("sentinels")) {
    for (const std::string& written : options.list("sentinels")) {
      Result<net::Endpoint> at = net::parse_endpoint(written);
      if (!at) return Error{at.error().what, "sentinels"};
      settings.sentinels.push_back(*at);
    }
  }
  if (!settings.write_key.empty() && settings.expect != "writable")
    return Error{"needs expect: writable", "write_key"};
  if (settings.max_replica_age && (settings.expect == "primary" || settings.expect == "writable"))
    return Error{"is for a replica, but expect is " + settings.expect, "max_replica_age"};
  if (settings.sentinels.empty() != settings.sentinel_name.empty())
    return Error{"sentinels and sentinel_name go together",
                 settings.sentinels.empty() ? "sentinel_name" : "sentinels"};
  if (!settings.sentinels.empty()) {
    if (settings.expect == "replica")
      return Error{"sentinels name the primary, but expect is replica", "sentinels"};
    // The sentinels' word is not enough: it is late during a failover.
    if (settings.expect == "any") settings.expect = "primary";
  }
  return std::unique_ptr<Probe>(new Redis(std::move(*target), std::move(settings)));
}

}  // namespace

extern const ProbeKind redis{
    .name = "redis",
    .summary = "A Redis server answers PING, has the expected role, and keeps its limits.",
    .reach = ProbeKind::Reach::Remote,
    .options =
        {
            {"url", OptionType::Secret, kRequired, "",
             "redis://[user:password@]host[:port][/database], rediss:// for TLS (hiredis 1.0, "
             "Debian 13), or unix://[user:password@]/path[?db=N]"},
            {"expect",
             OptionType::Choice,
             kOptional,
             "any",
             "the role it must have; writable is a primary that also takes writes",
             {"any", "primary", "replica", "writable"}},
            {"write_key", OptionType::Text, kOptional, "",
             "with expect: writable, sets this key for 60 s at every run; only a write shows a "
             "full "
             "or a paused server"},
            {"max_replica_age", OptionType::Duration, kOptional, "",
             "a replica fails when it heard nothing from its primary for longer; one that works "
             "hears something every 10 s (repl-ping-replica-period)"},
            {"max_memory_used", OptionType::Ratio, kOptional, "",
             "share of maxmemory; above it fails, or warns when the policy evicts keys"},
            {"cluster", OptionType::Flag, kOptional, "false",
             "the node's cluster_state must be ok"},
            {"maintenance_key", OptionType::Text, kOptional, "",
             "fails at once while this key exists: a switch to take everything out of service"},
            {"sentinels", OptionType::TextList, kOptional, "",
             "host:port of sentinels (without a password): the server they name is asked, and must "
             "be a primary; the url says only user, password and database"},
            {"sentinel_name", OptionType::Text, kOptional, "",
             "the name under which the sentinels know the primary, such as mymaster"},
        },
    .example = "{ url: \"redis://127.0.0.1:6379/0\", expect: writable, max_memory_used: 90% }",
    .reasons = with_redis_reasons({
        {"role", "a replica where a primary is expected, or the other way round", true},
        {"maintenance", "the maintenance key exists", true},
        {"link_down", "a replica without a connection to its primary"},
        {"lag", "a replica that heard nothing for longer than max_replica_age"},
        {"memory", "more memory used than max_memory_used (warning when keys are evicted)"},
        {"not_a_cluster", "the server has no cluster mode", true},
        {"no_sentinel", "no sentinel answered with a primary's address"},
    }),
    .make = make,
};

}  // namespace davy::probe
