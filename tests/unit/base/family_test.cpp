#include "base/family.h"

#include <doctest/doctest.h>
#include <unistd.h>

using namespace davy;

TEST_CASE("a process's line is read whatever its name holds") {
  std::optional<family::Member> seen = family::parse_stat(
      "71 (a) S 1 (b) D 42 71 71 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 8912 10 11\n");
  REQUIRE(seen);
  CHECK(seen->pid == 71);
  CHECK(seen->name == "a) S 1 (b");
  CHECK(seen->state == 'D');
  CHECK(seen->parent == 42);
  CHECK(seen->started == 8912);
  CHECK_FALSE(seen->is_dead());
}

TEST_CASE("a line that is cut is no process") {
  std::string whole = "71 (a) Z 42 71 71 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 8912";
  REQUIRE(family::parse_stat(whole));
  CHECK(family::parse_stat(whole)->is_dead());
  for (std::size_t n = 0; n + 4 < whole.size(); ++n)
    CHECK_FALSE(family::parse_stat(whole.substr(0, n)));
}

TEST_CASE("we are in /proc, and our parent is told") {
  std::optional<family::Member> self = family::look_at(getpid());
  REQUIRE(self);
  CHECK(self->parent == getppid());
  CHECK_FALSE(family::look_at(-1));
}
