// JSON cursor: goes through a text of JSON, value by value, for readers that know its shape.
//
// Why: a tree of a large answer costs twenty times what its bytes do. What has no escapes is a view
// into the text itself. The whole of RFC 8259 is checked, UTF-8 included.
// Threading: not thread-safe; one for each text. Failure: every step says false, and
// what_is_wrong() names the byte and what belongs there; only the first trouble is kept.
#pragma once

#include <fmt/format.h>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <string>
#include <string_view>

#include "base/text.h"
#include "sources/formats/number.h"

namespace davy::source {

inline bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// A decimal number as it is read: what fits is converted exactly by one division (Clinger 1990),
/// the rest is left to from_chars.
struct Decimal {
  std::uint64_t digits = 0;  // those before and behind the point
  std::ptrdiff_t whole = 0;  // how many stand before it
  std::ptrdiff_t fraction = 0;
  bool is_negative = false;

  /// Takes digits from `at` on; how many there were.
  std::ptrdiff_t take(const char*& at, const char* end) {
    const char* first = at;
    at = number::take_digits(at, end, digits);
    return at - first;
  }
  bool is_exact() const { return whole + fraction <= 19 && digits <= (1ULL << 53); }
  double value() const {
    static constexpr std::array<double, 20> kPowers = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,
                                                       1e7,  1e8,  1e9,  1e10, 1e11, 1e12, 1e13,
                                                       1e14, 1e15, 1e16, 1e17, 1e18, 1e19};
    double v = static_cast<double>(digits);
    if (fraction > 0) v /= kPowers[static_cast<std::size_t>(fraction)];
    return is_negative ? -v : v;
  }
};

inline std::uint64_t load8(const char* from) {
  std::uint64_t word = 0;
  std::memcpy(&word, from, 8);
  return word;
}

class JsonCursor {
 public:
  explicit JsonCursor(std::string_view text)
      : begin_(text.data()), at_(text.data()), end_(text.data() + text.size()) {}

  std::string what_is_wrong() { return std::move(wrong_); }

 protected:
  static constexpr int kDeepest = 64;  // levels of what is skipped

  /// Says what is wrong at the byte in hand, once. Always false, so that callers return it.
  bool wrong(std::string_view what) {
    if (!wrong_.empty()) return false;
    auto place = static_cast<std::size_t>(at_ - begin_);
    wrong_ = at_ == end_
                 ? fmt::format("ends at byte {}, where {}", place, what)
                 : fmt::format("has {} at byte {}, where {}", text::quoted({at_, 1}), place, what);
    return false;
  }
  /// Of the whole, where no place is to blame.
  bool unfit(std::string what) {
    if (wrong_.empty()) wrong_ = std::move(what);
    return false;
  }

