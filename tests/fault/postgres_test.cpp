// Faults of PostgreSQL, made on real servers: every one must come out as its own reason.

#include <doctest/doctest.h>
#include <signal.h>

#include <filesystem>

#include "lab/postgres.h"
#include "lab/probe.h"
#include "lab/process.h"
#include "lab/tmpfs.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

lab::Postgres& pg() {
  return lab::Postgres::shared();
}

Outcome look(const lab::Postgres& server, lab::Settings settings = {},
             std::chrono::milliseconds timeout = 10s, const std::string& user = "postgres") {
  settings.insert(settings.begin(), {"dsn", server.dsn(user)});
  return lab::run_probe("postgres", settings, timeout);
}

/// Frozen until the end of the scope.
struct Frozen {
  explicit Frozen(pid_t its_pid) : pid(its_pid) { REQUIRE(::kill(pid, SIGSTOP) == 0); }
  ~Frozen() { ::kill(pid, SIGCONT); }
  pid_t pid;
};

pid_t pid_of(const std::string& where) {
  return std::atoi(pg().psql("SELECT pid FROM pg_stat_activity WHERE " + where).c_str());
}

/// The shared server as it was, whatever the test did to it.
struct Restored {
  ~Restored() {
    pg().stop();
    pg().start();
  }
};

/// A standby of the shared server, which notices a silent primary in 3 s.
struct Pair {
  Pair() : standby(pg()) {
    standby.stop();
    standby.start({"wal_receiver_timeout=4s", "wal_retrieve_retry_interval=200ms"});
    REQUIRE(lab::eventually([&] { return lab::show(seen()) == "pass"; }));
  }
  Outcome seen(const std::string& max_lag = "1s") const {
    return look(standby, {{"expect", "standby"}, {"max_lag", max_lag}});
  }
  /// Until the standby has all that the primary wrote.
  void catch_up() const {
    std::string written = pg().psql("SELECT pg_current_wal_lsn()");
    written.pop_back();
    REQUIRE(lab::eventually([&] {
      return standby.psql("SELECT pg_last_wal_replay_lsn() >= '" + written + "'") == "t\n";
    }));
  }
  lab::Postgres standby;
};

/// German messages, in a directory of its own: nothing is installed.
struct German {
  German() {
    is_there =
        lab::run({{"localedef", "-i", "de_DE", "-f", "UTF-8", dir / "de_DE.UTF-8"}}).code == 0;
    if (!is_there) MESSAGE("skipped: localedef cannot make de_DE.UTF-8 (apt install locales)");
    std::filesystem::permissions(dir.path(), std::filesystem::perms(0755));
  }
  lab::TempDir dir;
  bool is_there = false;
};

}  // namespace

TEST_CASE("a server whose postmaster is frozen accepts nobody new and serves who is in") {
  lab::ProbeRunner kept("postgres", {{"dsn", pg().dsn()}});
  CHECK(kept.run().kind == Outcome::Kind::Pass);
  Frozen frozen(pg().pid());
  CHECK(lab::show(kept.run()) == "pass");
  Outcome seen = look(pg(), {}, 300ms);
  CHECK(seen.reason == "timeout");
  CHECK_FALSE(seen.hard);
}

TEST_CASE("a frozen backend times out the check that it serves and no other") {
  lab::ProbeRunner kept("postgres", {{"dsn", pg().dsn()}});
  CHECK(kept.run().kind == Outcome::Kind::Pass);
  pid_t backend = pid_of("application_name = 'davy' AND datname = 'shop'");
  REQUIRE(backend > 0);
  {
    Frozen frozen(backend);
    CHECK(kept.run(300ms).reason == "timeout");
    CHECK(lab::show(look(pg())) == "pass");
    CHECK(lab::show(kept.run()) == "pass");  // in a new session
  }
}

