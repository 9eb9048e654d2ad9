// What those who ask us make of our codes, as each of them reads a status:
//   kubelet       200..399 is a success (a redirect elsewhere too)
//   Envoy         exactly 200, unless expected_statuses says otherwise
//   kamal-proxy   2xx
//   HAProxy       2xx and 3xx; 404 with disable-on-404 = no new sessions
//   Consul        2xx passes, 429 warns, all else is critical
// So a pass is exactly 200, a failure neither 2xx nor 3xx, and the other two are only said to whom
// the config says that they are understood. Table of fault group "consumers"; a real HAProxy:
// fault/consumers_test.cpp.
#include <doctest/doctest.h>

#include "health/roles.h"
#include "serve/health_routes.h"
#include "unit/fakes/clock.h"

using namespace davy;

namespace {

struct State {
  std::string what;
  CheckStatus status;
  bool is_stale = false;
  bool is_draining = false;
};
const State kStates[] = {
    {"passes", CheckStatus::Pass},
    {"warns", CheckStatus::Warn},
    {"fails", CheckStatus::Fail},
    {"is not known", CheckStatus::Pending},
    {"is stale", CheckStatus::Pass, true},
    {"drains", CheckStatus::Pass, false, true},
    {"drains and fails", CheckStatus::Fail, false, true},
};

int status_of(const State& state, const std::string& path, config::Answers answers = {}) {
  fakes::HandClock clock;
  auto board = std::make_shared<Board>();
  CheckView app;
  app.name = "app";
  app.status = state.status;
  app.stale = state.is_stale;
  app.roles = {kRoles[0], kRoles[1], kRoles[2], kRoles[3]};
  board->checks = {app};
  board->draining = state.is_draining;
  board->made_at = clock.now();
  health::Roles roles;
  roles.restore_started("");
  roles.evaluate(*board, {}, clock.moment());
  serve::HealthRoutes routes([board] { return board; }, clock, false, answers);
  return routes.answer({.method = "GET", .path = path}).status;
}

bool is_good_for_all(int status) {
  bool kubelet = status >= 200 && status < 400;
  bool envoy = status == 200;
  bool kamal = status / 100 == 2;
  bool haproxy = status / 100 == 2 || status / 100 == 3;
  bool consul = status / 100 == 2;
  bool all = kubelet && envoy && kamal && haproxy && consul;
  bool none = !kubelet && !envoy && !kamal && !haproxy && !consul;
  CHECK_MESSAGE(all != none, status << " is good for some and bad for others");
  return all;
}

}  // namespace

TEST_CASE("whoever asks reads the same from every answer, and reads it as it is meant") {
  struct Row {
    std::string path;
    const char* good;  // one letter per state: + good, - bad
  };
  const Row rows[] = {
      {"/readyz", "++-----"},    {"/readyz/app", "++---+-"},  // the check alone: it does not drain
      {"/livez", "++-++++"},  // what is not known, stale or drains is not restarted
      {"/livez/app", "++--++-"}, {"/startupz", "+++++++"},  // has started once
      {"/deployz", "++-----"},
  };
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < std::size(kStates); ++i) {
      CAPTURE(row.path);
      CAPTURE(kStates[i].what);
      int status = status_of(kStates[i], row.path);
      CHECK((status == 200 || status == 503));
      CHECK(is_good_for_all(status) == (row.good[i] == '+'));
    }
  }
}

TEST_CASE("Consul is told of a warning and HAProxy of a drain only where the config says so") {
  config::Answers consul{.warn_status = 429};
  config::Answers haproxy{.drain_status = 404};
  for (const State& state : kStates) {
    CAPTURE(state.what);
    int plain = status_of(state, "/readyz");
    bool warns = state.status == CheckStatus::Warn && !state.is_draining;
    CHECK(status_of(state, "/readyz", consul) == (warns ? 429 : plain));
    CHECK(status_of(state, "/readyz", haproxy) == (state.is_draining ? 404 : plain));
    // Nobody restarts a process for a warning or a drain, whatever the config says.
    int alive = status_of(state, "/livez", haproxy);
    CHECK((alive == 200 || alive == 503));
  }
}
