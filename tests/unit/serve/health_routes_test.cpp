#include "serve/health_routes.h"

#include <doctest/doctest.h>

#include "health/roles.h"
#include "unit/fakes/clock.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

struct Bench {
  fakes::HandClock clock;
  std::shared_ptr<Board> board = std::make_shared<Board>();
  serve::HealthRoutes routes{[this] { return board; }, clock, false};

  Bench() {
    board->made_at = clock.now();
    CheckView db;
    db.name = "db";
    db.status = CheckStatus::Fail;
    db.reason = "timeout";
    db.message = "10.1.2.3 says nothing";
    db.roles = {Role::Readiness};
    CheckView app;
    app.name = "app";
    app.status = CheckStatus::Pass;
    app.roles = {Role::Liveness, Role::Readiness};
    board->checks = {db, app};
    evaluate();
  }

  void evaluate() { health::Roles().evaluate(*board, {}, clock.moment()); }

  serve::Response get(const std::string& path,
                      std::vector<std::pair<std::string, std::string>> query = {}) {
    return routes.answer({.method = "GET", .path = path, .query = std::move(query)});
  }
};

}  // namespace

TEST_CASE("a role answers 200 or 503 and names what fails, without messages on an open listener") {
  Bench b;
  CHECK(b.get("/livez").status == 200);
  CHECK(b.get("/readyz").status == 503);
  CHECK(b.get("/readyz").body == "fail: db\n");
  std::string verbose = b.get("/readyz", {{"verbose", ""}}).body;
  CHECK(verbose == "[-]db failed: timeout\n[+]app ok\nfail: db\n");
}

TEST_CASE("a board that nobody renews is not trusted for anything but liveness") {
  Bench b;
  b.board->checks[0].status = CheckStatus::Pass;
  b.evaluate();
  CHECK(b.get("/readyz").status == 200);
  b.clock.advance(11s);
  CHECK(b.get("/readyz").status == 503);
  CHECK(b.get("/readyz").body == "fail: davy's own scheduler has not reported for 11s\n");
  CHECK(b.get("/readyz", {{"exclude", "db"}}).status == 503);
  CHECK(b.get("/readyz/app").status == 503);
  CHECK(b.get("/healthz").status == 503);
  CHECK(b.get("/livez").status == 200);
  CHECK(b.get("/livez/app").status == 200);
}

TEST_CASE("an excluded check does not count, and excluding what does not exist is said") {
  Bench b;
  CHECK(b.get("/readyz", {{"exclude", "db"}}).status == 200);
  CHECK(b.get("/readyz", {{"exclude", "app,db"}}).body == "[ ]app excluded\n[ ]db excluded\nok\n");
  CHECK(b.get("/readyz", {{"exclude", "dbb"}}).status == 503);
  CHECK(b.get("/readyz", {{"exclude", "dbb"}}).body.starts_with("[!]there is no check \"dbb\""));
}

TEST_CASE("nothing can be excluded from liveness") {
  Bench b;
  b.board->checks[1].status = CheckStatus::Fail;
  b.evaluate();
  CHECK(b.get("/livez", {{"exclude", "app"}}).status == 503);
}
