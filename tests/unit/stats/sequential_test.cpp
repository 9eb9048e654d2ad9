#include "davy/sequential.h"

#include <doctest/doctest.h>

using namespace davy::stats;

namespace {

double after_an_hour(const Null& null, double p1, double p2) {
  WorseTest test(null);
  for (int i = 0; i < 720; ++i) test.see({500, 500 * p1, 500, 500 * p2}, p1, 5);
  return test.log_e();
}

}  // namespace

TEST_CASE("a margin that tolerates everything is never exceeded") {
  CHECK(after_an_hour({.ratio = 1, .absolute = 1}, 0.01, 0.02) < 1e-9);
  CHECK(after_an_hour({.ratio = 2}, 0.5, 0.5) < 1e-9);
  CHECK(after_an_hour({.ratio = 2}, 0.5, 1) < 1e-9);
  CHECK(after_an_hour({.ratio = 1.2}, 0.5, 0.9) > 100);
}