TEST_CASE("a standby is judged by what it hears, not by its own numbers alone") {
  Pair pair;
  // The primary's own notes may still be on their way.
  CHECK(lab::eventually([&] {
    Outcome well = pair.seen();
    REQUIRE(well.also.size() == 1);
    CHECK(well.also[0].name == "lag");
    return well.also[0].value == 0;
  }));

  SUBCASE("an idle pair is not behind, however long ago the last transaction was") {
    pg().psql("DROP TABLE IF EXISTS mark; CREATE TABLE mark ()");
    pair.catch_up();
    REQUIRE(lab::eventually([&] {
      return pair.standby.psql(
                 "SELECT now() - pg_last_xact_replay_timestamp() > interval '1.2 s'") == "t\n";
    }));
    CHECK(lab::show(pair.seen("1s")) == "pass");
  }
  SUBCASE("one that replays late is behind") {
    pair.standby.psql("SELECT pg_wal_replay_pause()");
    pg().psql("CREATE TABLE IF NOT EXISTS mark (); DROP TABLE mark");
    Outcome seen;
    REQUIRE(lab::eventually([&] { return (seen = pair.seen("10ms")).reason == "lag"; }));
    CHECK_FALSE(seen.hard);
    CHECK(seen.clear_of_fail < 0);
    CHECK(pair.seen("1h").kind == Outcome::Kind::Pass);
  }
  SUBCASE("a frozen walsender is silence") {
    Frozen frozen(pid_of("backend_type = 'walsender'"));
    REQUIRE(lab::eventually([&] {
      return pair.seen("1h").message.find("nothing came from the primary") != std::string::npos;
    }));
  }
  SUBCASE("a dead primary is silence, while queries still pass") {
    pg().kill();
    Outcome seen;
    bool is_seen =
        lab::eventually([&] { return (seen = pair.seen("1h")).reason == "not_streaming"; });
    Outcome plain = look(pair.standby, {{"expect", "standby"}});
    pg().start();
    CHECK(is_seen);
    CHECK_FALSE(seen.hard);
    CHECK(lab::show(plain) == "pass");
    CHECK(lab::eventually([&] { return pair.seen("1h").kind == Outcome::Kind::Pass; }));
  }
  SUBCASE("one that is promoted under a kept check has the wrong role") {
    lab::ProbeRunner kept("postgres", {{"dsn", pair.standby.dsn()}, {"expect", "standby"}});
    CHECK(kept.run().kind == Outcome::Kind::Pass);
    CHECK(look(pair.standby, {{"expect", "primary"}}).reason == "role");
    pair.standby.psql("SELECT pg_promote()");
    Outcome seen = kept.run();
    CHECK(seen.reason == "role");
    CHECK(seen.hard);
    CHECK(lab::show(look(pair.standby, {{"expect", "primary"}})) == "pass");
  }
  SUBCASE("a role without pg_monitor is told which grant is missing") {
    lab::Settings settings = {{"max_lag", "1h"}};
    Outcome seen = look(pair.standby, settings, 10s, "app");
    CHECK(seen.kind == Outcome::Kind::Warn);
    CHECK(seen.reason == "no_permission");
    CHECK(seen.message.find("GRANT pg_monitor TO app") != std::string::npos);
  }
  SUBCASE("a write on a standby fails hard") {
    Outcome seen = look(pair.standby, {{"query", "CREATE TABLE t ()"}});
    CHECK(seen.reason == "read_only");
    CHECK(seen.hard);
  }
}

TEST_CASE("a check that has the last slot keeps it and warns that nobody else gets in") {
  pg().stop();
  pg().start({"max_connections=4", "superuser_reserved_connections=3", "max_wal_senders=0"});
  Restored restored;
  lab::ProbeRunner kept(
      "postgres",
      {{"dsn", pg().dsn()}, {"reconnect_every", "1ms"}, {"max_connections_used", "90%"}});
  CHECK(kept.run().reason == "connections");
  Outcome seen = kept.run();
  INFO(lab::show(seen));
  CHECK(seen.reason == "connections");
  CHECK(seen.message.find("1 of 1 connections used") != std::string::npos);
  CHECK(seen.message.find("(also: too_many_connections)") != std::string::npos);
}

TEST_CASE("answers while connecting are understood in every language") {
  German german;
  if (!german.is_there) return;
  pg().stop();
  pg().start({"max_connections=4", "superuser_reserved_connections=3", "max_wal_senders=0",
              "lc_messages=de_DE.UTF-8"},
             {{"LOCPATH", german.dir.path()}});
  Restored restored;
  auto with = [](const std::string& dsn) { return lab::run_probe("postgres", {{"dsn", dsn}}); };
  Outcome wrong = with(pg().dsn("locked:hunter2"));
  INFO(lab::show(wrong));
  REQUIRE(wrong.message.find("fehlgeschlagen") != std::string::npos);
  CHECK(wrong.reason == "auth");
  CHECK(wrong.hard);
  CHECK(wrong.message.find("(SQLSTATE 28P01)") != std::string::npos);
  CHECK(wrong.message.find("hunter2") == std::string::npos);
  // The one connection there is may still be taken by the backend that refused the last one.
  auto once_free = [&](const std::string& dsn) {
    Outcome seen;
    CHECK(lab::eventually([&] { return (seen = with(dsn)).reason != "too_many_connections"; }));
    return seen;
  };
  CHECK(once_free(pg().dsn("nobody_may")).reason == "auth");
  CHECK(once_free(pg().dsn("no_such_role")).reason == "auth");
  Outcome missing = once_free(pg().dsn("app", "warehouse"));
  CHECK(missing.reason == "no_such_database");
  CHECK(missing.hard);
  lab::ProbeRunner first("postgres", {{"dsn", pg().dsn()}});
  REQUIRE(lab::eventually([&] { return first.run().kind == Outcome::Kind::Pass; }));
  Outcome full = with(pg().dsn());
  INFO(lab::show(full));
  CHECK(full.reason == "too_many_connections");
  CHECK_FALSE(full.hard);
}

