#include "net/http_body.h"

#include <doctest/doctest.h>

#include <string>

#include "lab/gzip.h"

using namespace davy;
using Failure = net::HttpBody::Failure;
using Headers = net::HttpBody::Headers;

namespace {

struct Read {
  std::string body;
  std::string left;
  bool is_over = false;
  Failure failure = Failure::None;
  std::string trouble;
};

/// What comes of the bytes, in pieces, behind a head of status 200, when the peer then closes.
Read read(const Headers& head, const std::string& wire, std::size_t limit = 1 << 20,
          std::size_t piece = 1 << 20) {
  net::HttpBody body(200, head, limit);
  Read out;
  std::size_t at = 0;
  while (at < wire.size() && !body.is_over()) {
    std::string_view bytes = std::string_view(wire).substr(at, piece);
    std::size_t before = bytes.size();
    body.feed(bytes, [&](std::string_view part) {
      out.body += part;
      return true;
    });
    at += before - bytes.size();
  }
  bool was_over = body.is_over();
  body.end();
  out.left = wire.substr(at);
  out.is_over = was_over;
  out.failure = body.failure();
  out.trouble = body.trouble();
  return out;
}

const Headers kGzip = {{"Content-Encoding", "gzip"}};

Headers with_length(std::size_t length, Headers head = {}) {
  head.emplace_back("content-length", std::to_string(length));
  return head;
}

std::string in_chunks(const std::string& text, std::size_t size) {
  std::string wire;
  char digits[20];
  for (std::size_t at = 0; at < text.size(); at += size) {
    std::string chunk = text.substr(at, size);
    std::snprintf(digits, sizeof digits, "%zx\r\n", chunk.size());
    wire += digits + chunk + "\r\n";
  }
  return wire + "0\r\n\r\n";
}

}  // namespace

TEST_CASE("a body ends where its length, its chunks or the connection say") {
  Read length = read(with_length(3), "abcdef");
  CHECK(length.body == "abc");
  CHECK(length.left == "def");
  CHECK(length.is_over);
  Read chunked = read({{"transfer-encoding", "Chunked"}}, in_chunks("abcdef", 4) + "g");
  CHECK(chunked.body == "abcdef");
  CHECK(chunked.left == "g");
  Read until_end = read({}, "abcdef");
  CHECK(until_end.body == "abcdef");
  CHECK_FALSE(until_end.is_over);  // before the peer closed
  CHECK(until_end.failure == Failure::None);
  CHECK(read(with_length(0), "x").left == "x");
}

TEST_CASE("answers that have no body end with their head") {
  for (int status : {100, 204, 304}) {
    CHECK(net::HttpBody(status, with_length(100), 10).is_over());
    CHECK(net::HttpBody(status, {}, 10).failure() == Failure::None);
  }
  CHECK_FALSE(net::HttpBody(200, {}, 10).is_over());
}

TEST_CASE("a body that is cut is damaged") {
  CHECK(read(with_length(4), "abc").trouble == "ends early");
  CHECK(read({{"Transfer-Encoding", "chunked"}}, "3\r\nabc\r\n").failure == Failure::Damaged);
}

