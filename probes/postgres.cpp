// PostgreSQL: a query of the owner's choice succeeds, the server has the expected role, and, where
// a limit is set, is not full, not locked, not behind.
//
// Fails on: what net/postgres.h cannot do; hard on the wrong role; connections and lag above their
// limits. Warns on what somebody should look at: a lock queue, old transactions, invalid indexes,
// wraparound, a migration's lock. Keeps its one connection: at the server's limit a new one would
// not get in, and each costs the server a process.
// A query never outlasts the deadline. Connecting may, by the 2 s that are libpq's shortest
// timeout.

#include "net/postgres.h"

#include <fmt/format.h>

#include <memory>
#include <optional>

#include "base/units.h"
#include "davy/probe.h"
#include "probes/advisory_lock.h"
#include "probes/findings.h"
#include "probes/postgres_looks.h"
#include "probes/postgres_outcome.h"

namespace davy::probe {
namespace {

constexpr int kOldestForLocks = 140000;
// autovacuum_freeze_max_age is where the server begins by itself; beyond this it does not keep up.
constexpr double kWraparoundFactor = 1.5;
constexpr double kFailsafeAge = 1.6e9;  // vacuum_failsafe_age's default

struct Settings {
  std::string query;
  std::string expect;
  std::optional<double> max_connections_used;
  std::optional<Duration> max_lock_wait;
  std::optional<Duration> max_transaction;
  std::optional<Duration> max_lag;
  bool invalid_indexes = false;
  bool wraparound = false;
  std::string advisory_lock;  // "" = do not look
};

struct Postgres final : Probe {
  Postgres(net::PostgresDsn dsn, Duration renew_every, Settings settings)
      : client_(std::move(dsn), renew_every), set_(std::move(settings)) {}

  Outcome run(const ProbeContext& ctx) override {
    Time start = machine_clock().now();
    Outcome seen = ask(ctx);
    return std::move(seen).measured(seconds(machine_clock().now() - start), "s");
  }

 private:
  Outcome ask(const ProbeContext& ctx) {
    if (std::optional<net::PostgresError> trouble = client_.begin(ctx)) return outcome_of(*trouble);
    std::variant<net::PostgresRows, net::PostgresError> answer = client_.query(set_.query, ctx);
    if (const auto* error = std::get_if<net::PostgresError>(&answer)) return outcome_of(*error);

    Findings findings;
    if (client_.crowded())
      findings.add(Outcome::warned("too_many_connections",
                                   client_.crowded()->what + "; the check's own session works"));
    if (std::string sql = looks(findings); !sql.empty()) {
      answer = client_.query(sql, ctx);
      if (const auto* error = std::get_if<net::PostgresError>(&answer)) return outcome_of(*error);
      judge(std::get<net::PostgresRows>(answer), findings);
    }
    return std::move(findings).worst();
  }

  std::string looks(Findings& findings) const {
    std::vector<std::string> wanted;
    if (set_.expect != "any") wanted.push_back(role_look());
    if (set_.max_connections_used) wanted.push_back(connections_look());
    if (set_.max_lock_wait && client_.server_version() < kOldestForLocks) {
      findings.add(Outcome::warned("unsupported", said("max_lock_wait needs PostgreSQL 14")));
    } else if (set_.max_lock_wait) {
      wanted.push_back(lock_look());
    }
    if (set_.max_transaction) wanted.push_back(transaction_look());
    if (set_.max_lag) wanted.push_back(lag_look());
    if (set_.max_transaction || set_.max_lag) wanted.push_back(monitor_look());
    if (set_.invalid_indexes) wanted.push_back(index_look());
    if (set_.wraparound) wanted.push_back(wraparound_look());
    if (!set_.advisory_lock.empty()) wanted.push_back(advisory_look());
    return text::join(wanted, " UNION ALL ");
  }

  void judge(const net::PostgresRows& rows, Findings& findings) const {
    if (set_.expect != "any") judge_role(row_of_look(rows, "role"), findings);
    if (set_.max_connections_used) judge_connections(row_of_look(rows, "connections"), findings);
    if (LookRow row = row_of_look(rows, "lock"); set_.max_lock_wait) judge_lock(row, findings);
    if (set_.max_transaction) judge_transaction(rows, findings);
    if (set_.max_lag) judge_lag(rows, findings);
    if (set_.invalid_indexes) judge_indexes(row_of_look(rows, "index"), findings);
    if (set_.wraparound) judge_wraparound(row_of_look(rows, "wraparound"), findings);
    if (!set_.advisory_lock.empty()) judge_advisory(rows_of_look(rows, "advisory"), findings);
  }

  std::string said(const std::string& what) const { return client_.name() + ": " + what; }

  void judge_role(const LookRow& row, Findings& findings) const {
    bool is_standby = row.is_true(0);
    if (is_standby != (set_.expect == "standby")) {
      findings.add(Outcome::failed("role",
                                   said(fmt::format("expected {}, is a {}", set_.expect,
                                                    is_standby ? "standby" : "primary")),
                                   Outcome::kHard));
    } else if (!is_standby && row.is_true(1)) {
      findings.add(Outcome::failed("read_only",
                                   said("expected primary, its transactions are read-only "
                                        "(default_transaction_read_only)"),
                                   Outcome::kHard));
    }
  }

