#include "app/cli/nagios.h"

#include <doctest/doctest.h>

#include "unit/fakes/probe.h"

using namespace davy;

TEST_CASE("a Nagios line has a word, a message, and numbers with their ranges") {
  config::Check check = fakes::check("db");
  check.schedule.levels.warn_above = 0.5;
  check.schedule.levels.fail_above = 1;
  CHECK(app::nagios_line(check, Outcome::passed("answered").measured(0.25, "s")) ==
        "DB OK - answered | 'time'=0.25s;~:0.5;~:1");
  check.schedule.levels = {
      .warn_above = {}, .fail_above = {}, .warn_below = 0.2, .fail_below = 0.1};
  Outcome low = Outcome::failed("low_space", "5% free").measured(0.05, "ratio");
  low.also = {{"it's = one", 3, "1"}, {"used", 1024, "bytes"}};
  CHECK(app::nagios_line(check, low) ==
        "DB CRITICAL - 5% free | 'value'=5%;20:;10: 'it''s _ one'=3 'used'=1024B");
  CHECK(app::nagios_line(check, Outcome::unable("resources", "no\nfiles | left")) ==
        "DB UNKNOWN - no files   left");
}

TEST_CASE("a Nagios line is one line of 4 KiB at most") {
  Outcome long_one = Outcome::warned("x", std::string(10000, 'a'));
  std::string line = app::nagios_line(fakes::check("db"), std::move(long_one).measured(1, "s"));
  CHECK(line.size() <= 4096);
  CHECK(line.find('\n') == std::string::npos);
}
