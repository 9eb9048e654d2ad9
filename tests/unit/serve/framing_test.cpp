#include "serve/framing.h"

#include <doctest/doctest.h>
#include <string>

using davy::serve::Frame;
using davy::serve::frame_request;

namespace {

Frame frame(const std::string& bytes) {
  return frame_request(bytes, 1024, 64);
}

}  // namespace

TEST_CASE("a request is framed only when all of it is there") {
  std::string get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  for (std::size_t n = 0; n < get.size(); ++n) {
    Frame partial = frame(get.substr(0, n));
    CHECK(partial.size == 0);
    CHECK(partial.refuse == 0);
  }
  CHECK(frame(get).size == get.size());
  CHECK(frame(get + "GET /next").size == get.size());
  std::string post = "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n";
  CHECK(frame(post + "1234").size == 0);
  CHECK(frame(post + "12345").size == post.size() + 5);
}

TEST_CASE("what two parsers could read differently is refused") {
  CHECK(frame("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").refuse == 411);
  CHECK(frame("POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n").refuse == 400);
  CHECK(frame("POST / HTTP/1.1\r\nContent-Length: 5x\r\n\r\n").refuse == 400);
  CHECK(frame("POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n").refuse == 400);
  CHECK(frame("POST / HTTP/1.1\r\nContent-Length : 5\r\n\r\n").refuse == 400);
  CHECK(frame("POST / HTTP/1.1\r\nno colon here\r\n\r\n").refuse == 400);
  CHECK(frame("POST / HTTP/1.1\r\nContent-Encoding: gzip\r\n\r\n").refuse == 415);
}

TEST_CASE("what is too large is refused before it is all there") {
  CHECK(frame("GET / HTTP/1.1\r\nX: " + std::string(2000, 'a')).refuse == 431);
  CHECK(frame_request("GET /" + std::string(5000, 'a'), 16384, 64).refuse == 414);
  CHECK(frame("POST / HTTP/1.1\r\nContent-Length: 65\r\n\r\n").refuse == 413);
  CHECK(frame("POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n").refuse == 400);
  std::string many = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 200; ++i) many += "A: b\r\n";
  CHECK(frame_request(many + "\r\n", 16384, 64).refuse == 431);
}
