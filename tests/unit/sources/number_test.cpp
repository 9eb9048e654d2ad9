#include "sources/formats/number.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <random>

using namespace davy::source;

namespace {

struct Parsed {
  double value = 0;
  number::Wrong wrong = number::Wrong::No;
  std::size_t length = 0;
};

Parsed parse(const std::string& text) {
  std::string line = text + "\n";
  Parsed parsed;
  const char* stop =
      parse_number(line.data(), line.data() + line.size(), parsed.value, parsed.wrong);
  parsed.length = static_cast<std::size_t>(stop - line.data());
  return parsed;
}

}  // namespace

TEST_CASE("numbers are read as strtod rounds them") {
  std::mt19937_64 random(1);
  for (int i = 0; i < 200'000; ++i) {
    double x = std::bit_cast<double>(random());
    if (!std::isfinite(x)) continue;
    double small =
        std::ldexp(static_cast<double>(random() >> 11), -static_cast<int>(random() % 60));
    std::uint64_t whole = random() >> (random() % 64);
    for (const std::string& text :
         {fmt::format("{}", x), fmt::format("{}", small), fmt::format("{:.3f}", small),
          fmt::format("{:.0f}", small), fmt::format("{:e}", small), std::to_string(whole),
          fmt::format("-{}.{}", whole % 100'000, random() % 1'000'000)}) {
      Parsed parsed = parse(text);
      CAPTURE(text);
      REQUIRE(parsed.wrong == number::Wrong::No);
      REQUIRE(parsed.length == text.size());
      REQUIRE(std::bit_cast<std::uint64_t>(parsed.value) ==
              std::bit_cast<std::uint64_t>(std::strtod(text.c_str(), nullptr)));
    }
  }
}

TEST_CASE("the odd forms of numbers are read, and what is none is told") {
  CHECK(parse("+5").value == 5);
  CHECK(parse(".5").value == 0.5);
  CHECK(parse("5.").value == 5);
  CHECK(std::isnan(parse("NaN").value));
  CHECK(std::isinf(parse("+Inf").value));
  CHECK(parse("-inf").value < 0);
  CHECK(std::signbit(parse("-0").value));
  CHECK(parse("1E3").value == 1000);
  for (const char* none : {"", "-", "+", "+-1", ".", "-.", "e5", "x", "--1"}) {
    CAPTURE(none);
    CHECK(parse(none).wrong == number::Wrong::NotANumber);
  }
  CHECK(parse("1e999").wrong == number::Wrong::TooLarge);
  CHECK(parse("12 34").length == 2);
  CHECK(parse("12x").length == 2);
}
