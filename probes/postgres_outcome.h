// What the probes that ask PostgreSQL make of its errors, and the words they share.
#pragma once

#include <vector>

#include "davy/probe.h"
#include "net/postgres.h"

namespace davy::probe {

inline Outcome outcome_of(const net::PostgresError& error) {
  if (error.ours) return Outcome::unable(error.reason, error.what);
  return Outcome::failed(error.reason, error.what, error.hard);
}

/// The client's words, and those of the kind itself.
inline std::vector<ProbeKind::Reason> with_postgres_reasons(std::vector<ProbeKind::Reason> own) {
  constexpr bool kHard = true;
  std::vector<ProbeKind::Reason> all = {
      {"resolve", "the host's name has no address"},
      {"refused", "nothing listens there: the server is down, or the port is wrong"},
      {"unreachable", "no route to the host"},
      {"timeout", "no connection or no answer in time; the server hangs, or is behind a firewall"},
      {"closed", "the connection ended in the middle"},
      {"tls", "no TLS session: certificate, or what sslmode asks for"},
      {"protocol", "what answers is not PostgreSQL"},
      {"auth", "wrong password, unknown role, or pg_hba.conf does not let it in", kHard},
      {"no_such_database", "the server has no database of this name", kHard},
      {"too_many_connections",
       "no place for another connection; a warning when the check still "
       "has its own"},
      {"starting", "starts, or replays its log after a crash: wait"},
      {"stopping", "is being shut down"},
      {"settings", "libpq or PgBouncer does not take a setting of the dsn", kHard},
      {"connect", "refused for another reason, see the message"},
      {"backend_down",
       "PgBouncer works, its server does not; it asks again after "
       "server_login_retry (15 s)"},
      {"pool_full",
       "PgBouncer had no server connection in query_wait_timeout: its server is down, "
       "or its pool too small"},
      {"disabled", "PgBouncer's administrator disabled the database", kHard},
      {"query", "the query failed; hard when it is wrong in itself (SQLSTATE class 42)"},
      {"permission", "the role may not do this (SQLSTATE 42501)", kHard},
      {"read_only", "a write in a session that may only read", kHard},
      {"lock_timeout", "a lock was not to be had in time (SQLSTATE 55P03)"},
      {"conflict", "serialization failure or deadlock"},
      {"disk_full", "no space left where the server writes (SQLSTATE 53100)"},
      {"resources_of_server", "the server is out of memory or past a limit (class 53)"},
      {"io", "the server could not read or write a file (class 58)"},
      {"corrupt", "the server found corrupted data", kHard},
      {"resources", "davy has no descriptors left: says nothing about the server"},
      {"no_libpq", "PostgreSQL's client library is not here: install libpq5"},
  };
  all.insert(all.end(), own.begin(), own.end());
  return all;
}

}  // namespace davy::probe
