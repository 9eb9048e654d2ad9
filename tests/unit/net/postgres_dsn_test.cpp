#include "net/postgres_dsn.h"

#include <doctest/doctest.h>

using namespace davy;
using Settings = std::map<std::string, std::string>;

namespace {

Settings settings(const char* text) {
  Result<net::PostgresDsn> dsn = net::parse_postgres_dsn(text);
  REQUIRE_MESSAGE(dsn, text);
  return dsn->settings;
}

}  // namespace

TEST_CASE("both forms of a connection string mean the same settings") {
  Settings expected = {{"user", "app"},  {"password", "p@ss w'd"}, {"host", "db.internal"},
                       {"port", "5433"}, {"dbname", "shop"},       {"sslmode", "require"}};
  CHECK(settings("postgresql://app:p%40ss%20w'd@db.internal:5433/shop?sslmode=require") ==
        expected);
  CHECK(settings("user=app password='p@ss w\\'d' host = db.internal  port=5433 dbname=shop "
                 "sslmode=require") == expected);
}

TEST_CASE("what a connection string leaves out stays out") {
  CHECK(settings("postgres://") == Settings{});
  CHECK(settings("postgres:///shop") == Settings{{"dbname", "shop"}});
  CHECK(settings("postgres://db") == Settings{{"host", "db"}});
  CHECK(settings("postgres://%2Fvar%2Frun/shop") ==
        Settings{{"host", "/var/run"}, {"dbname", "shop"}});
  CHECK(settings("postgres://[::1]/") == Settings{{"host", "::1"}});
  CHECK(settings("postgres:///shop?host=/tmp") == Settings{{"dbname", "shop"}, {"host", "/tmp"}});
  CHECK(settings("dbname=''") == Settings{{"dbname", ""}});
  CHECK(settings("postgres://db/?ssl=true") == Settings{{"host", "db"}, {"sslmode", "require"}});
}

TEST_CASE("a written connection string is read back as it was") {
  const char* texts[] = {"postgresql://a:b%27c%5C%20d@h/x%20y", "host=h password='\\\\\\' = '",
                         "dbname=''"};
  for (std::string text : texts) {
    Result<net::PostgresDsn> parsed = net::parse_postgres_dsn(text);
    REQUIRE(parsed);
    const net::PostgresDsn& dsn = *parsed;
    CHECK(net::parse_postgres_dsn(dsn.conninfo())->settings == dsn.settings);
  }
}

TEST_CASE("several hosts are refused in every spelling") {
  for (std::string text : {"postgresql://a:1,b:2/x", "host=a,b", "hostaddr=10.0.0.1,10.0.0.2",
                           "host=a port=1,2", "postgresql:///x?host=a,b"}) {
    Result<net::PostgresDsn> dsn = net::parse_postgres_dsn(text);
    REQUIRE_FALSE(dsn);
    CHECK(dsn.error().what.find("several hosts") != std::string::npos);
  }
}

TEST_CASE("a wrong connection string is refused without its password") {
  for (std::string bad :
       {"", "hunter2", "host", "host=db hunter2", "password='hunter2",
        "postgresql://u:hunter2%zz@h", "postgresql://u:hunter2@h:port/",
        "postgresql://u:hunter2@h/?x", "mysql://u:hunter2@h/", "port=0",
        "postgresql+psycopg2://u:hunter2@h/", "=hunter2", "password=hunter2 port=none"}) {
    CAPTURE(bad);
    Result<net::PostgresDsn> dsn = net::parse_postgres_dsn(bad);
    REQUIRE_FALSE(dsn);
    CHECK(dsn.error().what.find("hunter2") == std::string::npos);
  }
}

TEST_CASE("the place of a database is named without its user") {
  CHECK(net::parse_postgres_dsn("postgres://u:p@db/shop")->where() == "db:5432/shop");
  CHECK(net::parse_postgres_dsn("postgres://u:p@[::1]:1/")->where() == "[::1]:1");
  CHECK(net::parse_postgres_dsn("host=/run/pg dbname=shop")->where() == "/run/pg:5432/shop");
  CHECK(net::parse_postgres_dsn("dbname=shop")->where() == "local socket:5432/shop");
}
