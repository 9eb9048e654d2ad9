#include "sources/prometheus/client.h"

#include <doctest/doctest.h>

using namespace davy;
using namespace davy::source;
using namespace std::chrono_literals;

TEST_CASE(
    "Retry-After is read as seconds and as a date, which the answer's own date makes a time") {
  constexpr WallMillis kNow = 784111777'000;  // Sun, 06 Nov 1994 08:49:37 GMT
  CHECK(parse_retry_after("120", "", kNow) == Duration(120s));
  CHECK(parse_retry_after("0", "", kNow) == Duration(0s));
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:50:07 GMT", "", kNow) == Duration(30s));
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:50:07 GMT", "Sun, 06 Nov 1994 08:50:00 GMT", 0) ==
        Duration(7s));
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:49:30 GMT", "", kNow) == Duration(0s));
  CHECK(parse_retry_after("Sun, 06 Nov 2094 08:49:30 GMT", "", kNow) == Duration(24h));
  for (const char* text :
       {"", "-1", "1.5", "soon", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 25:49:37 GMT", "Sun, 06 xxx 1994 08:49:37 GMT", "99999999999999999999"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_retry_after(text, "", kNow));
  }
}