  void judge_connections(const LookRow& row, Findings& findings) const {
    double places = std::max(1.0, row.number(1));
    double used = row.number(0) / places;
    findings.measured("connections_used", used, "ratio");
    findings.level_of_fail(used, *set_.max_connections_used);
    if (used <= *set_.max_connections_used) return;
    findings.add(Outcome::failed(
        "connections", said(fmt::format("{:.0f} of {:.0f} connections used ({}), limit {}",
                                        row.number(0), places, units::show_percent(used),
                                        units::show_ratio(*set_.max_connections_used)))));
  }

  void judge_lock(const LookRow& row, Findings& findings) const {
    double waits = row.number(1);
    findings.measured("lock_wait", waits, "s");
    findings.level_of_warn(waits, seconds(*set_.max_lock_wait));
    if (waits <= seconds(*set_.max_lock_wait)) return;
    Outcome queue = Outcome::warned(
        "lock_queue",
        said(fmt::format("an exclusive lock on {} has been waited for for {}, with {} behind it, "
                         "limit {}: a migration blocks the table",
                         text::quoted(row.text(0)), units::show_latency(waits), row.text(2),
                         units::show(*set_.max_lock_wait))));
    queue.blocks_deploy = true;
    findings.add(std::move(queue));
  }

  void judge_transaction(const net::PostgresRows& rows, Findings& findings) const {
    if (is_blind(rows, "max_transaction", findings)) return;
    LookRow row = row_of_look(rows, "transaction");
    double age = row.number(0);
    findings.measured("longest_transaction", age, "s");
    findings.level_of_warn(age, seconds(*set_.max_transaction));
    if (age <= seconds(*set_.max_transaction)) return;
    findings.add(Outcome::warned(
        "long_transaction",
        said(fmt::format("a transaction is {} old ({}), limit {}", units::show_latency(age),
                         row.text(1), units::show(*set_.max_transaction)))));
  }

  void judge_lag(const net::PostgresRows& rows, Findings& findings) const {
    LookRow row = row_of_look(rows, "lag");
    if (!row.is_true(0)) return;  // a primary is not behind
    if (row.is_true(1) && is_blind(rows, "max_lag", findings)) return;
    auto broken = [&](const std::string& what) {
      findings.add(Outcome::failed("not_streaming", said(what)));
    };
    if (!row.is_true(1))
      return broken("the standby receives nothing: no connection to its primary");
    if (row.text(2) != "streaming")
      return broken("the standby does not stream, it is " + text::quoted(row.text(2)));
    if (row.number(3) > row.number(4))
      return broken(fmt::format("nothing came from the primary for {}, expected within {}",
                                units::show_latency(row.number(3)),
                                units::show_latency(row.number(4))));
    double lag = row.number(5);
    findings.measured("lag", lag, "s");
    findings.level_of_fail(lag, seconds(*set_.max_lag));
    if (lag > seconds(*set_.max_lag))
      findings.add(Outcome::failed(
          "lag", said(fmt::format("{} behind its primary, limit {}", units::show_latency(lag),
                                  units::show(*set_.max_lag)))));
  }

  /// The views hide what this look needs.
  bool is_blind(const net::PostgresRows& rows, std::string_view option, Findings& findings) const {
    LookRow monitor = row_of_look(rows, "monitor");
    if (monitor.is_true(0)) return false;
    findings.add(Outcome::warned(
        "no_permission",
        said(fmt::format("{} cannot be judged: GRANT pg_monitor TO {}", option, monitor.text(1)))));
    return true;
  }

  void judge_indexes(const LookRow& row, Findings& findings) const {
    double count = row.number(0);
    findings.measured("invalid_indexes", count, "1");
    if (count == 0) return;
    findings.add(Outcome::warned(
        "invalid_index",
        said(fmt::format("{}, such as {}: a CREATE INDEX CONCURRENTLY failed; drop and build again",
                         text::counted(count, "invalid index", "invalid indexes"),
                         text::quoted(row.text(1))))));
  }

  void judge_wraparound(const LookRow& row, Findings& findings) const {
    double xids = row.number(1);
    double mxids = row.number(3);
    findings.measured("xid_age", xids, "1");
    findings.measured("mxid_age", mxids, "1");
    bool is_urgent = std::max(xids, mxids) > kFailsafeAge;
    bool is_late =
        xids > kWraparoundFactor * row.number(2) || mxids > kWraparoundFactor * row.number(4);
    if (!is_urgent && !is_late) return;
    findings.add(Outcome::warned(
        is_urgent ? "wraparound_near" : "wraparound",
        said(fmt::format("database {} has not been frozen for {} transactions ({} multixacts){}: "
                         "vacuum it",
                         text::quoted(row.text(0)), text::grouped(xids), text::grouped(mxids),
                         is_urgent ? "; at 2,000,000,000 it stops" : ""))));
  }

