// PostgreSQL client: one kept connection, queries with a deadline, errors as stable words.
//
// Why: libpqxx throws, blocks and, while connecting, gives the server's answer only as a text in
// the server's language. Here connecting and asking share a deadline, and what goes wrong has a
// reason. libpqxx and libpq are called in postgres.cpp only; libpq is loaded at the first
// connection (lazy_libpq.h).
//
// Safe behind PgBouncer: no `options=` in the startup message (it refuses that) and no SET of a
// session (it would reach the other clients of a pooled connection). Every query is one message
// with its SET LOCAL in front, hence one transaction, also without a pooler: one way is tested, and
// nobody has to say what stands between.
//
// Threading: a client belongs to one thread at a time.
// Failure: a PostgresError. A query never outlasts the deadline. Connecting may, by the 2 s that
// are libpq's shortest timeout.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "davy/call.h"
#include "davy/time.h"
#include "net/postgres_dsn.h"

namespace davy::net {

struct PostgresError {
  std::string reason;  // see probes/postgres_outcome.h for all words
  std::string what;    // one line: who, what it said, its SQLSTATE; never a secret
  bool hard = false;   // asking again will not help
  bool ours = false;   // no descriptors left, no libpq: says nothing about the server
  std::string state;   // SQLSTATE, "" when there is none
};

/// NULL is nullopt.
using PostgresRow = std::vector<std::optional<std::string>>;
using PostgresRows = std::vector<PostgresRow>;

class PostgresClient {
 public:
  /// The session is made anew every `renew_every`, so that logging in goes on being tested. For
  /// that moment it takes a second place of the server; otherwise it never has more than one.
  PostgresClient(PostgresDsn dsn, Duration renew_every);
  ~PostgresClient();

  /// "postgres db:5432/shop"
  const std::string& name() const { return name_; }

  /// Makes sure that there is a session. To be called once before the queries of a run.
  std::optional<PostgresError> begin(const Call& call);
  /// One or several statements, the last one's rows. Asks again in a new session when the kept one
  /// turns out to be closed: that says nothing about the server.
  /// REQUIRES: begin() succeeded.
  std::variant<PostgresRows, PostgresError> query(const std::string& sql, const Call& call);

  /// As 150020; 0 without a session.
  int server_version() const;
  /// The server has no place for a second session, so that the old one was kept.
  const std::optional<PostgresError>& crowded() const { return crowded_; }

 private:
  struct Session;
  std::optional<PostgresError> connect(const Call& call);
  std::optional<PostgresError> connect_to(const PostgresDsn& dsn, Deadline deadline);
  std::variant<PostgresRows, PostgresError> ask(const std::string& sql, const Call& call);

  const PostgresDsn dsn_;
  const Duration renew_every_;
  const std::string name_;
  std::unique_ptr<Session> session_;
  bool is_kept_ = false;  // from an earlier run
  std::optional<PostgresError> crowded_;
};

}  // namespace davy::net
