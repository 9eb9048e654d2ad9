#include "sources/exchange/clock.h"

#include <doctest/doctest.h>

#include "base/archive.h"

using namespace davy;
using namespace davy::source;
using namespace std::chrono_literals;

namespace {

constexpr ExchangeMillis kNoon = 1'800'000'000'000;

Time at(std::chrono::milliseconds since_boot) {
  return {since_boot};
}

}  // namespace

TEST_CASE("before the first answer there is no time, after it there is the exchange's") {
  ExchangeClock clock;
  CHECK_FALSE(clock.at(at(1s)));
  CHECK(clock.learn(kNoon, at(1000ms), at(1020ms)) == 0);
  CHECK(clock.at(at(1010ms)) == kNoon);
  CHECK(clock.at(at(61010ms)) == kNoon + 60000);
  clock.forget();
  CHECK_FALSE(clock.at(at(1s)));
}

TEST_CASE("answers that agree with it move nothing, however slow they are") {
  ExchangeClock clock;
  clock.learn(kNoon, at(1000ms), at(1000ms));
  CHECK(clock.learn(kNoon + 5000, at(6000ms), at(6000ms)) == 0);
  CHECK(clock.learn(kNoon + 7000, at(6000ms), at(9000ms)) == 0);
  CHECK(clock.learn(kNoon + 9000, at(6000ms), at(10000ms)) == 0);
  CHECK(clock.at(at(10000ms)) == kNoon + 9000);
}

TEST_CASE("an answer that cannot be true of it moves it no further than it must") {
  ExchangeClock clock;
  clock.learn(kNoon, at(1000ms), at(1000ms));
  // Asked at 2 s, answered by 2.1 s: its time was kNoon + 2000 then, not kNoon + 1000.
  CHECK(clock.learn(kNoon + 2000, at(2000ms), at(2100ms)) == 899);
  CHECK(clock.learn(kNoon - 3'600'000, at(3000ms), at(3000ms)) == -3'602'898);
  CHECK(clock.at(at(3000ms)) == kNoon - 3'600'000 + 1);
}

TEST_CASE("it is saved and loaded") {
  ExchangeClock clock;
  clock.learn(kNoon, at(1000ms), at(1000ms));
  Archive out = Archive::writer();
  out(clock);
  ExchangeClock loaded;
  Archive in = Archive::reader(out.bytes());
  in(loaded);
  CHECK_FALSE(in.failed());
  CHECK(loaded.at(at(2000ms)) == kNoon + 1000);
}

TEST_CASE("boundaries are multiples of the slot's length, and the nearest is taken") {
  CHECK(nearest_boundary(10'000, 5000) == 10'000);
  CHECK(nearest_boundary(12'499, 5000) == 10'000);
  CHECK(nearest_boundary(12'500, 5000) == 15'000);
  CHECK(nearest_boundary(9'990, 5000) == 10'000);
}
