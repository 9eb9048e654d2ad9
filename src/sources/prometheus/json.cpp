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
#include <limits>

#include "base/text.h"
#include "sources/prometheus/json_cursor.h"

namespace davy::source {
namespace {

constexpr std::size_t kMostLabels = 256;  // of a series
constexpr std::size_t kMostTold = 100;    // warnings that are kept

/// The time that stood at some place in the series before.
struct TimeText {
  std::array<char, 16> text{};
  std::ptrdiff_t size = 0;
  double t = 0;
};

class Reader : JsonCursor {
 public:
  Reader(std::string_view body, PromSink& sink) : JsonCursor(body), sink_(sink) {}

  Result<PromAnswer> read() {
    sink_.begin();
    if (!answer() || !finish()) return Error{what_is_wrong()};
    return std::move(answer_);
  }

 private:
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
    forget_texts();
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
    const char* end = at_ + kMostTaken;
    if (!is_same(p, time) && !take_time(p, end, time)) return false;
    p += time.size;
    if (p[0] != ',' || p[1] != '"') return false;
    p += 2;
    Decimal decimal;
    if (!take_decimal(p, end, decimal) || p[0] != '"' || p[1] != ']') return false;
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
  static bool take_time(const char* p, const char* end, TimeText& time) {
    const char* start = p;
    Decimal decimal;
    if (*p == '0' || !take_decimal(p, end, decimal)) return false;
    time.size = p - start;
    time.t = decimal.value();
    std::memcpy(time.text.data(), start, time.text.size());
    return true;
  }

  /// "120", "120.5"; of an odd one nothing is known but that it may be right.
  static bool take_decimal(const char*& p, const char* end, Decimal& decimal) {
    decimal.whole = decimal.take(p, end);
    if (decimal.whole == 0) return false;
    if (*p == '.') {
      ++p;
      decimal.fraction = decimal.take(p, end);
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

  PromSink& sink_;
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
  std::vector<TimeText> times_;  // of its samples, and of the series before
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
