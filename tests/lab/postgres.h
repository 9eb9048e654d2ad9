// A private PostgreSQL cluster on a free loopback port.
//
// It knows three users: `postgres` and `app` without a password, `locked` with the password
// "secret", and two databases: `postgres` and `shop`. Nothing is synced to disk.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lab/process.h"

namespace davy::lab {

class Postgres {
 public:
  /// The cluster that all tests of this program share; made once. A test leaves it as it found it.
  static Postgres& shared();

  Postgres();
  ~Postgres();

  int port() const { return port_; }
  /// "postgresql://user@127.0.0.1:port/database"
  std::string dsn(const std::string& user_info = "app", const std::string& database = "shop") const;
  /// Runs SQL as the superuser and returns what psql prints.
  std::string psql(const std::string& sql) const;

  void start(const std::vector<std::string>& settings = {});  // as for -c: "max_connections=5"
  void stop();  // ends sessions, as `pg_ctl stop -m fast`
  void pause() { process_->pause(); }
  void resume() { process_->resume(); }

 private:
  TempDir dir_;
  std::string bin_;
  int port_;
  std::optional<Process> process_;
};

}  // namespace davy::lab
