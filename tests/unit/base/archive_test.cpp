#include "base/archive.h"

#include <doctest/doctest.h>
#include <cmath>
#include <limits>

using namespace davy;

namespace {

enum class Colour { Red, Green };

struct Inner {
  double x = 0;
  std::vector<std::string> names;
  void archive(Archive& a) { a(x, names); }
};

struct Outer {
  Colour colour = Colour::Red;
  bool yes = false;
  int n = 0;
  std::optional<Inner> inner;
  std::map<std::string, std::vector<double>> numbers;
  std::array<double, 2> pair{};
  std::chrono::nanoseconds time{0};
  void archive(Archive& a) { a(colour, yes, n, inner, numbers, pair, time); }
};

Outer full() {
  return {.colour = Colour::Green,
          .yes = true,
          .n = -7,
          .inner = Inner{0.1 + 0.2, {"a", std::string("b\0c", 3)}},
          .numbers = {{"x", {1e-300, std::numeric_limits<double>::infinity()}}, {"y", {}}},
          .pair = {-0.0, std::nan("")},
          .time = std::chrono::nanoseconds(-5)};
}

std::string bytes_of(Outer value) {
  Archive out = Archive::writer();
  out(value);
  return out.bytes();
}

}  // namespace

TEST_CASE("what is written comes back bit for bit") {
  std::string bytes = bytes_of(full());
  Outer back;
  Archive in = Archive::reader(bytes);
  in(back);
  CHECK_FALSE(in.failed());
  CHECK(in.at_end());
  CHECK(bytes_of(back) == bytes);
  CHECK(back.n == -7);
  CHECK(back.inner->x == 0.1 + 0.2);
  CHECK(back.inner->names[1].size() == 3);
  CHECK(std::signbit(back.pair[0]));
  CHECK(std::isnan(back.pair[1]));
}

TEST_CASE("bytes that are cut anywhere fail and do no harm") {
  std::string bytes = bytes_of(full());
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    Outer back;
    Archive in = Archive::reader(bytes.substr(0, n));
    in(back);
    REQUIRE(in.failed());
  }
}

TEST_CASE("a length that cannot be is refused before it is reserved") {
  Archive out = Archive::writer();
  std::uint64_t huge = std::numeric_limits<std::uint64_t>::max();
  out(huge);
  std::vector<double> values;
  Archive in = Archive::reader(out.bytes());
  in(values);
  CHECK(in.failed());
  CHECK(values.empty());
}
