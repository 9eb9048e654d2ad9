#include "lab/postgres.h"

#include <signal.h>

#include <filesystem>
#include <stdexcept>

namespace davy::lab {
namespace {

constexpr const char* kUser = "postgres";  // the server refuses to run as root

/// The newest version that is installed: /usr/lib/postgresql/15/bin
std::string find_binaries() {
  std::string best;
  int newest = 0;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql", ignored)) {
    int version = std::atoi(entry.path().filename().c_str());
    if (version > newest && std::filesystem::exists(entry.path() / "bin/initdb")) {
      newest = version;
      best = entry.path() / "bin";
    }
  }
  if (best.empty())
    throw std::runtime_error(
        "no PostgreSQL server in /usr/lib/postgresql (apt install postgresql)");
  return best;
}

}  // namespace

Postgres& Postgres::shared() {
  static Postgres cluster;
  return cluster;
}

Postgres::Postgres() : bin_(find_binaries()), port_(free_port()) {
  dir_.give_to(kUser);
  Finished made = run({{bin_ + "/initdb", "-D", dir_ / "data", "-U", "postgres", "-A", "trust",
                        "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"},
                       {},
                       kUser,
                       dir_.path()});
  if (made.code != 0) throw std::runtime_error("initdb: " + made.output);
  write_file(dir_ / "data/pg_hba.conf",
             "host all locked 127.0.0.1/32 scram-sha-256\n"
             "host all nobody_may 127.0.0.1/32 reject\n"
             "host all all 127.0.0.1/32 trust\n"
             "host replication all 127.0.0.1/32 trust\n"
             "local all all trust\n");
  start();
  psql("CREATE ROLE app LOGIN");
  psql("CREATE ROLE locked LOGIN PASSWORD 'secret'");
  psql("CREATE DATABASE shop");
}

Postgres::Postgres(const Postgres& primary) : bin_(find_binaries()), port_(free_port()) {
  dir_.give_to(kUser);
  Finished made = run({{bin_ + "/pg_basebackup", "-d",
                        "host=127.0.0.1 user=postgres port=" + std::to_string(primary.port()), "-D",
                        dir_ / "data", "-X", "stream", "-c", "fast", "-R", "--no-sync"},
                       {},
                       kUser,
                       dir_.path()});
  if (made.code != 0) throw std::runtime_error("pg_basebackup: " + made.output);
  start();
}

Postgres::~Postgres() {
  if (process_) resume();  // a stopped backend would not notice that its server is gone
}

std::string Postgres::dsn(const std::string& user_info, const std::string& database) const {
  return "postgresql://" + user_info + "@127.0.0.1:" + std::to_string(port_) + "/" + database;
}

std::string Postgres::psql(const std::string& sql, const std::string& database) const {
  Finished done = run({{bin_ + "/psql", "-XqtA", "-v", "ON_ERROR_STOP=1", "-d",
                        dsn("postgres", database), "-c", sql}});
  if (done.code != 0) throw std::runtime_error("psql: " + done.output);
  return done.output;
}

Process Postgres::session(const std::string& sql, const std::string& user,
                          const std::string& database) const {
  // So that the server notices that psql was killed.
  return Process({{bin_ + "/psql", "-XqtA", "-d", dsn(user, database), "-c", sql},
                  {{"PGOPTIONS", "-c client_connection_check_interval=50"}}});
}

void Postgres::launch(const std::vector<std::string>& settings,
                      const std::vector<std::pair<std::string, std::string>>& env) {
  Command command{
      {bin_ + "/postgres", "-D", dir_ / "data", "-p", std::to_string(port_), "-k", dir_.path(),
       "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=20"},
      env,
      kUser,
      dir_.path()};
  for (const std::string& setting : settings) {
    command.argv.push_back("-c");
    command.argv.push_back(setting);
  }
  process_.reset();
  process_.emplace(command);
}

bool Postgres::is_ready() {
  if (!process_->running()) throw std::runtime_error("postgres ended: " + process_->output());
  return run({{bin_ + "/psql", "-Xq", "-d", dsn("postgres", "postgres"), "-c", "SELECT 1"}}).code ==
         0;
}

void Postgres::start(const std::vector<std::string>& settings,
                     const std::vector<std::pair<std::string, std::string>>& env) {
  launch(settings, env);
  if (!eventually([this] { return is_ready(); }))
    throw std::runtime_error("postgres does not answer: " + process_->output());
}

void Postgres::kill() {
  process_->kill();
}

void Postgres::stop() {
  process_->signal(SIGINT);
  if (!process_->wait()) throw std::runtime_error("postgres does not stop: " + process_->output());
}

}  // namespace davy::lab
