// A recursive descent over the one shape that is known. Nearly all bytes of a large answer are
// samples, so these have a way of their own, `usual_sample`: digits eight at a time, and times of
// day that are only compared with those of the series before, which mostly are the same. What it
// does not know it leaves to the general way.

#include "sources/prometheus/json.h"

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <deque>
#include <limits>

#include "base/text.h"

namespace davy::source {
namespace {

constexpr int kDeepest = 64;              // levels of what is skipped
constexpr std::size_t kMostLabels = 256;  // of a series
constexpr std::size_t kMostTold = 100;    // warnings that are kept

bool is_digit(char c) {
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
    for (; at != end && is_digit(*at); ++at)
      digits = digits * 10 + static_cast<std::uint64_t>(*at - '0');
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

std::uint64_t load8(const char* from) {
  std::uint64_t word = 0;
  std::memcpy(&word, from, 8);
  return word;
}

constexpr std::uint64_t kOnes = 0x0101010101010101;
constexpr std::uint64_t kHigh = 0x8080808080808080;

/// Takes digits from `at` on, 16 at most, eight at a time; how many there were. REQUIRES: 24 bytes
/// to read, and a machine whose words begin with their lowest byte.
std::ptrdiff_t take_digits(const char*& at, std::uint64_t& digits) {
  constexpr std::array<std::uint64_t, 9> kPowers = {1,      10,      100,      1000,     10000,
                                                    100000, 1000000, 10000000, 100000000};
  std::ptrdiff_t taken = 0;
  while (taken < 16) {
    std::uint64_t word = load8(at) ^ (kOnes * '0');  // a digit is its value now
    std::uint64_t others = ((word + kOnes * 0x76) | word) & kHigh;
    int n = others == 0 ? 8 : std::countr_zero(others) / 8;
    if (n == 0) return taken;
    word <<= 64 - 8 * n;  // as many zeros before them as are missing
    word = (word * 10 + (word >> 8)) & 0x00FF00FF00FF00FF;
    word = (word * 100 + (word >> 16)) & 0x0000FFFF0000FFFF;
    word = (word * 10000 + (word >> 32)) & 0xFFFFFFFF;
    digits = digits * kPowers[static_cast<std::size_t>(n)] + word;
    at += n;
    taken += n;
    if (n < 8) return taken;
  }
  return taken;
}

/// Whether any of 8 characters is a quote, a backslash, a control character, or not ASCII.
bool is_special(std::uint64_t word) {
  auto has_zero = [](std::uint64_t x) { return (x - kOnes) & ~x & kHigh; };
  std::uint64_t found = has_zero(word ^ (kOnes * '"')) | has_zero(word ^ (kOnes * '\\')) |
                        ((word - kOnes * 0x20) & ~word & kHigh) | (word & kHigh);
  return found != 0;
}

void append_utf8(std::uint32_t code, std::string& out) {
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

/// The time that stood at some place in the series before.
struct TimeText {
  std::array<char, 16> text{};
  std::ptrdiff_t size = 0;
  double t = 0;
};

class Reader {
 public:
  Reader(std::string_view body, PromSink& sink)
      : begin_(body.data()), at_(body.data()), end_(body.data() + body.size()), sink_(sink) {}

  Result<PromAnswer> read() {
    sink_.begin();
    if (!answer() || !finish()) return Error{std::move(wrong_)};
    return std::move(answer_);
  }

 private:
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

  bool answer() {
    bool has_status = false, has_data = false, has_type = false, has_error = false;
    bool is_read = object("an answer in JSON belongs", [&](std::string_view key) {
      if (key == "status") return once(has_status, key) && status();
      if (key == "data") return once(has_data, key) && data();
      if (key == "errorType") return once(has_type, key) && copy(answer_.error_type);
      if (key == "error") return once(has_error, key) && copy(answer_.error);
      if (key == "warnings") return warnings();
      if (key == "isPartial") return flag(answer_.is_partial);
      return skip();
    });
    if (!is_read) return false;
    skip_space();
    if (at_ != end_) return wrong("the answer has ended");
    if (!has_status) return unfit("has no status");
    return true;
  }

  bool status() {
    std::string text;
    if (!copy(text)) return false;
    answer_.is_success = text == "success";
    if (!answer_.is_success && text != "error")
      return unfit(
          fmt::format("has the status {} (success or error would be right)", text::quoted(text)));
    return true;
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

  bool warnings() {
    if (next_is('n')) return word("null");
    return array("a list of warnings belongs", [&] {
      std::string text;
      if (!copy(text)) return false;
      if (answer_.warnings.size() < kMostTold) answer_.warnings.push_back(std::move(text));
      return true;
    });
  }

  bool data() {
    if (next_is('n')) return word("null");
    bool has_type = false, has_result = false;
    return object("the result of a query belongs", [&](std::string_view key) {
      if (key == "resultType") return once(has_type, key) && result_type();
      if (key == "result") return once(has_result, key) && result();
      return skip();
    });
  }

  bool result_type() {
    std::string text;
    if (!copy(text)) return false;
    constexpr std::string_view kTypes[] = {"vector", "matrix", "scalar", "string"};
    const auto* type = std::find(std::begin(kTypes), std::end(kTypes), text);
    if (type == std::end(kTypes))
      return unfit(
          fmt::format("has the result type {} (vector, matrix, scalar or string would be "
                      "right)",
                      text::quoted(text)));
    answer_.type = static_cast<PromAnswer::Type>(type - kTypes);
    return true;
  }

  /// Series, or the two parts of a scalar: `[1795164886.9, "42"]`. The type may come later.
  bool result() {
    has_result_ = true;
    if (next_is('n')) return word("null");
    if (!expect('[', "a list of series belongs")) return false;
    if (take(']')) return true;
    if (!next_is('{')) {
      has_scalar_ = true;
      return json_number(scalar_.t) && expect(',', "a comma belongs") && copy(scalar_text_) &&
             expect(']', "a ] belongs");
    }
    do {
      if (!series()) return false;
    } while (take(','));
    return expect(']', "a comma or ] belongs");
  }

  bool series() {
    labels_.clear();
    samples_.clear();
    histograms_.clear();
    unescaped_.clear();
    bool has_metric = false, has_value = false, has_values = false;
    bool has_histogram = false, has_histograms = false;
    bool is_read = object("a series belongs", [&](std::string_view key) {
      if (key == "values") return once(has_values, key) && samples();
      if (key == "metric") return once(has_metric, key) && metric();
      if (key == "value") return once(has_value, key) && sample();
      if (key == "histogram") return once(has_histogram, key) && histogram();
      if (key == "histograms")
        return once(has_histograms, key) &&
               array("a list of histograms belongs", [&] { return histogram(); });
      return skip();
    });
    if (!is_read) return false;
    if (!has_metric) return wrong("the series before has no metric");
    bool is_instant = has_value || has_histogram;
    bool is_range = has_values || has_histograms;
    if (is_instant == is_range || (has_value && has_histogram))
      return wrong("the series before has not one kind of values");
    has_instants_ |= is_instant;
    has_ranges_ |= is_range;
    sink_.take({labels_, samples_, histograms_});
    return true;
  }

  bool metric() {
    bool is_sorted = true;
    bool is_read = object("the labels of a series belong", [&](std::string_view name) {
      std::string_view value;
      skip_space();
      if (!string(value)) return false;
      if (labels_.size() == kMostLabels) return wrong("there are more labels than can be meant");
      is_sorted &= labels_.empty() || labels_.back().name < name;
      labels_.push_back({name, value});
      return true;
    });
    if (!is_read) return false;
    return is_sorted || labels_differ() || wrong("a label stood twice");
  }

  bool labels_differ() {
    std::vector<std::string_view> names;
    for (const Label& label : labels_) names.push_back(label.name);
    std::sort(names.begin(), names.end());
    return std::adjacent_find(names.begin(), names.end()) == names.end();
  }

  bool samples() {
    std::size_t number = 0;
    return array("a list of samples belongs", [&] {
      if (number == times_.size()) times_.emplace_back();
      return usual_sample(times_[number++]) || sample();
    });
  }

  /// A sample as nearly all are: `[1795164886.911,"120.5"]` without a sign or a space. False, and
  /// nothing taken, when it is another.
  bool usual_sample(TimeText& time) {
    if constexpr (std::endian::native != std::endian::little) return false;
    constexpr std::ptrdiff_t kMostTaken = 96;  // bytes that are looked at
    const char* p = at_;
    if (end_ - p < kMostTaken || *p++ != '[') return false;
    if (!is_same(p, time) && !take_time(p, time)) return false;
    p += time.size;
    if (p[0] != ',' || p[1] != '"') return false;
    p += 2;
    Decimal decimal;
    if (!take_decimal(p, decimal) || p[0] != '"' || p[1] != ']') return false;
    at_ = p + 2;
    samples_.push_back({time.t, decimal.value()});
    return true;
  }

  static bool is_same(const char* p, const TimeText& time) {
    std::uint64_t first = load8(p) ^ load8(time.text.data());
    std::uint64_t second = load8(p + 8) ^ load8(time.text.data() + 8);
    // Of the second word only the part that belongs to the time.
    return time.size > 8 && time.size <= 16 && first == 0 &&
           (second << (8 * (16 - time.size))) == 0 && p[time.size] == ',';
  }
  static bool take_time(const char* p, TimeText& time) {
    const char* start = p;
    Decimal decimal;
    if (*p == '0' || !take_decimal(p, decimal)) return false;
    time.size = p - start;
    time.t = decimal.value();
    std::memcpy(time.text.data(), start, time.text.size());
    return true;
  }

  /// "120", "120.5"; of an odd one nothing is known but that it may be right.
  static bool take_decimal(const char*& p, Decimal& decimal) {
    decimal.whole = take_digits(p, decimal.digits);
    if (decimal.whole == 0) return false;
    if (*p == '.') {
      ++p;
      decimal.fraction = take_digits(p, decimal.digits);
      if (decimal.fraction == 0) return false;
    }
    return decimal.is_exact();
  }

  bool sample() {
    PromSample sample;
    if (!expect('[', "a sample belongs") || !json_number(sample.t) ||
        !expect(',', "a comma belongs") || !value(sample.value) || !expect(']', "a ] belongs"))
      return false;
    samples_.push_back(sample);
    return true;
  }

  bool histogram() {
    PromHistogram& h = histograms_.emplace_back();
    bool has_count = false, has_sum = false, has_buckets = false;
    bool is_read = expect('[', "a histogram's sample belongs") && json_number(h.t) &&
                   expect(',', "a comma belongs") &&
                   object("a histogram belongs",
                          [&](std::string_view key) {
                            if (key == "count") return once(has_count, key) && value(h.count);
                            if (key == "sum") return once(has_sum, key) && value(h.sum);
                            if (key == "buckets") return once(has_buckets, key) && buckets(h);
                            return skip();
                          }) &&
                   expect(']', "a ] belongs");
    return is_read && (has_count || wrong("the histogram before has no count"));
  }

  bool buckets(PromHistogram& h) {
    if (next_is('n')) return word("null");
    return array("a list of buckets belongs", [&] {
      PromHistogram::Bucket bucket;
      double rule = 0;
      if (!expect('[', "a bucket belongs") || !json_number(rule)) return false;
      if (rule != 0 && rule != 1 && rule != 2 && rule != 3)
        return wrong("a bucket's rule stood before that is none of 0 to 3");
      bucket.rule = static_cast<int>(rule);
      for (double* number : {&bucket.lower, &bucket.upper, &bucket.count}) {
        if (!expect(',', "a comma belongs") || !value(*number)) return false;
      }
      h.buckets.push_back(bucket);
      return expect(']', "a ] belongs");
    });
  }

  /// A number in quotes.
  bool value(double& out) {
    if (!expect('"', "a value in quotes belongs")) return false;
    const char* start = at_;
    Decimal decimal;
    if (at_ != end_ && *at_ == '-') {
      decimal.is_negative = true;
      ++at_;
    }
    decimal.whole = decimal.take(at_, end_);
    bool is_plain = decimal.whole > 0;
    if (is_plain && at_ != end_ && *at_ == '.') {
      ++at_;
      decimal.fraction = decimal.take(at_, end_);
      is_plain = decimal.fraction > 0;
    }
    if (is_plain && at_ != end_ && *at_ == '"' && decimal.is_exact()) {
      ++at_;
      out = decimal.value();
      return true;
    }
    return odd_value(start, out);
  }

  bool odd_value(const char* start, double& out) {
    at_ = start - 1;
    std::string_view text;
    if (!string(text)) return false;
    std::optional<double> parsed = parse_prom_value(text);
    if (!parsed) {
      at_ = start;
      return wrong("a value such as \"0.25\" or \"NaN\" belongs");
    }
    out = *parsed;
    return true;
  }

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

  /// Whether the parts belong together.
  bool finish() {
    if (!answer_.is_success) return true;
    if (!answer_.type || !has_result_) return unfit("has no result");
    using enum PromAnswer::Type;
    bool is_single = *answer_.type == Scalar || *answer_.type == String;
    bool is_as_said = has_scalar_ == is_single && !(has_instants_ && *answer_.type != Vector) &&
                      !(has_ranges_ && *answer_.type != Matrix);
    if (!is_as_said) return unfit("has a result that is not of the type it says");
    if (*answer_.type != Scalar) return true;
    std::optional<double> value = parse_prom_value(scalar_text_);
    if (!value)
      return unfit(fmt::format("has a scalar that is no number: {}", text::quoted(scalar_text_)));
    scalar_.value = *value;
    answer_.scalar = scalar_;
    return true;
  }

  const char* const begin_;
  const char* at_;
  const char* const end_;
  PromSink& sink_;
  std::string wrong_;
  int depth_ = 0;
  PromAnswer answer_;
  PromSample scalar_;
  std::string scalar_text_;
  bool has_result_ = false;
  bool has_scalar_ = false;
  bool has_instants_ = false;
  bool has_ranges_ = false;
  // Of the series in hand.
  std::vector<Label> labels_;
  std::vector<PromSample> samples_;
  std::vector<PromHistogram> histograms_;
  std::vector<TimeText> times_;        // of its samples, and of the series before
  std::deque<std::string> unescaped_;  // a deque: views into it must last
};

}  // namespace

Result<PromAnswer> read_prom_answer(std::string_view body, PromSink& sink) {
  return Reader(body, sink).read();
}

std::optional<double> parse_prom_value(std::string_view text) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (text == "+Inf" || text == "Inf") return kInfinity;
  if (text == "-Inf") return -kInfinity;
  if (text.starts_with('+')) text.remove_prefix(1);
  bool begins_well = !text.empty() &&
                     (is_digit(text[0]) || text[0] == '.' ||
                      (text[0] == '-' && text.size() > 1 && (is_digit(text[1]) || text[1] == '.')));
  if (!begins_well) return std::nullopt;
  double value = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace davy::source
