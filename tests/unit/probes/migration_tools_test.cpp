#include "probes/migration_tools.h"

#include <doctest/doctest.h>

#include "probes/advisory_lock.h"

using namespace davy::probe;

TEST_CASE("versions are ordered by the value of their numbers") {
  CHECK(comes_before("2", "10"));
  CHECK_FALSE(comes_before("10", "2"));
  CHECK_FALSE(comes_before("10", "10"));
  CHECK_FALSE(comes_before("010", "10"));
  CHECK(comes_before("1.2", "1.10"));
  CHECK(comes_before("1.2", "1.2.1"));
  CHECK(comes_before("shop.0002_b", "shop.0010_a"));
  CHECK(comes_before("", "1"));
  CHECK(comes_before("99999999999999999998", "99999999999999999999"));
}

TEST_CASE("a version has one spelling per tool") {
  CHECK(normal_version(MigrationTool::Flyway, "1_02") == "1.2");
  CHECK(normal_version(MigrationTool::Flyway, "1.2.0") == "1.2");
  CHECK(normal_version(MigrationTool::Flyway, "0") == "0");
  CHECK(normal_version(MigrationTool::GolangMigrate, "000001") == "1");
  CHECK(normal_version(MigrationTool::Alembic, "abc123 (head)") == "abc123");
  CHECK(normal_version(MigrationTool::Django, "shop/0001_initial") == "shop.0001_initial");
  CHECK(normal_version(MigrationTool::Prisma, "20240101_a") == "20240101_a");
}

TEST_CASE("only a tool's own files name a version") {
  CHECK(version_in_name(MigrationTool::Rails, "20240101000000_a.rb") == "20240101000000");
  CHECK_FALSE(version_in_name(MigrationTool::Rails, "20240101000000_a.rb.orig"));
  CHECK_FALSE(version_in_name(MigrationTool::Rails, "schema.rb"));
  CHECK_FALSE(version_in_name(MigrationTool::GolangMigrate, "1_a.down.sql"));
  CHECK_FALSE(version_in_name(MigrationTool::Goose, "1_a_test.go"));
  CHECK(version_in_name(MigrationTool::Flyway, "V1_2__a.sql") == "1_2");
  CHECK_FALSE(version_in_name(MigrationTool::Flyway, "R__a.sql"));
  CHECK_FALSE(version_in_name(MigrationTool::Flyway, "V"));
  CHECK_FALSE(version_in_name(MigrationTool::Rails, ""));
}

TEST_CASE("the strings of a Python assignment are found in each of its forms") {
  using Strings = std::vector<std::string>;
  CHECK(python_strings("x = 1\nrevision = 'a1'\n", "revision") == Strings{"a1"});
  CHECK(python_strings("revision: str = \"a1\"  # 'b'", "revision") == Strings{"a1"});
  CHECK(python_strings("down_revision = ('a', \"b\")", "down_revision") == Strings{"a", "b"});
  CHECK(python_strings("down_revision = None", "down_revision").empty());
  CHECK(python_strings("    revision = 'inside'", "revision").empty());
  CHECK(python_strings("revision = 'open", "revision").empty());
  CHECK(python_strings("", "revision").empty());
}

TEST_CASE("the keys of migration tools' locks are theirs") {
  CHECK(crc32_of("123456789") == 0xCBF43926u);  // the check value of the CRC-32 catalogues
  // python3: 2053462845 * zlib.crc32(b"shop")
  CHECK(advisory_key("rails", "shop") == 5939944341529942170);
  CHECK(advisory_key("prisma", "shop") == 72707369);
  CHECK(advisory_key("-12", "shop") == -12);
  CHECK_FALSE(advisory_key("knex", "shop"));
  CHECK_FALSE(advisory_key("12x", "shop"));
  CHECK_FALSE(advisory_key("", "shop"));
}
