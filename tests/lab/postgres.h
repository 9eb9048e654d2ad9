// A private PostgreSQL cluster on a free loopback port.
//
// It knows three users: `postgres` and `app` without a password, `locked` with the password
// "secret", and two databases: `postgres` and `shop`. Nothing is synced to disk.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lab/process.h"

namespace davy::lab {

class Postgres {
 public:
  /// The cluster that all tests of this program share; made once. A test leaves it as it found it.
  static Postgres& shared();

  Postgres();
  /// A standby that streams from `primary`, as pg_basebackup makes it.
  explicit Postgres(const Postgres& primary);
  ~Postgres();

  int port() const { return port_; }
  /// "postgresql://user@127.0.0.1:port/database"
  std::string dsn(const std::string& user_info = "app", const std::string& database = "shop") const;
  /// Runs SQL as the superuser and returns what psql prints.
  std::string psql(const std::string& sql, const std::string& database = "postgres") const;
  /// A session that runs SQL until it is gone or killed.
  Process session(const std::string& sql, const std::string& user = "postgres",
                  const std::string& database = "shop") const;
  /// The server's own process, and a directory of which it is the owner.
  pid_t pid() const { return process_->pid(); }
  std::string bin() const { return bin_; }
  const TempDir& dir() const { return dir_; }

  /// `settings` as for -c: "max_connections=5".
  void start(const std::vector<std::string>& settings = {},
             const std::vector<std::pair<std::string, std::string>>& env = {});
  void stop();      // ends sessions, as `pg_ctl stop -m fast`
  void kill();      // as a crash: the next start recovers
  bool is_ready();  // takes sessions
  void pause() { process_->pause(); }
  void resume() { process_->resume(); }
  /// Starts without waiting until it takes sessions.
  void start_slowly(const std::vector<std::string>& settings = {}) { launch(settings, {}); }

 private:
  void launch(const std::vector<std::string>& settings,
              const std::vector<std::pair<std::string, std::string>>& env);

  TempDir dir_;
  std::string bin_;
  int port_;
  std::optional<Process> process_;
};

}  // namespace davy::lab