  void judge_advisory(const std::vector<LookRow>& rows, Findings& findings) const {
    for (const LookRow& row : rows) {
      std::optional<std::int64_t> key = advisory_key(set_.advisory_lock, row.text(0));
      if (!key || std::to_string(*key) != row.text(1)) continue;
      Outcome migrating = Outcome::warned(
          "migrating", said(fmt::format("a migration is running: pid {} holds the advisory lock {}",
                                        row.text(2), set_.advisory_lock)));
      migrating.blocks_deploy = true;
      return findings.add(std::move(migrating));
    }
  }

  net::PostgresClient client_;
  const Settings set_;
};

std::optional<Duration> limit(const Options& options, std::string_view name) {
  return options.has(name) ? std::optional(options.duration(name)) : std::nullopt;
}

Result<std::unique_ptr<Probe>> make(const Options& options) {
  Result<net::PostgresDsn> dsn = net::parse_postgres_dsn(options.text("dsn"));
  if (!dsn) return Error{dsn.error().what, "dsn"};
  Settings settings;
  settings.query = options.text("query");
  settings.expect = options.text("expect");
  if (options.has("max_connections_used"))
    settings.max_connections_used = options.number("max_connections_used");
  settings.max_lock_wait = limit(options, "max_lock_wait");
  settings.max_transaction = limit(options, "max_transaction");
  settings.max_lag = limit(options, "max_lag");
  if (settings.max_lag && settings.expect == "primary")
    return Error{"is for a standby, but expect is primary", "max_lag"};
  settings.invalid_indexes = options.flag("invalid_indexes");
  settings.wraparound = options.flag("wraparound");
  settings.advisory_lock = options.text_or("advisory_lock");
  if (!settings.advisory_lock.empty() && !advisory_key(settings.advisory_lock, ""))
    return Error{text::quoted(settings.advisory_lock) +
                     " is no tool that is known (rails, prisma) and no number of a lock",
                 "advisory_lock"};
  return std::unique_ptr<Probe>(
      new Postgres(std::move(*dsn), options.duration("reconnect_every"), std::move(settings)));
}

}  // namespace

extern const ProbeKind postgres{
    .name = "postgres",
    .summary = "A PostgreSQL server answers a query, has the expected role, and keeps its limits.",
    .reach = ProbeKind::Reach::Remote,
    .options =
        {
            {"dsn", OptionType::Secret, kRequired, "",
             "postgresql://user:password@host/database or \"host=... user=...\"; one host, "
             "PgBouncer too"},
            {"query", OptionType::Text, kOptional, "SELECT 1",
             "must succeed, in a transaction; its rows are not looked at"},
            {"expect",
             OptionType::Choice,
             kOptional,
             "any",
             "the role it must have; a primary must also take writes",
             {"any", "primary", "standby"}},
            {"reconnect_every", OptionType::Duration, kOptional, "5m",
             "a new session this often, so that logging in goes on being tested"},
            {"max_connections_used", OptionType::Ratio, kOptional, "",
             "fails when more of the places for ordinary users are taken, in all databases"},
            {"max_lock_wait", OptionType::Duration, kOptional, "",
             "warns, and blocks deploys, when an exclusive lock on a table is waited for longer "
             "than this with others behind it (PostgreSQL 14)"},
            {"max_transaction", OptionType::Duration, kOptional, "",
             "warns when a transaction, also an idle or a prepared one, is older; needs "
             "pg_monitor"},
            {"max_lag", OptionType::Duration, kOptional, "",
             "fails when a standby is further behind, or when nothing arrives from its primary, "
             "which shows after 3/4 of wal_receiver_timeout; needs pg_monitor"},
            {"invalid_indexes", OptionType::Flag, kOptional, "false",
             "warns about indexes that a failed CREATE INDEX CONCURRENTLY left in this database"},
            {"wraparound", OptionType::Flag, kOptional, "false",
             "warns when vacuum falls behind: 1.5 times autovacuum_freeze_max_age"},
            {"advisory_lock", OptionType::Text, kOptional, "",
             "warns, and blocks deploys, while a migration holds its lock: rails, prisma, or the "
             "number of a lock"},
        },
    .example =
        "{ dsn: \"postgresql://app@127.0.0.1/shop\", expect: primary, "
        "max_connections_used: 90%, max_lock_wait: 2s }",
    .reasons = with_postgres_reasons({
        {"role", "a standby where a primary is expected, or the other way round", true},
        {"connections", "more connections used than max_connections_used"},
        {"lock_queue", "a table's exclusive lock is waited for, and others behind it (warning)"},
        {"long_transaction", "older than max_transaction: it holds back vacuum (warning)"},
        {"lag", "a standby further behind than max_lag"},
        {"not_streaming", "a standby that hears nothing from its primary"},
        {"invalid_index", "left by a failed CREATE INDEX CONCURRENTLY (warning)"},
        {"wraparound", "vacuum does not keep up with freezing (warning)"},
        {"wraparound_near", "beyond vacuum_failsafe_age: act now (warning)"},
        {"migrating", "a migration holds its advisory lock (warning)"},
        {"no_permission", "a look needs a grant, which the message names (warning)"},
        {"unsupported", "the server is too old for a look (warning)"},
    }),
    .make = make,
};

}  // namespace davy::probe
