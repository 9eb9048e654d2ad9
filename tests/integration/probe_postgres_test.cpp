#include <doctest/doctest.h>

#include <optional>

#include "lab/postgres.h"
#include "lab/probe.h"
#include "lab/process.h"
#include "lab/server.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

Outcome probe(const std::string& dsn, const std::string& query = "SELECT 1",
              std::chrono::milliseconds timeout = 10s) {
  return lab::run_probe("postgres", {{"dsn", dsn}, {"query", query}}, timeout);
}

/// Stops the shared server until the end of the scope.
struct Stopped {
  Stopped() { lab::Postgres::shared().stop(); }
  ~Stopped() { lab::Postgres::shared().start(); }
};

struct Paused {
  Paused() { lab::Postgres::shared().pause(); }
  ~Paused() { lab::Postgres::shared().resume(); }
};

}  // namespace

TEST_CASE("a database that answers passes and is asked in the same session again") {
  lab::Postgres& pg = lab::Postgres::shared();
  lab::ProbeRunner probe("postgres", {{"dsn", pg.dsn()}});
  Outcome first = probe.run();
  CHECK(lab::show(first) == "pass");
  CHECK(first.unit == "s");
  std::string session =
      "SELECT pid FROM pg_stat_activity WHERE application_name = 'davy' AND datname = 'shop'";
  std::string before = pg.psql(session);
  REQUIRE(before.size() > 1);
  for (int i = 0; i < 5; ++i) CHECK(probe.run().kind == Outcome::Kind::Pass);
  CHECK(pg.psql(session) == before);
}

TEST_CASE("both forms of a connection string work, with a name for a host too") {
  lab::Postgres& pg = lab::Postgres::shared();
  std::string port = std::to_string(pg.port());
  CHECK(lab::show(probe("host=127.0.0.1 port=" + port + " user=app dbname=shop")) == "pass");
  CHECK(lab::show(probe("postgresql://app@localhost:" + port + "/shop")) == "pass");
  CHECK(lab::show(probe("postgresql://locked:secret@localhost:" + port + "/shop")) == "pass");
}

TEST_CASE("a database that is down is refused and an unknown host does not resolve") {
  std::string port = std::to_string(lab::free_port());
  Outcome seen = probe("postgresql://app@127.0.0.1:" + port + "/shop");
  CHECK(seen.reason == "refused");
  CHECK_FALSE(seen.hard);
  CHECK(seen.message.rfind("postgres 127.0.0.1:" + port + "/shop: ", 0) == 0);
  CHECK(probe("postgresql://app@localhost:" + port + "/shop").reason == "refused");
  CHECK(probe("host=/nowhere user=app").reason == "refused");
  CHECK(probe("postgresql://app@no-such-host.invalid/shop").reason == "resolve");
}

TEST_CASE("a kept connection survives a restart of the server without a failure") {
  lab::ProbeRunner kept("postgres", {{"dsn", lab::Postgres::shared().dsn()}});
  CHECK(kept.run().kind == Outcome::Kind::Pass);
  {
    Stopped stopped;
    CHECK(kept.run().reason == "refused");
  }
  CHECK(kept.run().kind == Outcome::Kind::Pass);
  { Stopped stopped; }
  CHECK(lab::show(kept.run()) == "pass");
}

TEST_CASE("a session that an administrator ends is no failure") {
  lab::Postgres& pg = lab::Postgres::shared();
  lab::ProbeRunner kept("postgres", {{"dsn", pg.dsn()}});
  CHECK(kept.run().kind == Outcome::Kind::Pass);
  pg.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shop'");
  CHECK(lab::show(kept.run()) == "pass");
}

TEST_CASE("a frozen server times out on a kept connection and on a new one, and recovers") {
  lab::ProbeRunner kept("postgres", {{"dsn", lab::Postgres::shared().dsn()}});
  CHECK(kept.run().kind == Outcome::Kind::Pass);
  {
    Paused paused;
    Outcome seen = kept.run(300ms);
    CHECK(seen.reason == "timeout");
    CHECK_FALSE(seen.hard);
    CHECK(seen.message.find("no answer to the query in time") != std::string::npos);
    CHECK(probe(lab::Postgres::shared().dsn(), "SELECT 1", 300ms).reason == "timeout");
  }
  CHECK(kept.run().kind == Outcome::Kind::Pass);
}

