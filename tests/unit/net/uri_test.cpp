#include "net/uri.h"

#include <doctest/doctest.h>

using namespace davy;

TEST_CASE("a URI is taken apart into its parts") {
  Result<net::Uri> uri = net::parse_uri("Redis://app:s%40cret@cache.internal:6380/2?x=1&y=2");
  REQUIRE(uri);
  CHECK(uri->scheme == "redis");
  CHECK(*uri->user == "app");
  CHECK(*uri->password == "s@cret");
  CHECK(uri->host == "cache.internal");
  CHECK(uri->port == 6380);
  CHECK(uri->path == "/2");
  CHECK(uri->query == "x=1&y=2");
}

TEST_CASE("parts that are not written are absent") {
  Result<net::Uri> uri = net::parse_uri("redis://cache");
  REQUIRE(uri);
  CHECK_FALSE(uri->user);
  CHECK_FALSE(uri->password);
  CHECK(uri->port == 0);
  CHECK(uri->path.empty());
  CHECK(net::parse_uri("postgresql:///shop")->host.empty());
}

TEST_CASE("an IPv6 host loses its brackets") {
  CHECK(net::parse_uri("http://[::1]:80/")->host == "::1");
  CHECK(net::parse_uri("http://[::1]")->port == 0);
}

TEST_CASE("an @ inside a password does no harm") {
  Result<net::Uri> uri = net::parse_uri("redis://:p@ss@cache");
  REQUIRE(uri);
  CHECK(*uri->password == "p@ss");
  CHECK(uri->host == "cache");
}

TEST_CASE("a wrong URI is refused without repeating its password") {
  for (std::string bad :
       {"hunter2", "://hunter2", "redis://u:hunter2%zz@h", "redis://u:/hunter2@h",
        "redis://u:hunter2#@h", "redis://u:hunter2@h:99999", "redis://u:hunter2@h:0",
        "redis://u:hunter2@a:1,b:2", "redis://u:hunter2@[::1", "redis://u:hunter2@[::1]x",
        "redis://u:hunter 2@h", "redis://u:hunter2?@h"}) {
    CAPTURE(bad);
    Result<net::Uri> uri = net::parse_uri(bad);
    // The password's end may be taken for a host or path; then the caller refuses or cannot
    // connect.
    if (uri) continue;
    CHECK(uri.error().what.find("hunter") == std::string::npos);
  }
  CHECK_FALSE(net::parse_uri("redis://u:hunter2@h:99999"));
  CHECK_FALSE(net::parse_uri("redis://u:hunter2@a:1,b:2"));
}

TEST_CASE("percent-encoding is decoded or refused") {
  CHECK(*net::percent_decoded("a%2Fb%20c") == "a/b c");
  CHECK_FALSE(net::percent_decoded("%"));
  CHECK_FALSE(net::percent_decoded("%4"));
  CHECK_FALSE(net::percent_decoded("%4g"));
  CHECK_FALSE(net::percent_decoded("%+1"));
}
