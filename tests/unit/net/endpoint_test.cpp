#include <doctest/doctest.h>

#include "net/socket.h"

using namespace davy;

TEST_CASE("an address is a host and a port") {
  CHECK(net::parse_endpoint("db:5432")->host == "db");
  CHECK(net::parse_endpoint("db:5432")->port == 5432);
  CHECK(net::parse_endpoint("[::1]:25")->host == "::1");
  CHECK(net::parse_endpoint("[::1]:25")->text() == "[::1]:25");
  for (std::string bad : {"", "db", ":80", "db:", "db:0", "db:65536", "db:80x", "::1:80",
                          "http://db:80", "[]:80", "a b:80", "u@db:80"}) {
    CAPTURE(bad);
    CHECK_FALSE(net::parse_endpoint(bad));
  }
}
