// What the postgres probe looks at beside its query, on a real server.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "lab/postgres.h"
#include "lab/probe.h"
#include "lab/process.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

lab::Postgres& pg() {
  return lab::Postgres::shared();
}

Outcome look(lab::Settings settings, const std::string& user = "app") {
  settings.insert(settings.begin(), {"dsn", pg().dsn(user)});
  return lab::run_probe("postgres", settings);
}

const Measurement* find(const Outcome& seen, const std::string& name) {
  auto found = std::find_if(seen.also.begin(), seen.also.end(),
                            [&](const Measurement& m) { return m.name == name; });
  return found == seen.also.end() ? nullptr : &*found;
}

/// A table in the database shop, until the end of the scope.
struct Table {
  explicit Table(const std::string& columns) {
    pg().psql("CREATE TABLE orders (" + columns + ")", "shop");
  }
  ~Table() { pg().psql("DROP TABLE orders", "shop"); }
};

bool someone_waits_for(const std::string& mode) {
  return pg().psql("SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = '" + mode + "'") !=
         "0\n";
}

bool someone_sleeps() {
  return pg().psql(
             "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = "
             "'shop'") != "0\n";
}

}  // namespace

TEST_CASE("a primary is a primary and no standby") {
  CHECK(lab::show(look({{"expect", "primary"}})) == "pass");
  Outcome seen = look({{"expect", "standby"}});
  CHECK(lab::show(seen) == "fail hard role: postgres 127.0.0.1:" + std::to_string(pg().port()) +
                               "/shop: expected standby, is a primary");
}

TEST_CASE("a primary whose transactions are read-only is not the primary that is expected") {
  pg().psql("ALTER ROLE app SET default_transaction_read_only = on");
  Outcome seen = look({{"expect", "primary"}});
  Outcome any = look({{"expect", "any"}});
  pg().psql("ALTER ROLE app RESET default_transaction_read_only");
  CHECK(seen.reason == "read_only");
  CHECK(seen.hard);
  CHECK(any.kind == Outcome::Kind::Pass);
}

TEST_CASE("connections are measured against the places of ordinary users, without any grant") {
  Outcome seen = look({{"max_connections_used", "100%"}});
  INFO(lab::show(seen));
  CHECK(seen.kind == Outcome::Kind::Pass);
  REQUIRE(find(seen, "connections_used") != nullptr);
  CHECK(find(seen, "connections_used")->value >= 1.0 / 17);  // 20 less 3 for superusers
  CHECK(seen.clear_of_fail > 0);
  CHECK(std::isinf(seen.clear_of_warn));

  Outcome full = look({{"max_connections_used", "1%"}});
  CHECK(full.reason == "connections");
  CHECK_FALSE(full.hard);
  CHECK(full.clear_of_fail < 0);
  CHECK(full.message.find("of 17 connections") != std::string::npos);
}

TEST_CASE("an exclusive lock that is waited for warns once others wait behind it") {
  Table table("id int");
  pg().psql("GRANT SELECT ON orders TO app", "shop");
  lab::Process reader = pg().session("BEGIN; SELECT * FROM orders; SELECT pg_sleep(3600)");
  REQUIRE(lab::eventually(someone_sleeps));
  lab::Process migration = pg().session("ALTER TABLE orders ADD COLUMN total int");
  REQUIRE(lab::eventually([] { return someone_waits_for("AccessExclusiveLock"); }));
  lab::Settings limit = {{"max_lock_wait", "1ms"}};
  CHECK(lab::show(look(limit)) == "pass");

  lab::Process behind = pg().session("SELECT * FROM orders");
  REQUIRE(lab::eventually([] { return someone_waits_for("AccessShareLock"); }));
  Outcome seen = look(limit);
  INFO(lab::show(seen));
  CHECK(seen.kind == Outcome::Kind::Warn);
  CHECK(seen.reason == "lock_queue");
  CHECK(seen.blocks_deploy);
  CHECK(seen.message.find("\"orders\"") != std::string::npos);
  CHECK(seen.message.find("1 behind it") != std::string::npos);
  CHECK(seen.clear_of_warn < 0);
  CHECK(look({{"max_lock_wait", "1h"}}).kind == Outcome::Kind::Pass);
}

TEST_CASE(
    "a long transaction warns those who may see it and names the grant to those who may not") {
  lab::Process old = pg().session("BEGIN; SELECT pg_sleep(3600)");
  REQUIRE(lab::eventually(someone_sleeps));
  lab::Settings limit = {{"max_transaction", "1ms"}};
  Outcome seen = look(limit, "postgres");
  INFO(lab::show(seen));
  CHECK(seen.reason == "long_transaction");
  CHECK(seen.kind == Outcome::Kind::Warn);
  CHECK(seen.message.find("database shop") != std::string::npos);
  CHECK(look({{"max_transaction", "1h"}}, "postgres").kind == Outcome::Kind::Pass);

  Outcome blind = look(limit);
  CHECK(blind.kind == Outcome::Kind::Warn);
  CHECK(blind.reason == "no_permission");
  CHECK(blind.message.find("GRANT pg_monitor TO app") != std::string::npos);
}

