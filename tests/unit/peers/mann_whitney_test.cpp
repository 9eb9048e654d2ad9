// The comparison is only worth reading if the peer is done right.

#include "peers/mann_whitney.h"

#include <doctest/doctest.h>
#include <algorithm>
#include <vector>

using namespace davy::peers;

namespace {

std::vector<double> differences(const std::vector<double>& x, const std::vector<double>& y) {
  std::vector<double> all;
  for (double a : x)
    for (double b : y) all.push_back(a - b);
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace

TEST_CASE("the interval of six against six ends at the third differences from both ends") {
  // By hand: sd = sqrt(36 * 13/12) = 6.245, q sd = 14.53. U = 36 - k in the gap above the k-th
  // difference, so z = (U - 18 - 0.5)/sd > 2.3263 until U = 33, that is until the third one.
  std::vector<double> y{0, 1, 3.1, 7.3, 12.7, 20.9}, x{100.01, 101.2, 104, 109.5, 117, 131};
  std::vector<double> all = differences(x, y);
  ShiftInterval shift = shift_interval(x, y, 0.98);
  CHECK(shift.low == all[2]);
  CHECK(shift.high == all[33]);
  CHECK(shift.estimate >= all[17]);
  CHECK(shift.estimate <= all[18]);
}

TEST_CASE("of very few points the interval is everything there is") {
  // Kayenta takes the end point where no shift can be excluded, so full separation of two against
  // two already condemns: low = 8 - 2 > 0.25 * estimate.
  std::vector<double> y{1, 2}, x{8, 9};
  ShiftInterval shift = shift_interval(x, y, 0.98);
  CHECK(shift.low == 6);
  CHECK(shift.high == 8);
  CHECK(kayenta_says_high(x, y));
}

TEST_CASE("sides swap with their sign") {
  std::vector<double> y{0.1, 0.4, 0.4, 0.9, 1.6, 2.5, 0}, x{0.3, 0.4, 1.1, 1.1, 2.2, 3.7};
  ShiftInterval there = shift_interval(x, y, 0.98), back = shift_interval(y, x, 0.98);
  CHECK(there.low == doctest::Approx(-back.high));
  CHECK(there.high == doctest::Approx(-back.low));
}

TEST_CASE("equal or lower points are not high, one flat level above another is") {
  std::vector<double> a{1, 2, 3, 4, 5, 6, 7, 8}, b{9, 10, 11, 12, 13, 14, 15, 16};
  CHECK_FALSE(kayenta_says_high(a, a));
  CHECK_FALSE(kayenta_says_high(a, b));
  CHECK(kayenta_says_high(b, a));
  CHECK(kayenta_says_high(std::vector<double>{6, 6, 6}, std::vector<double>{5, 5, 5}));
  CHECK_FALSE(kayenta_says_high({}, a));
}

TEST_CASE("errors in a fifth of the minutes are never found, however many") {
  // Ranks see only that a fifth is higher (kayenta issue 780).
  std::vector<double> y(60, 0.0), x(60, 0.0);
  for (std::size_t i = 0; i < 12; ++i) x[5 * i] = 1;
  CHECK_FALSE(kayenta_says_high(x, y));
}
