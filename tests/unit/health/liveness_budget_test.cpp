#include "health/liveness_budget.h"

#include <doctest/doctest.h>

using namespace davy;
using namespace std::chrono_literals;

namespace {

struct Bench {
  health::LivenessBudget budget{config::LivenessBudget{3, 10min}};
  Time now{1h};

  bool fails(const std::string& instance = "") { return budget.suppresses(true, instance, now); }
  void lives() { budget.suppresses(false, "", now); }
  /// Fails, is restarted, lives again for a minute.
  bool restart() {
    bool suppressed = fails();
    now = now + 30s;
    lives();
    now = now + 30s;
    return suppressed;
  }
};

}  // namespace

TEST_CASE("after three restarts that did not help, the fourth is not asked for") {
  Bench b;
  for (int i = 0; i < 3; ++i) CHECK_FALSE(b.restart());
  CHECK(b.fails());
  b.now = b.now + 1min;
  CHECK(b.fails());  // and stays so while it fails
}

TEST_CASE("an instance that fails where another failed before counts as a restart") {
  Bench b;
  CHECK_FALSE(b.fails("pid 1"));
  CHECK_FALSE(b.fails("pid 2"));
  CHECK_FALSE(b.fails("pid 2"));
  CHECK_FALSE(b.fails("pid 3"));
  CHECK(b.fails("pid 4"));
}

TEST_CASE("restarts of long ago do not count, and one more is tried when the time has passed") {
  Bench b;
  for (int i = 0; i < 3; ++i) b.restart();
  CHECK(b.fails());
  b.now = b.now + 11min;
  CHECK_FALSE(b.fails());
}

TEST_CASE("a budget of 0 never suppresses") {
  Bench b;
  b.budget.configure({0, 10min});
  for (int i = 0; i < 50; ++i) CHECK_FALSE(b.restart());
}