TEST_CASE("a server that replays its log after a crash is starting, softly") {
  Restored restored;
  pg().psql("CREATE TABLE much AS SELECT n FROM generate_series(1, 600000) n", "shop");
  pg().kill();
  pg().start_slowly();
  Outcome seen;
  bool is_seen = lab::eventually(
      [&] {
        seen = look(pg());
        return seen.reason == "starting" || seen.kind == Outcome::Kind::Pass;
      },
      90s);
  INFO(lab::show(seen));
  REQUIRE(is_seen);
  CHECK(seen.reason == "starting");
  CHECK_FALSE(seen.hard);
  REQUIRE(lab::eventually([&] { return look(pg()).kind == Outcome::Kind::Pass; }));
  pg().psql("DROP TABLE much", "shop");
}

TEST_CASE("a server that shuts down says so to who comes") {
  lab::Process session = pg().session("SELECT pg_sleep(3600)");
  REQUIRE(lab::eventually([] {
    return pg().psql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1\n";
  }));
  REQUIRE(::kill(pg().pid(), SIGTERM) == 0);  // waits for sessions to end
  Outcome seen;
  bool is_seen = lab::eventually([&] { return (seen = look(pg())).reason == "stopping"; });
  session.kill();
  pg().stop();
  pg().start();
  CHECK(is_seen);
  CHECK_FALSE(seen.hard);
}

TEST_CASE("a full tablespace fails writes as disk_full while SELECT 1 passes") {
  lab::Tmpfs disk("size=600k");
  if (!disk) return;
  lab::Finished given = lab::run({{"chown", "postgres", disk.path()}});
  REQUIRE(given.code == 0);
  pg().psql("CREATE TABLESPACE small LOCATION '" + disk.path() + "'");
  pg().psql("CREATE TABLE filler (content text) TABLESPACE small", "shop");
  Outcome seen = look(pg(), {{"query",
                              "INSERT INTO filler SELECT repeat('x', 1000) FROM "
                              "generate_series(1, 5000)"}});
  Outcome plain = look(pg());
  pg().psql("DROP TABLE filler", "shop");
  pg().psql("DROP TABLESPACE small");
  INFO(lab::show(seen));
  CHECK(seen.reason == "disk_full");
  CHECK_FALSE(seen.hard);
  CHECK(lab::show(plain) == "pass");
}

TEST_CASE(
    "a lock that is not to be had in time, a deadlock and a missing right have their reasons") {
  pg().psql("CREATE TABLE orders (id int)", "shop");
  {
    lab::Process holder = pg().session("BEGIN; LOCK TABLE orders; SELECT pg_sleep(3600)");
    REQUIRE(lab::eventually([] {
      return pg().psql(
                 "SELECT count(*) FROM pg_locks WHERE granted AND mode = "
                 "'AccessExclusiveLock'") != "0\n";
    }));
    Outcome seen = look(pg(), {{"query", "SET LOCAL lock_timeout = 50; SELECT * FROM orders"}});
    CHECK(seen.reason == "lock_timeout");
    CHECK_FALSE(seen.hard);
  }
  Outcome denied = look(pg(), {{"query", "SELECT * FROM orders"}}, 10s, "app");
  pg().psql("DROP TABLE orders", "shop");
  CHECK(denied.reason == "permission");
  CHECK(denied.hard);
  Outcome conflict = look(pg(), {{"query", "DO $$ BEGIN RAISE SQLSTATE '40001'; END $$"}});
  CHECK(conflict.reason == "conflict");
  CHECK_FALSE(conflict.hard);
}

TEST_CASE("a cluster that is close to wraparound warns with the database") {
  lab::Postgres old;
  old.stop();
  // The transaction numbers jump ahead, as after 1.7 thousand million transactions without vacuum.
  lab::Finished jumped = lab::run(
      {{old.bin() + "/pg_resetwal", "-D", old.dir() / "data", "-x", "1700000000"}, {}, "postgres"});
  REQUIRE_MESSAGE(jumped.code == 0, jumped.output);
  lab::Finished made = lab::run({{"dd", "if=/dev/zero", "of=" + (old.dir() / "data/pg_xact/0655"),
                                  "bs=256k", "count=1", "status=none"},
                                 {},
                                 "postgres"});
  REQUIRE_MESSAGE(made.code == 0, made.output);
  old.start({"autovacuum_freeze_max_age=2000000000"});
  Outcome seen = look(old, {{"wraparound", "true"}});
  INFO(lab::show(seen));
  CHECK(seen.kind == Outcome::Kind::Warn);
  CHECK(seen.reason == "wraparound_near");
}
