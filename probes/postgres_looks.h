// What the postgres probe can look at beside its query: the SQL of each look, and its verdict.
//
// Each look gives rows of its name and up to six texts; those that are switched on go in one UNION,
// hence one round trip. None needs more rights than it says: what a view hides without pg_monitor
// comes as NULL, which is a warning that names the missing grant, never a pass.
// All texts were tried with PostgreSQL 15; 14 is the oldest that has pg_locks.waitstart.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"
#include "base/units.h"
#include "davy/probe.h"
#include "net/postgres.h"

namespace davy::probe {

constexpr std::size_t kLookColumns = 6;

/// A row of a look as SQL.
inline std::string look(std::string_view name, const std::vector<std::string>& values,
                        const std::string& rest = "") {
  std::string sql = fmt::format("(SELECT '{}'::text", name);
  for (std::size_t i = 0; i < kLookColumns; ++i) {
    sql += i < values.size() ? ", (" + values[i] + ")::text" : ", NULL::text";
  }
  return sql + " " + rest + ")";
}

inline std::string setting_number(std::string_view name) {
  return fmt::format("SELECT setting::float8 FROM pg_settings WHERE name = '{}'", name);
}

inline std::string role_look() {
  return look("role", {"pg_is_in_recovery()", "current_setting('transaction_read_only')"});
}

/// What hides behind NULL for those who may not see it.
inline std::string monitor_look() {
  return look("monitor",
              {"pg_has_role('pg_read_all_stats', 'USAGE')", "quote_ident(current_user)"});
}

/// Not by pg_stat_activity: without pg_monitor it shows one's own session only.
inline std::string connections_look() {
  return look("connections", {"SELECT sum(numbackends) FROM pg_stat_database",
                              "current_setting('max_connections')::int - "
                              "current_setting('superuser_reserved_connections')::int - "
                              "coalesce(current_setting('reserved_connections', true)::int, 0)"});
}

/// The oldest lock that nobody can get past and behind which others already wait: a migration is
/// about to freeze a table. pg_locks needs no rights.
inline std::string lock_look() {
  return look(
      "lock",
      {"l.relation::regclass", "extract(epoch FROM clock_timestamp() - l.waitstart)", "b.behind"},
      "FROM pg_locks l CROSS JOIN LATERAL (SELECT count(*) AS behind FROM pg_locks o WHERE NOT "
      "o.granted AND o.locktype = 'relation' AND o.database = l.database AND o.relation = "
      "l.relation AND o.waitstart > l.waitstart) b WHERE NOT l.granted AND l.mode = "
      "'AccessExclusiveLock' AND l.locktype = 'relation' AND l.database = (SELECT oid FROM "
      "pg_database WHERE datname = current_database()) AND b.behind > 0 ORDER BY l.waitstart LIMIT "
      "1");
}

inline std::string transaction_look() {
  return look("transaction", {"extract(epoch FROM clock_timestamp() - t.since)", "t.what"},
              "FROM (SELECT xact_start AS since, state || ', pid ' || pid || ', database ' || "
              "coalesce(datname, '?') AS what FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
              "AND backend_type = 'client backend' AND xact_start IS NOT NULL UNION ALL SELECT "
              "prepared, 'prepared transaction ' || quote_literal(gid) FROM pg_prepared_xacts) t "
              "ORDER BY t.since LIMIT 1");
}

/// A standby's own numbers cannot tell an idle primary from a dead one: the age of the last replay
/// grows on an idle pair, and received = replayed holds when nothing arrives any more. So the
/// stream itself must be alive. An idle primary is silent until the receiver asks, which it does
/// after half of wal_receiver_timeout (measured: every 30 s by default), and the receiver gives up
/// after all of it: the limit lies between.
inline std::string lag_look() {
  std::string fresh = fmt::format(
      "SELECT CASE WHEN t.ms = 0 THEN 'Infinity'::float8 ELSE 0.75 * t.ms / 1000 END "
      "FROM ({}) t(ms)",
      setting_number("wal_receiver_timeout"));
  std::string replay_age =
      "CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0 ELSE "
      "extract(epoch FROM clock_timestamp() - coalesce(pg_last_xact_replay_timestamp(), "
      "pg_postmaster_start_time())) END";
  return look(
      "lag",
      {"pg_is_in_recovery()", "r.pid IS NOT NULL", "r.status",
       "extract(epoch FROM clock_timestamp() - r.last_msg_receipt_time)", fresh, replay_age},
      "FROM (SELECT 1) one LEFT JOIN pg_stat_wal_receiver r ON true");
}

/// An index is invalid too while CREATE INDEX CONCURRENTLY still builds it. Whose table is hidden
/// (no pg_monitor) may be any of them.
inline std::string index_look() {
  return look("index", {"count(*)", "min(i.indexrelid::regclass::text)"},
              "FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid LEFT JOIN "
              "pg_stat_progress_create_index p ON p.datname = current_database() AND (p.relid = "
              "i.indrelid OR p.relid IS NULL) WHERE NOT i.indisvalid AND c.relkind = 'i' AND p.pid "
              "IS NULL");
}

inline std::string wraparound_look() {
  return look("wraparound", {"d.datname", "d.xids", "d.most_xids", "d.mxids", "d.most_mxids"},
              "FROM (SELECT datname, age(datfrozenxid) AS xids, mxid_age(datminmxid) AS mxids, "
              "current_setting('autovacuum_freeze_max_age')::float8 AS most_xids, "
              "current_setting('autovacuum_multixact_freeze_max_age')::float8 AS most_mxids FROM "
              "pg_database) d ORDER BY greatest(d.xids / d.most_xids, d.mxids / d.most_mxids) DESC "
              "LIMIT 1");
}

/// Locks on a bigint key, as migration tools take them.
inline std::string advisory_look() {
  return look("advisory", {"current_database()", "(classid::bigint << 32) | objid::bigint", "pid"},
              "FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND database "
              "= (SELECT oid FROM pg_database WHERE datname = current_database())");
}

/// The rows of one look, as numbers where they are.
class LookRow {
 public:
  explicit LookRow(const net::PostgresRow* row) : row_(row) {}
  explicit operator bool() const { return row_ != nullptr; }
  bool has(std::size_t i) const {
    return row_ != nullptr && i + 1 < row_->size() && (*row_)[i + 1];
  }
  std::string text(std::size_t i) const { return has(i) ? *(*row_)[i + 1] : ""; }
  bool is_true(std::size_t i) const { return text(i) == "true" || text(i) == "on"; }
  double number(std::size_t i) const {  // "Infinity" too
    return has(i) ? std::strtod(text(i).c_str(), nullptr) : 0;
  }

 private:
  const net::PostgresRow* row_;
};

inline std::vector<LookRow> rows_of_look(const net::PostgresRows& rows, std::string_view name) {
  std::vector<LookRow> found;
  for (const net::PostgresRow& row : rows) {
    if (!row.empty() && row[0] && *row[0] == name) found.emplace_back(&row);
  }
  return found;
}
inline LookRow row_of_look(const net::PostgresRows& rows, std::string_view name) {
  std::vector<LookRow> found = rows_of_look(rows, name);
  return found.empty() ? LookRow(nullptr) : found.front();
}

}  // namespace davy::probe
