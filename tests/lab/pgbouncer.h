// A private PgBouncer in front of a lab::Postgres: transaction pooling, user app, database shop.
#pragma once

#include <optional>
#include <string>

#include "lab/postgres.h"
#include "lab/process.h"

namespace davy::lab {

class PgBouncer {
 public:
  /// `settings` are lines of its [pgbouncer] section: "query_wait_timeout = 1\n". Throws when it
  /// does not start.
  explicit PgBouncer(const Postgres& server, const std::string& settings = "");

  std::string dsn(const std::string& user_info = "app", const std::string& database = "shop") const;
  /// Sends a command to its admin console and returns what psql prints.
  std::string admin(const std::string& command) const;
  void start();
  void kill() { process_->kill(); }

 private:
  TempDir dir_;
  std::string bin_;
  int port_;
  std::optional<Process> process_;
};

}  // namespace davy::lab