TEST_CASE("heads that two readers could read differently are refused") {
  auto failure = [](const Headers& head) { return net::HttpBody(200, head, 100).failure(); };
  CHECK(failure({{"Content-Length", "3"}, {"Content-Length", "3"}}) == Failure::None);
  CHECK(failure({{"Content-Length", "3"}, {"Content-Length", "4"}}) == Failure::Damaged);
  for (const char* length : {"", "-1", "+3", "3 4", "3,3", "0x3", "99999999999999999999", "abc"})
    CHECK(failure({{"Content-Length", length}}) == Failure::Damaged);
  CHECK(failure({{"Transfer-Encoding", "gzip, chunked"}}) == Failure::Damaged);
  CHECK(failure({{"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "x"}}) ==
        Failure::Damaged);
}

TEST_CASE("a body larger than the limit is refused by its head already, or where it passes it") {
  CHECK(net::HttpBody(200, with_length(100), 100).failure() == Failure::None);
  net::HttpBody said(200, with_length(101), 100);
  CHECK(said.failure() == Failure::TooLarge);
  CHECK(said.trouble() == "the body is larger than 100 B");
  CHECK(read({}, std::string(100, 'x'), 100).failure == Failure::None);
  Read seen = read({}, std::string(200, 'x'), 100, 60);
  CHECK(seen.failure == Failure::TooLarge);
  CHECK(seen.body.size() == 60);
  CHECK(
      read({{"Transfer-Encoding", "chunked"}}, in_chunks(std::string(101, 'x'), 7), 100).failure ==
      Failure::TooLarge);
}

TEST_CASE("chunks that are nearly all framing are refused, although their body is small") {
  std::string wire;
  for (int i = 0; i < 1000; ++i) wire += "1;" + std::string(2000, 'e') + "\r\nx\r\n";
  CHECK(read({{"Transfer-Encoding", "chunked"}}, wire, 10'000, 4096).failure == Failure::TooLarge);
}

TEST_CASE("a packed body is unpacked, wherever its bytes are split") {
  std::string text;
  for (int i = 0; i < 300; ++i) text += "requests_total{n=\"" + std::to_string(i * i) + "\"} 1\n";
  std::string packed = lab::gzip(text);
  for (std::size_t piece = 1; piece <= packed.size(); ++piece) {
    Read plain = read(with_length(packed.size(), kGzip), packed, 1 << 20, piece);
    CHECK((plain.body == text));
    CHECK(plain.failure == Failure::None);
  }
  Read chunked = read({{"Content-Encoding", "gzip"}, {"Transfer-Encoding", "chunked"}},
                      in_chunks(packed, 100), 1 << 20, 33);
  CHECK((chunked.body == text));
  CHECK((read(kGzip, packed).body == text));
}

TEST_CASE("a packed body of several members is all of them, and an empty one is empty") {
  std::string both = lab::gzip("one ") + lab::gzip("") + lab::gzip("two");
  for (std::size_t piece : {1UL, 7UL, 1000UL})
    CHECK(read(kGzip, both, 100, piece).body == "one two");
  CHECK(read(with_length(0, kGzip), "").failure == Failure::None);
}

TEST_CASE("a packed body that is cut, or has something behind it, is damaged") {
  std::string packed = lab::gzip("requests_total 12345\n");
  for (std::size_t size = 1; size < packed.size(); ++size) {
    Read cut = read(with_length(size, kGzip), packed.substr(0, size));
    CHECK(cut.failure == Failure::Damaged);
    CHECK(read(kGzip, packed.substr(0, size)).failure == Failure::Damaged);
  }
  CHECK(read(kGzip, packed + "more").failure == Failure::Damaged);
  CHECK(read(kGzip, "not gzip at all").trouble == "cannot be unpacked: incorrect header check");
}

TEST_CASE("no single wrong bit makes another text of a packed body") {
  std::string text = "requests_total{code=\"200\"} 12345\nrequests_total{code=\"500\"} 17\n";
  std::string packed = lab::gzip(text);
  for (std::size_t bit = 0; bit < 8 * packed.size(); ++bit) {
    std::string wrong = packed;
    wrong[bit / 8] = static_cast<char>(wrong[bit / 8] ^ (1 << bit % 8));
    Read seen = read(with_length(wrong.size(), kGzip), wrong);
    bool is_told = seen.failure != Failure::None || seen.body == text;
    CHECK_MESSAGE(is_told, bit);
  }
}

TEST_CASE("a small body that unpacks to a huge one is refused at the limit") {
  std::string bomb = lab::gzip(std::string(50'000'000, 'z'));
  REQUIRE(bomb.size() < 60'000);
  Read seen = read(with_length(bomb.size(), kGzip), bomb, 1'000'000);
  CHECK(seen.failure == Failure::TooLarge);
  CHECK(seen.body.size() <= 1'000'000);
  CHECK(seen.trouble == "the body is larger than 977 KiB when unpacked");
}

TEST_CASE("a packed body that goes on without unpacking to anything is refused") {
  Read seen = read(kGzip, lab::endless_gzip(20'000), 10'000, 4096);
  CHECK(seen.failure == Failure::TooLarge);
  CHECK(seen.body == "");
}

TEST_CASE("a body that is packed in a way nobody asked for is refused") {
  Read seen = read({{"Content-Encoding", "br"}}, "xyz");
  CHECK(seen.failure == Failure::Damaged);
  CHECK(seen.trouble == "is packed as \"br\" (gzip is what was asked for)");
  CHECK(read({{"Content-Encoding", "gzip"}, {"Content-Encoding", "gzip"}}, "x").failure ==
        Failure::Damaged);
  CHECK(read({{"Content-Encoding", "identity"}}, "xyz").body == "xyz");
}

TEST_CASE("a body whose reader wants no more ends there") {
  net::HttpBody body(200, with_length(6), 100);
  std::string_view wire = "abc";
  body.feed(wire, [](std::string_view) { return false; });
  CHECK(body.failure() == Failure::Unwanted);
}
