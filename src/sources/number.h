// Number: the text of a sample's value -> double, correctly rounded.
//
// Why: half of what is left to do on a page that looks like the last one is reading its values, and
// most of them are short: up to 15 digits and a power of ten up to 22 are exact in doubles, so one
// multiplication or division rounds correctly (Clinger 1990). All others go to std::from_chars.
// Threading: pure.
#pragma once

#include <charconv>
#include <cstdint>
#include <limits>
#include <system_error>

namespace davy::source {

namespace number {

enum class Wrong { No, NotANumber, TooLarge };

/// Anything that is a number, such as "+1", "-0", "1e-7", "NaN", "+Inf".
inline const char* parse_slowly(const char* at, const char* end, double& value, Wrong& wrong) {
  if (at != end && *at == '+') {
    ++at;
    if (at != end && *at == '-') {
      wrong = Wrong::NotANumber;
      return at;
    }
  }
  auto [stop, code] = std::from_chars(at, end, value);
  wrong = code == std::errc()                      ? Wrong::No
          : code == std::errc::result_out_of_range ? Wrong::TooLarge
                                                   : Wrong::NotANumber;
  return stop;
}

}  // namespace number

/// Where the number ends. REQUIRES: `end` is behind something that is no part of a number, such as
/// the line's end.
inline const char* parse_number(const char* at, const char* end, double& value,
                                number::Wrong& wrong) {
  constexpr double kPowers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
  constexpr int kExactDigits = 15;
  auto digit = [](char c) { return static_cast<unsigned>(static_cast<unsigned char>(c)) - '0'; };
  const char* p = at;
  bool is_negative = *p == '-';
  p += is_negative ? 1 : 0;
  const char* digits = p;
  std::uint64_t n = 0;
  for (unsigned d; (d = digit(*p)) <= 9; ++p) n = n * 10 + d;
  std::ptrdiff_t count = p - digits;
  std::ptrdiff_t decimals = 0;
  if (*p == '.') {
    const char* point = ++p;
    for (unsigned d; (d = digit(*p)) <= 9; ++p) n = n * 10 + d;
    decimals = p - point;
    count += decimals;
  }
  bool goes_on = *p != '\n' && *p != ' ' && *p != '\t' && *p != '\r';
  if (goes_on || count == 0 || count > kExactDigits) [[unlikely]]
    return number::parse_slowly(at, end, value, wrong);
  value = static_cast<double>(n) / kPowers[decimals];
  if (is_negative) value = -value;
  wrong = number::Wrong::No;
  return p;
}

}  // namespace davy::source
