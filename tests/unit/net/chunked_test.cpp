#include "net/chunked.h"

#include <doctest/doctest.h>

#include <string>

using namespace davy;

namespace {

struct Taken {
  std::string body;
  std::string left;
  std::string trouble;
  bool is_done = false;
};

/// What comes out when the bytes arrive in pieces of this size.
Taken take(const std::string& wire, std::size_t piece = 1000) {
  net::Chunked chunks;
  Taken taken;
  std::size_t at = 0;
  while (at < wire.size() && !chunks.is_done() && chunks.trouble().empty()) {
    std::string_view bytes = std::string_view(wire).substr(at, piece);
    std::size_t before = bytes.size();
    while (true) {
      std::string_view part = chunks.take(bytes);
      if (part.empty()) break;
      taken.body += part;
    }
    at += before - bytes.size();
  }
  taken.left = wire.substr(at);
  taken.trouble = chunks.trouble();
  taken.is_done = chunks.is_done();
  return taken;
}

}  // namespace

TEST_CASE("chunks become the body, wherever their bytes are split") {
  std::string wire = "3\r\nabc\r\n1A\r\nabcdefghijklmnopqrstuvwxyz\r\n002\r\n\r\n\r\n0\r\n\r\nnext";
  for (std::size_t piece = 1; piece <= wire.size(); ++piece) {
    Taken taken = take(wire, piece);
    CHECK(taken.body == "abcabcdefghijklmnopqrstuvwxyz\r\n");
    CHECK(taken.is_done);
    CHECK(taken.left == "next");
  }
}

TEST_CASE("extensions of chunks and trailers behind them are passed over") {
  Taken taken = take("3;name=\"value\"\r\nabc\r\n0 ;last\r\nX-Sum: 1\r\nX-Other: 2\r\n\r\n");
  CHECK(taken.body == "abc");
  CHECK(taken.is_done);
}

TEST_CASE("a chunked body that is cut anywhere is not done") {
  std::string wire = "3\r\nabc\r\n0\r\nX: y\r\n\r\n";
  for (std::size_t size = 0; size < wire.size(); ++size) {
    Taken taken = take(wire.substr(0, size));
    CHECK_FALSE(taken.is_done);
    CHECK(taken.trouble == "");
  }
}

TEST_CASE("what is not framed as chunks is refused") {
  for (const char* wire :
       {"<html>\r\n", "\r\n", "-3\r\nabc\r\n", "+3\r\nabc\r\n", "0x3\r\nabc\r\n", " 3\r\nabc\r\n",
        "3g\r\nabc\r\n", "10000000000000000\r\n", "3\nabc\r\n", ";ext\r\n"}) {
    CAPTURE(wire);
    Taken taken = take(wire);
    CHECK(taken.trouble != "");
    CHECK(taken.body == "");
  }
  CHECK(take("12 apples\r\n").trouble == "a chunk begins with \"12 apples\", not with its size");
}

TEST_CASE("a chunk that is followed by anything but its end is refused") {
  CHECK(take("3\r\nabcdef\r\n0\r\n\r\n").trouble == "a chunk is longer than it says");
  CHECK(take("3\r\nabc0\r\n\r\n").trouble == "a chunk is longer than it says");
  CHECK(take("3\r\nabc\n0\r\n\r\n").trouble != "");
}

TEST_CASE("lines and trailers that do not end are refused") {
  CHECK(take(std::string(100'000, '1')).trouble == "a line between its chunks does not end");
  CHECK(take("3;" + std::string(100'000, 'x')).trouble != "");
  std::string trailers;
  for (int i = 0; i < 10'000; ++i) trailers += "X-Trailer: value\r\n";
  CHECK(take("0\r\n" + trailers).trouble == "its trailers do not end");
}