TEST_CASE("an index that is being built is no invalid index, but one whose building failed is") {
  Table table("id int");
  pg().psql("INSERT INTO orders VALUES (1), (1)", "shop");
  lab::Settings settings = {{"invalid_indexes", "true"}};
  {
    lab::Process old = pg().session("BEGIN; SELECT * FROM orders; SELECT pg_sleep(3600)");
    REQUIRE(lab::eventually(someone_sleeps));
    lab::Process building = pg().session("CREATE INDEX CONCURRENTLY by_id ON orders (id)");
    REQUIRE(lab::eventually([] {
      return pg().psql("SELECT count(*) FROM pg_index WHERE NOT indisvalid", "shop") == "1\n";
    }));
    for (std::string user : {"app", "postgres"}) {
      CAPTURE(user);
      CHECK(lab::show(look(settings, user)) == "pass");
    }
    old.kill();
    building.wait();
  }
  CHECK_THROWS(pg().psql("CREATE UNIQUE INDEX CONCURRENTLY only_one ON orders (id)", "shop"));
  Outcome seen = look(settings);
  CHECK(seen.kind == Outcome::Kind::Warn);
  CHECK(seen.reason == "invalid_index");
  CHECK(seen.message.find("\"only_one\"") != std::string::npos);
}

TEST_CASE("how long vacuum has not frozen is measured and passes on a young cluster") {
  Outcome seen = look({{"wraparound", "true"}});
  CHECK(lab::show(seen) == "pass");
  REQUIRE(find(seen, "xid_age") != nullptr);
  CHECK(find(seen, "xid_age")->value < 100000);
  CHECK(find(seen, "mxid_age") != nullptr);
}

TEST_CASE("the lock of a migration tool warns and blocks deploys while it is held") {
  // python3: 2053462845 * zlib.crc32(b"shop"), as ActiveRecord computes it
  const std::pair<std::string, std::string> kTools[] = {
      {"rails", "5939944341529942170"}, {"prisma", "72707369"}, {"-7", "-7"}};
  for (const auto& one : kTools) {
    const auto& [tool, key] = one;
    CAPTURE(one.first);
    CHECK(lab::show(look({{"advisory_lock", tool}})) == "pass");
    lab::Process migration =
        pg().session("SELECT pg_advisory_lock(" + key + "); SELECT pg_sleep(3600)");
    REQUIRE(lab::eventually(someone_sleeps));
    Outcome seen = look({{"advisory_lock", tool}});
    INFO(lab::show(seen));
    CHECK(seen.kind == Outcome::Kind::Warn);
    CHECK(seen.reason == "migrating");
    CHECK(seen.blocks_deploy);
    CHECK(look({{"advisory_lock", "8"}}).kind == Outcome::Kind::Pass);
    migration.kill();
    REQUIRE(lab::eventually([] { return !someone_sleeps(); }));
  }
}

TEST_CASE("of several findings the worst is told and the others are named") {
  lab::Process old = pg().session("BEGIN; SELECT pg_sleep(3600)");
  REQUIRE(lab::eventually(someone_sleeps));
  Outcome seen = look({{"max_transaction", "1ms"}, {"max_connections_used", "1%"}}, "postgres");
  CHECK(seen.reason == "connections");
  CHECK(seen.message.find("(also: long_transaction)") != std::string::npos);
  CHECK(seen.also.size() == 2);
}

TEST_CASE("a session is made anew after its time, so that a changed password shows") {
  pg().psql("CREATE ROLE guest LOGIN PASSWORD 'old'");
  pg().psql("ALTER ROLE locked PASSWORD 'secret'");
  {
    lab::ProbeRunner kept("postgres",
                          {{"dsn", pg().dsn("locked:secret")}, {"reconnect_every", "1h"}});
    lab::ProbeRunner renewed("postgres",
                             {{"dsn", pg().dsn("locked:secret")}, {"reconnect_every", "1ms"}});
    CHECK(lab::show(kept.run()) == "pass");
    CHECK(lab::show(renewed.run()) == "pass");
    pg().psql("ALTER ROLE locked PASSWORD 'changed'");
    CHECK(lab::show(kept.run()) == "pass");
    Outcome seen = renewed.run();
    CHECK(seen.reason == "auth");
    CHECK(seen.hard);
    pg().psql("ALTER ROLE locked PASSWORD 'secret'");
    CHECK(lab::show(renewed.run()) == "pass");
  }
  pg().psql("DROP ROLE guest");
}

TEST_CASE("looks that contradict the expected role or that nobody knows are refused") {
  std::string dsn = "postgresql://app@127.0.0.1/shop";
  CHECK(lab::refusal("postgres", {{"dsn", dsn}, {"expect", "primary"}, {"max_lag", "1s"}}) != "");
  CHECK(lab::refusal("postgres", {{"dsn", dsn}, {"advisory_lock", "knex"}}) != "");
  CHECK(lab::refusal("postgres", {{"dsn", dsn}, {"expect", "standby"}, {"max_lag", "1s"}}) == "");
}
