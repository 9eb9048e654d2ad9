#include <doctest/doctest.h>

#include "net/http_client.h"

using namespace davy;

TEST_CASE("a URL has its scheme's port unless it names one") {
  CHECK(net::parse_url("http://app")->port == 80);
  CHECK(net::parse_url("https://app")->port == 443);
  CHECK(net::parse_url("http://app:3000")->port == 3000);
}

TEST_CASE("a URL's target is its path and query as written") {
  CHECK(net::parse_url("http://app")->target == "/");
  CHECK(net::parse_url("http://app/a%20b?x=%31")->target == "/a%20b?x=%31");
  CHECK(net::parse_url("http://app?x=1")->target == "/?x=1");
}

TEST_CASE("a URL's origin names scheme, host and port") {
  CHECK(net::parse_url("http://[::1]/x")->origin() == "http://[::1]:80");
  CHECK(net::parse_url("HTTPS://app/x")->origin() == "https://app:443");
}

TEST_CASE("a wrong URL is refused with what would be right") {
  for (std::string bad : {"", "app:3000", "/up", "ftp://app/", "http://", "http:///up",
                          "http://app:0/", "http://app:port/", "http://a b/", "http://app/#top",
                          "http://a,b/", "http://a\"b/", "http://app/\r\nX: y"}) {
    CAPTURE(bad);
    Result<net::Url> url = net::parse_url(bad);
    REQUIRE_FALSE(url);
    CHECK(url.error().what.find("try http://host:port/path") != std::string::npos);
  }
}

TEST_CASE("what is wrong with a URL reads as one sentence") {
  for (std::string bad : {"app:3000", "http://", "http://app:port/", "http://[::1/",
                          "http://[::1]x/", "http://a%zz/", "http://a b/"}) {
    Result<net::Url> url = net::parse_url(bad);
    REQUIRE_FALSE(url);
    CAPTURE(url.error().what);
    bool has_verb = url.error().what.find(": it has ") != std::string::npos ||
                    url.error().what.find(": it names ") != std::string::npos ||
                    url.error().what.find(": it holds ") != std::string::npos;
    CHECK(has_verb);
  }
}

TEST_CASE("a URL with a user is refused without repeating its password") {
  Result<net::Url> url = net::parse_url("http://admin:hunter2@app/");
  REQUIRE_FALSE(url);
  CHECK(url.error().what.find("hunter2") == std::string::npos);
}
