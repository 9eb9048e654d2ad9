#include "probes/findings.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace davy;
using probe::Findings;

TEST_CASE("without findings all is well and far from every level") {
  Outcome seen = Findings().worst();
  CHECK(seen.kind == Outcome::Kind::Pass);
  CHECK(std::isinf(seen.clear_of_fail));
  CHECK(std::isinf(seen.clear_of_warn));
}

TEST_CASE("the worst finding is told first and the others by their reasons") {
  Findings findings;
  Outcome migrating = Outcome::warned("migrating", "m");
  migrating.blocks_deploy = true;
  findings.add(Outcome::passed("fine"));
  findings.add(std::move(migrating));
  findings.add(Outcome::failed("soft", "s"));
  findings.add(Outcome::failed("hard", "h", Outcome::kHard));
  Outcome seen = std::move(findings).worst();
  CHECK(seen.reason == "hard");
  CHECK(seen.hard);
  CHECK(seen.message == "h (also: migrating, soft)");
  CHECK(seen.blocks_deploy);
}

TEST_CASE("the nearest level counts") {
  Findings findings;
  findings.level_of_fail(50, 100);
  findings.level_of_fail(90, 100);
  findings.level_of_warn(3, 2);
  findings.level_of_warn(0, 0);
  findings.measured("a", 1, "s");
  Outcome seen = std::move(findings).worst();
  CHECK(seen.clear_of_fail == doctest::Approx(0.1));
  CHECK(seen.clear_of_warn == doctest::Approx(-0.5));
  CHECK(seen.also.size() == 1);
}
