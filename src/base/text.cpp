#include "base/text.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>

namespace davy::text {
namespace {

/// Length of the valid UTF-8 sequence at the start of `s`, or 0 (RFC 3629, section 4).
std::size_t utf8_length(std::string_view s) {
  auto byte = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
  auto tail = [&](std::size_t i) { return i < s.size() && (byte(i) & 0xC0) == 0x80; };
  unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return tail(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    if (!tail(1) || !tail(2)) return 0;
    if (lead == 0xE0 && byte(1) < 0xA0) return 0;  // overlong
    if (lead == 0xED && byte(1) > 0x9F) return 0;  // surrogate
    return 3;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    if (!tail(1) || !tail(2) || !tail(3)) return 0;
    if (lead == 0xF0 && byte(1) < 0x90) return 0;
    if (lead == 0xF4 && byte(1) > 0x8F) return 0;
    return 4;
  }
  return 0;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      std::size_t above = row[j];
      std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({above + 1, row[j - 1] + 1, change});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::string_view trim(std::string_view s) {
  constexpr std::string_view kSpace = " \t\r\n";
  std::size_t first = s.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return s.substr(first, s.find_last_not_of(kSpace) - first + 1);
}

std::vector<std::string_view> split(std::string_view s, char at) {
  std::vector<std::string_view> parts;
  for (std::size_t end; (end = s.find(at)) != std::string_view::npos; s.remove_prefix(end + 1)) {
    parts.push_back(s.substr(0, end));
  }
  parts.push_back(s);
  return parts;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [&](char x, char y) { return lower(x) == lower(y); });
}

std::string join(const std::vector<std::string>& parts, std::string_view between) {
  return fmt::format("{}", fmt::join(parts, between));
}

std::string join_some(const std::vector<std::string>& parts, std::size_t most) {
  std::size_t shown = std::min(parts.size(), most);
  std::string text = join({parts.begin(), parts.begin() + static_cast<long>(shown)}, "; ");
  return shown == parts.size() ? text : fmt::format("{}; and {} more", text, parts.size() - shown);
}

std::string quoted(std::string_view s, std::size_t limit) {
  std::string out = "\"";
  while (!s.empty() && out.size() <= limit) {
    std::size_t length = utf8_length(s);
    unsigned char c = static_cast<unsigned char>(s[0]);
    // A terminal may obey U+0080 to U+009F like what follows an escape (ECMA-48, section 5.3).
    bool is_c1 = length == 2 && c == 0xC2 && static_cast<unsigned char>(s[1]) < 0xA0;
    if (length == 0 || is_c1 || (length == 1 && (c < 0x20 || c == 0x7F))) {
      out += fmt::format("\\x{:02x}", c);
      length = 1;
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += s[0];
    } else {
      out += s.substr(0, length);
    }
    s.remove_prefix(length);
  }
  return out + (s.empty() ? "\"" : "\"...");
}

bool is_utf8(std::string_view s) {
  while (!s.empty()) {
    std::size_t length = utf8_length(s);
    if (length == 0) return false;
    s.remove_prefix(length);
  }
  return true;
}

std::string valid_utf8(std::string_view s) {
  std::string out;
  out.reserve(s.size());
  while (!s.empty()) {
    std::size_t length = utf8_length(s);
    if (length == 0) {
      out += "\xEF\xBF\xBD";
      length = 1;
    } else {
      out += s.substr(0, length);
    }
    s.remove_prefix(length);
  }
  return out;
}

std::string grouped(double n) {
  std::string digits = fmt::format("{:.0f}", std::abs(n));
  for (std::size_t at = digits.size(); at > 3;) {
    at -= 3;
    digits.insert(at, ",");
  }
  return (n <= -0.5 ? "-" : "") + digits;
}

std::string counted(double n, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", grouped(n), std::lround(n) == 1 ? one : many);
}

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const std::string& candidate : known) {
    std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace davy::text