  void skip_space() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\t' || *at_ == '\r')) ++at_;
  }
  bool next_is(char c) {
    skip_space();
    return at_ != end_ && *at_ == c;
  }
  bool take(char c) {
    if (at_ != end_ && *at_ == c) {  // mostly there is no space
      ++at_;
      return true;
    }
    if (!next_is(c)) return false;
    ++at_;
    return true;
  }
  bool expect(char c, std::string_view what) { return take(c) || wrong(what); }

  /// Calls `member(key)` with the reader at each value.
  template <typename Member>
  bool object(std::string_view what, Member member) {
    if (!expect('{', what)) return false;
    if (take('}')) return true;
    do {
      skip_space();
      std::string_view key;
      if (!string(key) || !expect(':', "a : belongs") || !member(key)) return false;
    } while (take(','));
    return expect('}', "a comma or } belongs");
  }
  template <typename Item>
  bool array(std::string_view what, Item item) {
    if (!expect('[', what)) return false;
    if (take(']')) return true;
    do {
      if (!item()) return false;
    } while (take(','));
    return expect(']', "a comma or ] belongs");
  }

  /// A member that may stand there once.
  bool once(bool& is_seen, std::string_view key) {
    if (is_seen) return wrong(fmt::format("\"{}\" stands for the second time", key));
    return is_seen = true;
  }

  bool copy(std::string& out) {
    std::string_view text;
    skip_space();
    if (!string(text)) return false;
    out = text;
    unescaped_.clear();
    return true;
  }

  bool flag(bool& out) {
    if (next_is('n')) return word("null");
    out = next_is('t');
    return word(out ? "true" : "false");
  }

  /// The texts with escapes that were read before last no longer.
  void forget_texts() { unescaped_.clear(); }

  /// As JSON has them, without quotes.
  bool json_number(double& out) {
    skip_space();
    const char* start = at_;
    Decimal decimal;
    if (at_ != end_ && *at_ == '-') {
      decimal.is_negative = true;
      ++at_;
    }
    const char* first = at_;
    decimal.whole = decimal.take(at_, end_);
    if (decimal.whole == 0) return wrong("a number belongs");
    if (*first == '0' && decimal.whole > 1) {
      at_ = first;
      return wrong("a number without leading zeros belongs");
    }
    if (at_ != end_ && *at_ == '.') {
      ++at_;
      decimal.fraction = decimal.take(at_, end_);
      if (decimal.fraction == 0) return wrong("a digit belongs");
    }
    bool has_exponent = at_ != end_ && (*at_ == 'e' || *at_ == 'E');
    if (has_exponent) {
      ++at_;
      if (at_ != end_ && (*at_ == '+' || *at_ == '-')) ++at_;
      first = at_;
      while (at_ != end_ && is_digit(*at_)) ++at_;
      if (at_ == first) return wrong("a digit belongs");
    } else if (decimal.is_exact()) {
      out = decimal.value();
      return true;
    }
    auto [stop, code] = std::from_chars(start, at_, out);
    if (code == std::errc() && stop == at_) return true;
    at_ = start;
    return wrong("a number that a double can hold belongs");
  }

  /// The text of a string, in the body itself where it has no escapes. Lasts until the next series,
  /// or until it was copied.
  bool string(std::string_view& out) {
    if (at_ == end_ || *at_ != '"') return wrong("a text in quotes belongs");
    const char* start = ++at_;
    bool is_ascii = true;
    while (true) {
      while (end_ - at_ >= 8) {
        if (is_special(load8(at_))) break;
        at_ += 8;
      }
      while (at_ != end_ && *at_ != '"' && *at_ != '\\' &&
             static_cast<unsigned char>(*at_) >= 0x20 && static_cast<unsigned char>(*at_) < 0x80)
        ++at_;
      if (at_ == end_) return wrong("a text has no closing quote");
      if (static_cast<unsigned char>(*at_) < 0x80) break;
      is_ascii = false;
      ++at_;
    }
    if (*at_ == '\\') return escaped(start, is_ascii, out);
    if (*at_ != '"') return wrong("a text has a control character");
    out = {start, static_cast<std::size_t>(at_ - start)};
    ++at_;
    return is_ascii || is_utf8(out, start);
  }

  bool is_utf8(std::string_view text, const char* start) {
    if (text::is_utf8(text)) return true;
    at_ = start;
    return wrong("a text begins that is not UTF-8");
  }

  bool escaped(const char* start, bool is_ascii, std::string_view& out) {
    std::string& text = unescaped_.emplace_back(start, at_);
    while (at_ != end_ && *at_ != '"') {
      if (static_cast<unsigned char>(*at_) < 0x20) return wrong("a text has a control character");
      if (*at_ != '\\') {
        is_ascii &= static_cast<unsigned char>(*at_) < 0x80;
        text += *at_++;
      } else if (!escape(text)) {
        return false;
      }
    }
    if (at_ == end_) return wrong("a text has no closing quote");
    ++at_;
    out = text;
    return is_ascii || is_utf8(out, start);
  }

  bool escape(std::string& text) {
    ++at_;
    constexpr std::string_view kShort = "\"\\/bfnrt";
    constexpr std::string_view kMeant = "\"\\/\b\f\n\r\t";
    std::size_t which = at_ == end_ ? std::string_view::npos : kShort.find(*at_);
    if (which != std::string_view::npos) {
      text += kMeant[which];
      ++at_;
      return true;
    }
    if (at_ == end_ || *at_ != 'u') return wrong("an escape such as \\n belongs");
    ++at_;
    std::uint32_t code = 0;
    if (!hex(code)) return false;
    if (code >= 0xDC00 && code < 0xE000) return wrong("half a character was escaped");
    if (code >= 0xD800 && code < 0xDC00) {
      std::uint32_t low = 0;
      bool is_pair = end_ - at_ >= 2 && at_[0] == '\\' && at_[1] == 'u';
      if (!is_pair) return wrong("the other half of a character belongs");
      at_ += 2;
      if (!hex(low)) return false;
      if (low < 0xDC00 || low >= 0xE000) return wrong("half a character was escaped");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    append_utf8(code, text);
    return true;
  }

  bool hex(std::uint32_t& code) {
    for (int i = 0; i < 4; ++i, ++at_) {
      std::uint32_t digit = 16;
      if (at_ != end_) {
        char c = *at_;
        if (is_digit(c)) digit = static_cast<std::uint32_t>(c - '0');
        if (c >= 'a' && c <= 'f') digit = static_cast<std::uint32_t>(c - 'a' + 10);
        if (c >= 'A' && c <= 'F') digit = static_cast<std::uint32_t>(c - 'A' + 10);
      }
      if (digit == 16) return wrong("four hexadecimal digits belong");
      code = code << 4 | digit;
    }
    return true;
  }

  bool word(std::string_view wanted) {
    skip_space();
    if (std::string_view(at_, static_cast<std::size_t>(end_ - at_)).substr(0, wanted.size()) !=
        wanted)
      return wrong(fmt::format("{} belongs", wanted));
    at_ += wanted.size();
    return true;
  }

  /// Any value.
  bool skip() {
    if (depth_ == kDeepest) return wrong("it is nested too deeply");
    ++depth_;
    bool is_read = skip_one();
    --depth_;
    return is_read;
  }
  bool skip_one() {
    skip_space();
    std::string_view text;
    double number = 0;
    switch (at_ == end_ ? '\0' : *at_) {
      case '{': return object("", [&](std::string_view) { return skip(); });
      case '[': return array("", [&] { return skip(); });
      case '"': return string(text);
      case 't': return word("true");
      case 'f': return word("false");
      case 'n': return word("null");
      default: return json_number(number);
    }
  }

  const char* const begin_;
  const char* at_;
  const char* const end_;

 private:
  static constexpr std::uint64_t kOnes = 0x0101010101010101;
  static constexpr std::uint64_t kHigh = 0x8080808080808080;

  /// Whether any of 8 characters is a quote, a backslash, a control character, or not ASCII.
  static bool is_special(std::uint64_t word) {
    auto has_zero = [](std::uint64_t x) { return (x - kOnes) & ~x & kHigh; };
    std::uint64_t found = has_zero(word ^ (kOnes * '"')) | has_zero(word ^ (kOnes * '\\')) |
                          ((word - kOnes * 0x20) & ~word & kHigh) | (word & kHigh);
    return found != 0;
  }

  static void append_utf8(std::uint32_t code, std::string& out) {
    auto byte = [&](std::uint32_t b) { out += static_cast<char>(b); };
    if (code < 0x80) {
      byte(code);
    } else if (code < 0x800) {
      byte(0xC0 | code >> 6);
      byte(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
      byte(0xE0 | code >> 12);
      byte(0x80 | (code >> 6 & 0x3F));
      byte(0x80 | (code & 0x3F));
    } else {
      byte(0xF0 | code >> 18);
      byte(0x80 | (code >> 12 & 0x3F));
      byte(0x80 | (code >> 6 & 0x3F));
      byte(0x80 | (code & 0x3F));
    }
  }

  std::string wrong_;
  int depth_ = 0;
  std::deque<std::string> unescaped_;  // a deque: views into it must last
};

}  // namespace davy::source