TEST_CASE("a slow query times out and the server does not go on with it") {
  lab::Postgres& pg = lab::Postgres::shared();
  lab::ProbeRunner slow("postgres", {{"dsn", pg.dsn()}, {"query", "SELECT pg_sleep(3600)"}});
  for (int i = 0; i < 2; ++i) {
    Outcome seen = slow.run(300ms);
    INFO(lab::show(seen));
    CHECK(seen.reason == "timeout");
    CHECK_FALSE(seen.hard);
  }
  auto still_running = [&] {
    return pg.psql(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop' AND state = 'active'");
  };
  CHECK(lab::eventually([&] { return still_running() == "0\n"; }));
}

TEST_CASE("the time limit of a query ends with it") {
  lab::ProbeRunner probe(
      "postgres", {{"dsn", lab::Postgres::shared().dsn()},
                   {"query", "SELECT 1 / (current_setting('statement_timeout') <> '0')::int"}});
  CHECK(lab::show(probe.run()) == "pass");  // inside
  std::string outside =
      lab::run({{"psql", "-XqtA", "-d", lab::Postgres::shared().dsn(), "-c",
                 "SET LOCAL statement_timeout = 100; SELECT 1", "-c", "SHOW statement_timeout"}})
          .output;
  CHECK(outside == "1\n0\n");
}

TEST_CASE("a wrong or missing password fails hard and is not shown") {
  lab::Postgres& pg = lab::Postgres::shared();
  for (std::string user_info :
       {"locked", "locked:hunter2", "no_such_role:hunter2", "nobody_may:hunter2"}) {
    CAPTURE(user_info);
    Outcome seen = probe(pg.dsn(user_info));
    INFO(lab::show(seen));
    CHECK(seen.kind == Outcome::Kind::Fail);
    CHECK(seen.hard);
    CHECK(seen.reason == "auth");
    CHECK(seen.message.find("hunter2") == std::string::npos);
  }
}

TEST_CASE("a database that does not exist fails hard") {
  Outcome seen = probe(lab::Postgres::shared().dsn("app", "warehouse"));
  INFO(lab::show(seen));
  CHECK(seen.reason == "no_such_database");
  CHECK(seen.hard);
}

TEST_CASE("a query that is wrong in itself fails hard with its SQLSTATE, in one line") {
  Outcome seen = probe(lab::Postgres::shared().dsn(), "SELECT * FROM orders");
  CHECK(lab::show(seen) ==
        "fail hard query: postgres 127.0.0.1:" + std::to_string(lab::Postgres::shared().port()) +
            "/shop: ERROR:  relation \"orders\" does not exist (SQLSTATE 42P01)");
}

TEST_CASE("a query that fails by its data fails softly and keeps the session") {
  lab::ProbeRunner kept("postgres",
                        {{"dsn", lab::Postgres::shared().dsn()}, {"query", "SELECT 1 / 0"}});
  for (int i = 0; i < 2; ++i) {
    Outcome seen = kept.run();
    CHECK(seen.reason == "query");
    CHECK_FALSE(seen.hard);
    CHECK(seen.message.find("22012") != std::string::npos);
  }
}

TEST_CASE("a server without free connections says so while a kept connection still works") {
  lab::Postgres& pg = lab::Postgres::shared();
  pg.stop();
  pg.start({"max_connections=4", "superuser_reserved_connections=3", "max_wal_senders=0"});
  {
    lab::ProbeRunner first("postgres", {{"dsn", pg.dsn()}});
    CHECK(lab::show(first.run()) == "pass");
    Outcome seen = probe(pg.dsn());
    INFO(lab::show(seen));
    CHECK(seen.reason == "too_many_connections");
    CHECK_FALSE(seen.hard);
    CHECK(lab::show(first.run()) == "pass");
  }
  pg.stop();
  pg.start();
}

TEST_CASE("something that is not PostgreSQL fails, and a mute one times out") {
  lab::Server web(lab::raw("HTTP/1.1 400 Bad Request\r\n\r\n"));
  CHECK(probe("postgresql://app@" + web.address() + "/shop").kind == Outcome::Kind::Fail);
  lab::Server reset(lab::reset());
  CHECK(probe("postgresql://app@" + reset.address() + "/shop").reason == "closed");
  lab::Server mute(lab::mute());
  CHECK(probe("postgresql://app@" + mute.address() + "/shop", "SELECT 1", 500ms).reason ==
        "timeout");
}

TEST_CASE("a setting that libpq does not know fails hard with its name") {
  Outcome seen = probe(lab::Postgres::shared().dsn() + "?pool=5");
  CHECK(seen.reason == "settings");
  CHECK(seen.hard);
  CHECK(seen.message.find("\"pool\"") != std::string::npos);
}

TEST_CASE("wrong connection strings are refused when the config is read, without their password") {
  for (std::string bad :
       {"postgresql://app:hunter2@a,b/shop", "mysql://app:hunter2@a/", "host=a hunter2"}) {
    std::string refusal = lab::refusal("postgres", {{"dsn", bad}});
    CHECK(refusal != "");
    CHECK(refusal.find("hunter2") == std::string::npos);
  }
}
