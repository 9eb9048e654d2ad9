#include "lab/pgbouncer.h"

#include <stdexcept>

namespace davy::lab {
namespace {
constexpr const char* kUser = "postgres";  // it refuses to run as root
}

PgBouncer::PgBouncer(const Postgres& server, const std::string& settings)
    : bin_(server.bin()), port_(free_port()) {
  dir_.give_to(kUser);
  write_file(dir_ / "users.txt", "\"app\" \"\"\n\"boss\" \"\"\n");
  write_file(dir_ / "pgbouncer.ini",
             "[databases]\nshop = host=127.0.0.1 dbname=shop user=app port=" +
                 std::to_string(server.port()) +
                 "\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = " + std::to_string(port_) +
                 "\nunix_socket_dir =\nauth_type = trust\nauth_file = " + (dir_ / "users.txt") +
                 "\nadmin_users = boss\npool_mode = transaction\nserver_login_retry = 1\n" +
                 settings);
  start();
}

void PgBouncer::start() {
  process_.reset();
  process_.emplace(
      Command{{"/usr/sbin/pgbouncer", dir_ / "pgbouncer.ini"}, {}, kUser, dir_.path()});
  bool is_up = eventually([&] {
    if (!process_->running()) throw std::runtime_error("pgbouncer ended: " + process_->output());
    return run({{bin_ + "/psql", "-Xq", "-d", dsn("boss", "pgbouncer"), "-c", "SHOW VERSION"}})
               .code == 0;
  });
  if (!is_up) throw std::runtime_error("pgbouncer does not answer: " + process_->output());
}

std::string PgBouncer::dsn(const std::string& user_info, const std::string& database) const {
  return "postgresql://" + user_info + "@127.0.0.1:" + std::to_string(port_) + "/" + database;
}

std::string PgBouncer::admin(const std::string& command) const {
  Finished done = run({{bin_ + "/psql", "-XqtA", "-d", dsn("boss", "pgbouncer"), "-c", command}});
  if (done.code != 0) throw std::runtime_error("psql: " + done.output);
  return done.output;
}

}  // namespace davy::lab
