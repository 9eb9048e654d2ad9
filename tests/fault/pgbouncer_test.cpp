// Faults behind and of a real PgBouncer in transaction mode.

#include <doctest/doctest.h>

#include "lab/pgbouncer.h"
#include "lab/postgres.h"
#include "lab/probe.h"
#include "lab/process.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

lab::Postgres& pg() {
  return lab::Postgres::shared();
}
Outcome look(const std::string& dsn, lab::Settings settings = {}) {
  settings.insert(settings.begin(), {"dsn", dsn});
  return lab::run_probe("postgres", settings);
}

/// libpqxx 7 (Debian 13) asks a connection that has just died once more, and PgBouncer's last words
/// are lost: then it is `closed`, which is soft as well.
bool is_told(const Outcome& seen, std::string_view reason) {
  return seen.reason == reason || seen.reason == "closed";
}

}  // namespace

TEST_CASE("behind PgBouncer all looks work, and no setting reaches other clients") {
  lab::PgBouncer pooler(pg(), "default_pool_size = 1\n");
  CHECK(lab::show(look(pooler.dsn(), {{"expect", "primary"},
                                      {"max_connections_used", "100%"},
                                      {"max_lock_wait", "1m"},
                                      {"invalid_indexes", "true"},
                                      {"wraparound", "true"},
                                      {"advisory_lock", "rails"}})) == "pass");
  // One server connection: whoever comes next has ours.
  CHECK(lab::run(
            {{pg().bin() + "/psql", "-XqtA", "-d", pooler.dsn(), "-c", "SHOW statement_timeout"}})
            .output == "0\n");
}

TEST_CASE("unknown users and databases are PgBouncer's hard failures") {
  lab::PgBouncer pooler(pg());
  Outcome user = look(pooler.dsn("nobody:hunter2"));
  INFO(lab::show(user));
  CHECK(user.reason == "auth");
  CHECK(user.hard);
  CHECK(user.message.find("hunter2") == std::string::npos);
  Outcome database = look(pooler.dsn("app", "warehouse"));
  INFO(lab::show(database));
  CHECK(database.reason == "no_such_database");
  CHECK(database.hard);
  pooler.admin("DISABLE shop");
  Outcome disabled = look(pooler.dsn());
  INFO(lab::show(disabled));
  CHECK(disabled.reason == "disabled");
}

TEST_CASE("a server that is down behind PgBouncer is told from a pooler that is down") {
  lab::PgBouncer pooler(pg(), "query_wait_timeout = 1\n");
  lab::ProbeRunner kept("postgres", {{"dsn", pooler.dsn()}});
  CHECK(lab::show(kept.run()) == "pass");
  pg().stop();
  Outcome first = kept.run();
  Outcome seen;
  bool is_seen = lab::eventually([&] { return is_told(seen = kept.run(), "backend_down"); });
  pg().start();
  INFO(lab::show(first));
  INFO(lab::show(seen));
  CHECK(first.kind == Outcome::Kind::Fail);
  CHECK(is_seen);
  CHECK_FALSE(seen.hard);
  CHECK(lab::eventually([&] { return kept.run().kind == Outcome::Kind::Pass; }));
}

TEST_CASE(
    "a pool whose connections are all taken is pool_full, and clients at their limit too many") {
  lab::PgBouncer pooler(pg(), "default_pool_size = 1\nquery_wait_timeout = 1\n");
  lab::Process holder(
      {{pg().bin() + "/psql", "-Xq", "-d", pooler.dsn(), "-c", "SELECT pg_sleep(3600)"}});
  REQUIRE(lab::eventually([] {
    return pg().psql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1\n";
  }));
  Outcome full = look(pooler.dsn());
  INFO(lab::show(full));
  CHECK(is_told(full, "pool_full"));
  CHECK_FALSE(full.hard);

  holder.kill();
  pg().psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
}

TEST_CASE("a PgBouncer that takes no more clients says so, and a kept connection still works") {
  lab::PgBouncer pooler(pg(), "max_client_conn = 1\n");
  lab::ProbeRunner kept("postgres", {{"dsn", pooler.dsn()}});
  REQUIRE(lab::eventually([&] { return kept.run().kind == Outcome::Kind::Pass; }));
  Outcome seen = look(pooler.dsn());
  INFO(lab::show(seen));
  CHECK(seen.reason == "too_many_connections");
  CHECK(lab::show(kept.run()) == "pass");
}

TEST_CASE("a kept connection survives a restart of PgBouncer without a failure") {
  lab::PgBouncer pooler(pg());
  lab::ProbeRunner kept("postgres", {{"dsn", pooler.dsn()}});
  CHECK(lab::show(kept.run()) == "pass");
  pooler.kill();
  CHECK(kept.run().reason == "refused");
  pooler.start();
  CHECK(lab::show(kept.run()) == "pass");
  pooler.kill();
  pooler.start();
  CHECK(lab::show(kept.run()) == "pass");
}
