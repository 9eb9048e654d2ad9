// Number: the text of a sample's value -> double, correctly rounded.
//
// Why: half of what is left to do on a page that looks like the last one is reading its values, and
// most of them are short: up to 15 digits and a power of ten up to 22 are exact in doubles, so one
// division rounds correctly (Clinger 1990). All others go to std::from_chars. Digits are taken
// eight at a time, without a branch per digit (Lemire 2018, "Quickly parsing eight digits").
// Threading: pure.
#pragma once

#include <bit>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <system_error>

namespace davy::source {

namespace number {

enum class Wrong { No, NotANumber, TooLarge };

inline constexpr std::uint64_t kPowers[] = {1,       10,        100,        1'000,      10'000,
                                            100'000, 1'000'000, 10'000'000, 100'000'000};
inline constexpr double kScales[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                     1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

/// Anything that is a number, such as "+1", "-0", "1e-7", "NaN", "+Inf".
inline const char* parse_slowly(const char* at, const char* end, double& value, Wrong& wrong) {
  wrong = Wrong::NotANumber;
  if (at != end && *at == '+') {
    ++at;
    if (at != end && *at == '-') return at;
  }
  auto [stop, code] = std::from_chars(at, end, value);
  if (code == std::errc()) wrong = Wrong::No;
  if (code == std::errc::result_out_of_range) wrong = Wrong::TooLarge;
  return stop;
}

/// Appends the digits at `at` to `n`; where they end. More than 19 make `n` meaningless.
inline const char* take_digits(const char* at, const char* end, std::uint64_t& n) {
  if constexpr (std::endian::native == std::endian::little) {
    while (end - at >= 8) {
      std::uint64_t digits;
      std::memcpy(&digits, at, 8);
      digits ^= 0x3030303030303030u;
      // The highest bit of each byte that is more than 9.
      std::uint64_t others = ((digits + 0x7676767676767676u) | digits) & 0x8080808080808080u;
      int count = std::countr_zero(others) / 8;  // 8 when there are none
      if (count == 0) return at;
      digits <<= 64 - 8 * count;  // zeros in front
      digits = digits * 10 + (digits >> 8);
      digits = ((digits & 0x000000ff000000ffu) * 0x000f424000000064u +
                ((digits >> 16) & 0x000000ff000000ffu) * 0x0000271000000001u) >>
               32;
      n = n * kPowers[count] + static_cast<std::uint32_t>(digits);
      at += count;
      if (count < 8) return at;
    }
  }
  for (unsigned d; at != end && (d = static_cast<unsigned char>(*at) - unsigned{'0'}) <= 9; ++at)
    n = n * 10 + d;
  return at;
}

}  // namespace number

/// Where the number ends. REQUIRES: what stands last before `end` is no part of a number, such as
/// the line's end.
inline const char* parse_number(const char* at, const char* end, double& value,
                                number::Wrong& wrong) {
  constexpr std::ptrdiff_t kExactDigits = 15;
  bool is_negative = *at == '-';
  const char* digits = at + is_negative;
  std::uint64_t n = 0;
  const char* p = number::take_digits(digits, end, n);
  std::ptrdiff_t count = p - digits;
  std::ptrdiff_t decimals = 0;
  if (*p == '.') {
    const char* point = ++p;
    p = number::take_digits(point, end, n);
    decimals = p - point;
    count += decimals;
  }
  bool ends = *p == '\n' || *p == ' ' || *p == '\t' || *p == '\r';
  if (!ends || count == 0 || count > kExactDigits) [[unlikely]]
    return number::parse_slowly(at, end, value, wrong);
  value = static_cast<double>(n);
  if (decimals > 0) value /= number::kScales[decimals];
  if (is_negative) value = -value;
  wrong = number::Wrong::No;
  return p;
}

}  // namespace davy::source
