#include <doctest/doctest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "lab/agent.h"
#include "lab/postgres.h"
#include "lab/process.h"

using namespace davy;

namespace {

std::string mapped_by(pid_t pid) {
  std::ifstream maps("/proc/" + std::to_string(pid) + "/maps");
  std::ostringstream all;
  all << maps.rdbuf();
  return all.str();
}

bool has_loaded_libpq(lab::Agent& agent) {
  return mapped_by(agent.process().pid()).find("/libpq.so.5") != std::string::npos;
}

}  // namespace

TEST_CASE("an agent that asks no PostgreSQL does without its client library") {
  lab::Agent agent("checks:\n  - { name: root, disk: { path: / } }\n");
  REQUIRE(lab::eventually([&] { return agent.health("/readyz").status == 200; }));
  CHECK_FALSE(has_loaded_libpq(agent));
}

TEST_CASE("a reload that adds the first check of PostgreSQL loads its client library") {
  lab::Agent agent("checks:\n  - { name: root, disk: { path: / } }\n");
  std::string dsn = lab::Postgres::shared().dsn();
  agent.reload("checks:\n  - { name: db, postgres: { dsn: '" + dsn + "' } }\n");
  REQUIRE(lab::eventually([&] {
    return agent.get("/v1/checks/db").body.find("\"status\": \"pass\"") != std::string::npos;
  }));
  CHECK(has_loaded_libpq(agent));
}

TEST_CASE("where libpq is missing, the check says what to install and davy itself is to blame") {
  lab::TempDir dir;
  lab::write_file(dir / "libpq.so.5", "");  // found first, and no library
  lab::Finished said = lab::run(
      {.argv = {DAVY_BINARY, "check", "--kind", "postgres", "dsn=" + lab::Postgres::shared().dsn()},
       .env = {{"LD_LIBRARY_PATH", dir.path()}}});
  CHECK(said.code == 3);
  CHECK(said.output.find("error: no_libpq") != std::string::npos);
  CHECK(said.output.find("libpq.so.5 cannot be loaded: ") != std::string::npos);
  CHECK(said.output.find("(install libpq5)") != std::string::npos);
}
