#include "sources/targets/url.h"

#include <doctest/doctest.h>

using namespace davy;
using source::parse_target_url;

TEST_CASE("a URL of a Unix socket names its path where the host would be") {
  auto url = parse_target_url("http+unix://%2Frun%2Fshop%2Fmetrics.sock/metrics?a=b");
  REQUIRE(url);
  CHECK(url->unix_path == "/run/shop/metrics.sock");
  CHECK(url->url.target == "/metrics?a=b");
  CHECK(url->url.scheme == "http");
  CHECK(parse_target_url("http+unix://%2Frun%2Fapp.sock")->url.target == "/");
  CHECK(parse_target_url("http://v1:9102/metrics")->unix_path == "");
}

TEST_CASE("URLs of Unix sockets that are none are refused with what would be right") {
  for (const char* text : {"http+unix:///run/app.sock", "http+unix://run/app.sock",
                           "http+unix://%2Frun:80/", "http+unix://u@%2Frun/", "http+unix://%2"}) {
    auto url = parse_target_url(text);
    REQUIRE_FALSE(url);
    CHECK(url.error().what.find("try http+unix://%2Frun%2Fapp.sock/metrics") != std::string::npos);
  }
}

TEST_CASE("a target is shown without its query, which may hold a token, and known by all of it") {
  auto url = parse_target_url("http://v2:9102/metrics?token=hunter2");
  url->shares = {{source::Side::Canary}};
  CHECK(url->name() == "canary http://v2:9102/metrics");
  CHECK(url->key() == "canary http://v2:9102/metrics?token=hunter2");
}
