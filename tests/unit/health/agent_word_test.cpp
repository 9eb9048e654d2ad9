#include "health/agent_word.h"

#include <doctest/doctest.h>

#include "health/roles.h"

using namespace davy;

namespace {

Board board_with(CheckStatus status, const std::string& reason = "") {
  Board board;
  CheckView db;
  db.name = "db";
  db.status = status;
  db.reason = reason;
  db.roles = {Role::Readiness};
  board.checks = {db};
  health::Roles().evaluate(board, {}, {});
  return board;
}

}  // namespace

TEST_CASE("an agent check always says in full what it means") {
  CHECK(health::agent_word(board_with(CheckStatus::Pass)) == "ready up 100%");
  CHECK(health::agent_word(board_with(CheckStatus::Fail, "timeout")) == "down#db: timeout");
  Board draining = board_with(CheckStatus::Pass);
  draining.draining = true;
  CHECK(health::agent_word(draining) == "drain");
}

TEST_CASE("a reason cannot break the line") {
  CHECK(health::agent_word(board_with(CheckStatus::Fail, "a\nup,100%")) == "down#db: a;up;100%");
}
