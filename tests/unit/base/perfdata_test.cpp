#include "base/perfdata.h"

#include <doctest/doctest.h>

using namespace davy;

namespace {

std::string show(std::string_view text) {
  std::string all;
  for (const Measurement& m : perfdata::parse(text))
    all += m.name + "=" + std::to_string(m.value) + m.unit + " ";
  return all;
}

}  // namespace

TEST_CASE("performance data of every unit become ours") {
  CHECK(show("a=1 b=2.5s c=250ms d=7us") == "a=1.0000001 b=2.500000s c=0.250000s d=0.000007s ");
  CHECK(show("a=12% b=1B c=1KB d=1MB e=3c") ==
        "a=0.120000ratio b=1.000000bytes c=1024.000000bytes d=1048576.000000bytes e=3.0000001 ");
}

TEST_CASE("levels behind a value and labels in quotes are read as the guidelines say") {
  CHECK(show(" 'it''s / here'=5;6;7;0;9   x=-1;~:10;@1:2 ") ==
        "it's / here=5.0000001 x=-1.0000001 ");
  CHECK(show("unknown=U x=1") == "x=1.0000001 ");
}

TEST_CASE("what is not performance data ends the reading and is not guessed at") {
  for (std::string_view wrong : {"", "=1", "a", "a=", "a=x", "a=1parsec", "'a=1", "a b=1", "a=1,5",
                                 "a=nan", "a=inf", "a=1e999", "'a'b=1"}) {
    CAPTURE(std::string(wrong));
    CHECK(show(wrong) == "");
    CHECK(show("first=1 " + std::string(wrong)) == "first=1.0000001 ");
  }
  std::string many;
  for (int i = 0; i < 100; ++i) many += "a=1 ";
  CHECK(perfdata::parse(many).size() == 16);
}
