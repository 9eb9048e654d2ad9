#include "net/authorization.h"

#include <doctest/doctest.h>

using namespace davy;

TEST_CASE("user and password become what RFC 7617 shows") {
  CHECK(*net::basic_authorization("Aladdin", "open sesame") ==
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  CHECK(*net::basic_authorization("test", "123\xC2\xA3") == "Basic dGVzdDoxMjPCow==");
  CHECK(*net::basic_authorization("a", "") == "Basic YTo=");
}

TEST_CASE("what basic authentication cannot carry is refused and not repeated") {
  CHECK_FALSE(net::basic_authorization("a:b", "hunter2"));
  auto broken = net::basic_authorization("a", "hunter2\r\nX-Evil: 1");
  REQUIRE_FALSE(broken);
  CHECK(broken.error().what.find("hunter2") == std::string::npos);
}

TEST_CASE("a token is one word, with whatever stands around it in its file") {
  CHECK(*net::bearer_authorization("abc.def-ghi_=\n") == "Bearer abc.def-ghi_=");
  for (const char* token : {"", " \n", "hunter2 more", "hunter2\nmore", "hunter2\x01"}) {
    auto refused = net::bearer_authorization(token);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().what.find("hunter2") == std::string::npos);
  }
}
