#include "base/units.h"

#include <doctest/doctest.h>

using namespace davy;
using namespace std::chrono_literals;

TEST_CASE("durations are read with their units and need one") {
  CHECK(*units::parse_duration("250ms") == 250ms);
  CHECK(*units::parse_duration("1m30s") == 90s);
  CHECK(*units::parse_duration("1.5h") == 90min);
  CHECK(*units::parse_duration("0") == 0s);
  for (const char* bad :
       {"", "5", "5 s", "-5s", "s", "5x", "1e3s", "5s ", "inf", "999999999h", "1..5s"}) {
    CAPTURE(bad);
    CHECK_FALSE(units::parse_duration(bad));
  }
}

TEST_CASE("sizes are decimal or binary as written") {
  CHECK(*units::parse_bytes("512") == 512);
  CHECK(*units::parse_bytes("10kB") == 10000);
  CHECK(*units::parse_bytes("1GiB") == 1073741824);
  CHECK_FALSE(units::parse_bytes("1G"));
  CHECK_FALSE(units::parse_bytes("GiB"));
}

TEST_CASE("shares are percentages or plain ratios") {
  CHECK(*units::parse_ratio("20%") == doctest::Approx(0.2));
  CHECK(*units::parse_ratio("0.001") == doctest::Approx(0.001));
  CHECK_FALSE(units::parse_ratio("0.5pp"));
  CHECK(units::parse_amount("5%")->is_ratio);
  CHECK_FALSE(units::parse_amount("5GiB")->is_ratio);
}

TEST_CASE("what is shown is what a person would write") {
  CHECK(units::show(250ms) == "250ms");
  CHECK(units::show(90s) == "1m30s");
  CHECK(units::show(2h) == "2h");
  CHECK(units::show_percent(0.00521) == "0.52%");
  CHECK(units::show_percent(0.00002) == "0.002%");
  CHECK(units::show_percent(0) == "0%");
  CHECK(units::show_latency(0.199) == "199 ms");
  CHECK(units::show_bytes(1536) == "1.5 KiB");
}
