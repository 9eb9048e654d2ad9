#include "sources/targets/list.h"

#include <doctest/doctest.h>

using namespace davy;

TEST_CASE("an instance on loopback or a Unix socket is on this machine") {
  auto is_local = [](const char* url, const char* address) {
    auto target = source::parse_target_url(url);
    return source::Instance{&*target, address, true, ""}.is_local();
  };
  CHECK(is_local("http://localhost/", "127.0.0.1"));
  CHECK(is_local("http://localhost/", "127.8.9.1"));
  CHECK(is_local("http://localhost/", "::1"));
  CHECK(is_local("http+unix://%2Frun%2Fapp.sock/", ""));
  CHECK_FALSE(is_local("http://v1/", "10.127.0.1"));
  CHECK_FALSE(is_local("http://v1/", "::2"));
  CHECK_FALSE(is_local("http://v1/", ""));
}
