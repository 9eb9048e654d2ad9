#include "sources/formats/protobuf.h"

#include <fmt/format.h>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "base/text.h"

namespace davy::source {
namespace {

constexpr std::size_t kMaxFamily = 16 << 20;
constexpr std::size_t kDescribed = 3;
constexpr std::size_t kMaxLabels = 128;

/// The fields of one message, one after the other. After the first thing that is wrong there are no
/// more, and `ok` is false.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : rest_(bytes) {}

  bool next() {
    if (!is_ok_ || rest_.empty()) return false;
    std::uint64_t tag = varint();
    number_ = static_cast<std::uint32_t>(tag >> 3);
    type_ = static_cast<std::uint32_t>(tag & 7);
    value_ = 0;
    bytes_ = {};
    if (tag >> 32 != 0 || number_ == 0) return fail();
    switch (type_) {
      case kVarint: value_ = varint(); break;
      case kFixed64: value_ = fixed(8); break;
      case kFixed32: value_ = fixed(4); break;
      case kBytes: bytes_ = take(varint()); break;
      default: return fail();  // groups, which nobody writes any more
    }
    return is_ok_;
  }
  bool ok() const { return is_ok_; }
  std::uint32_t number() const { return number_; }

  std::uint64_t integer() const { return value_; }
  std::int64_t zigzag() const {
    return static_cast<std::int64_t>(value_ >> 1) ^ -static_cast<std::int64_t>(value_ & 1);
  }
  double real() const { return type_ == kFixed64 ? std::bit_cast<double>(value_) : std::nan(""); }
  std::string_view bytes() const { return bytes_; }

  /// A repeated field, packed or not.
  void append_to(std::vector<std::int64_t>& out) {
    if (type_ == kVarint) return out.push_back(zigzag());
    for (Fields packed(bytes_); !packed.rest_.empty() && is_ok_;) {
      packed.value_ = packed.varint();
      is_ok_ = packed.is_ok_;
      out.push_back(packed.zigzag());
    }
  }
  void append_to(std::vector<double>& out) {
    if (type_ == kFixed64) return out.push_back(real());
    Fields packed(bytes_);
    while (packed.is_ok_ && !packed.rest_.empty())
      out.push_back(std::bit_cast<double>(packed.fixed(8)));
    is_ok_ = packed.is_ok_;
  }

  static std::optional<std::uint64_t> varint_of(std::string_view& bytes) {
    std::uint64_t n = 0;
    for (std::size_t i = 0; i < bytes.size() && i < 10; ++i) {
      std::uint64_t byte = static_cast<unsigned char>(bytes[i]);
      n |= (byte & 0x7f) << (7 * i);
      if (byte >= 0x80) continue;
      bytes.remove_prefix(i + 1);
      return n;
    }
    return std::nullopt;
  }

 private:
  enum : std::uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

  bool fail() {
    rest_ = {};
    return is_ok_ = false;
  }
  std::uint64_t varint() {
    std::optional<std::uint64_t> n = varint_of(rest_);
    if (!n) fail();
    return n.value_or(0);
  }
  std::string_view take(std::uint64_t n) {
    if (n > rest_.size()) {
      fail();
      return {};
    }
    std::string_view taken = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return taken;
  }
  std::uint64_t fixed(std::size_t size) {
    std::string_view taken = take(size);
    std::uint64_t n = 0;
    for (std::size_t i = 0; i < taken.size(); ++i)
      n |= std::uint64_t{static_cast<unsigned char>(taken[i])} << (8 * i);
    return n;
  }

  std::string_view rest_;
  std::string_view bytes_;
  std::uint64_t value_ = 0;
  std::uint32_t number_ = 0;
  std::uint32_t type_ = 0;
  bool is_ok_ = true;
};

/// A message that holds one number in its first field: Gauge, Counter, Untyped.
double only_value(std::string_view message, bool& is_ok) {
  double value = 0;
  Fields fields(message);
  while (fields.next()) {
    if (fields.number() == 1) value = fields.real();
  }
  is_ok &= fields.ok();
  return value;
}

std::string bound_text(double bound) {
  return std::isinf(bound) ? (bound > 0 ? "+Inf" : "-Inf") : fmt::format("{}", bound);
}

}  // namespace

/// One MetricFamily message.
class ProtobufPage::Family {
 public:
  Family(NativeSink& sink, std::string_view message) : sink_(sink), message_(message) {}

  /// What is wrong with it, or "".
  std::string_view read(std::size_t& samples) {
    std::vector<std::string_view> metrics;
    std::uint64_t type = 0;
    Fields fields(message_);
    while (fields.next()) {
      if (fields.number() == 1) name_ = fields.bytes();
      if (fields.number() == 3) type = fields.integer();
      if (fields.number() == 4) metrics.push_back(fields.bytes());
    }
    if (!fields.ok()) return "is no metric family";
    if (name_.empty()) return "has no name";
    if (!text::is_utf8(name_)) return "has a name that is not UTF-8";
    constexpr std::string_view kTypes[] = {"counter", "gauge",     "summary",
                                           "untyped", "histogram", "gaugehistogram"};
    if (type < std::size(kTypes)) sink_.see_type(name_, kTypes[type]);
    for (std::string_view metric : metrics) {
      if (std::string_view wrong = read_metric(metric); !wrong.empty()) return wrong;
    }
    samples = samples_;
    return "";
  }

 private:
  std::string_view read_metric(std::string_view message) {
    labels_.clear();
    Fields fields(message);
    std::vector<std::pair<std::uint32_t, std::string_view>> values;
    bool is_ok = true;
    while (fields.next()) {
      if (fields.number() == 1) is_ok &= read_label(fields.bytes());
      bool is_value = fields.number() >= 2 && fields.number() <= 7 && fields.number() != 6;
      if (is_value) values.emplace_back(fields.number(), fields.bytes());
    }
    if (!fields.ok() || !is_ok) return "has a metric that is none";
    if (labels_.size() > kMaxLabels) return "has more labels than anybody can mean";
    for (const auto& [number, value] : values) {
      if (number == 7) {
        if (std::string_view wrong = read_histogram(value); !wrong.empty()) return wrong;
      } else if (number == 4) {
        is_ok &= read_summary(value);
      } else {
        see("", only_value(value, is_ok));
      }
    }
    return is_ok ? "" : "has a value that is none";
  }

  bool read_label(std::string_view message) {
    Label label;
    Fields fields(message);
    while (fields.next()) {
      if (fields.number() == 1) label.name = fields.bytes();
      if (fields.number() == 2) label.value = fields.bytes();
    }
    labels_.push_back(label);
    return fields.ok() && !label.name.empty() && text::is_utf8(label.name) &&
           text::is_utf8(label.value);
  }

  bool read_summary(std::string_view message) {
    Fields fields(message);
    bool is_ok = true;
    while (fields.next()) {
      if (fields.number() == 1) see("_count", static_cast<double>(fields.integer()));
      if (fields.number() == 2) see("_sum", fields.real());
      if (fields.number() != 3) continue;
      double quantile = 0;
      double value = 0;
      Fields pair(fields.bytes());
      while (pair.next()) {
        if (pair.number() == 1) quantile = pair.real();
        if (pair.number() == 2) value = pair.real();
      }
      is_ok &= pair.ok();
      see_with("", "quantile", fmt::format("{}", quantile), value);
    }
    return fields.ok() && is_ok;
  }

  std::string_view read_histogram(std::string_view message) {
    std::vector<stats::NativeHistogram::Span> spans;
    std::vector<std::int64_t> deltas;
    std::vector<double> counts;
    stats::NativeHistogram native;
    double total = 0;
    bool has_schema = false;
    bool has_infinity = false;
    bool is_ok = true;
    bool is_negative = false;
    Fields fields(message);
    while (fields.next()) {
      switch (fields.number()) {
        case 1: total = std::max(total, static_cast<double>(fields.integer())); break;
        case 2: see("_sum", fields.real()); break;
        case 3: is_ok &= read_bucket(fields.bytes(), has_infinity); break;
        case 4: total = std::max(total, fields.real()); break;
        case 5:
          has_schema = true;
          native.schema = static_cast<int>(fields.zigzag());
          break;
        case 6: native.zero_threshold = fields.real(); break;
        case 7: native.zero_count += static_cast<double>(fields.integer()); break;
        case 8: native.zero_count += fields.real(); break;
        case 9: is_negative = true; break;
        case 12: is_ok &= read_span(fields.bytes(), spans); break;
        case 13: fields.append_to(deltas); break;
        case 14: fields.append_to(counts); break;
        default: break;
      }
    }
    if (!fields.ok() || !is_ok) return "has a histogram that is none";
    see("_count", total);
    bool is_native = has_schema && (!spans.empty() || native.zero_threshold > 0);
    if (!has_infinity) see_with("_bucket", "le", "+Inf", total);
    if (!is_native) return "";
    if (is_negative) return "has a histogram of negative values, which are no latencies";
    Result<std::vector<stats::NativeHistogram::Bucket>> buckets =
        counts.empty() ? stats::NativeHistogram::from_deltas(spans, deltas)
                       : stats::NativeHistogram::from_counts(spans, counts);
    if (!buckets) return "has a native histogram whose buckets contradict each other";
    native.buckets = std::move(*buckets);
    sink_.see_native(name_, labels_, native);
    return "";
  }

  bool read_bucket(std::string_view message, bool& has_infinity) {
    double cumulative = 0;
    double bound = std::nan("");
    Fields fields(message);
    while (fields.next()) {
      if (fields.number() == 1)
        cumulative = std::max(cumulative, static_cast<double>(fields.integer()));
      if (fields.number() == 2) bound = fields.real();
      if (fields.number() == 4) cumulative = std::max(cumulative, fields.real());
    }
    has_infinity |= std::isinf(bound) && bound > 0;
    see_with("_bucket", "le", bound_text(bound), cumulative);
    return fields.ok();
  }

  static bool read_span(std::string_view message,
                        std::vector<stats::NativeHistogram::Span>& spans) {
    stats::NativeHistogram::Span span;
    Fields fields(message);
    while (fields.next()) {
      if (fields.number() == 1) span.offset = static_cast<std::int32_t>(fields.zigzag());
      if (fields.number() == 2) span.length = static_cast<std::uint32_t>(fields.integer());
    }
    spans.push_back(span);
    return fields.ok();
  }

  void see_with(std::string_view suffix, std::string_view label, const std::string& text,
                double value) {
    labels_.push_back({label, text});
    see(suffix, value);
    labels_.pop_back();
  }

  void see(std::string_view suffix, double value) {
    full_name_.assign(name_);
    full_name_ += suffix;
    ++samples_;
    std::uint32_t series = sink_.intern(full_name_, labels_);
    if (series != SampleSink::kUnwanted) sink_.see(series, value);
  }

  NativeSink& sink_;
  const std::string_view message_;
  std::string_view name_;
  std::string full_name_;
  std::vector<Label> labels_;
  std::size_t samples_ = 0;
};

void ProtobufPage::begin() {
  waiting_.clear();
  bytes_ = 0;
  wrong_.clear();
  parsed_ = {};
}

void ProtobufPage::feed(std::string_view bytes) {
  if (!wrong_.empty()) return;
  waiting_ += bytes;
  std::string_view rest = waiting_;
  while (!rest.empty()) {
    std::string_view message = rest;
    std::optional<std::uint64_t> length = Fields::varint_of(message);
    if (!length && rest.size() < 10) break;  // more will come
    if (!length || *length > kMaxFamily) {
      wrong_ = fmt::format(
          "the answer is no protobuf at byte {} (no message, or one of more than 16 MiB)", bytes_);
      return;
    }
    if (message.size() < *length) break;
    std::size_t samples = 0;
    std::string_view wrong = Family(sink_, message.substr(0, *length)).read(samples);
    parsed_.lines += samples;
    if (!wrong.empty() && parsed_.malformed++ < kDescribed)
      parsed_.first_malformed.push_back(fmt::format("the family at byte {} {}", bytes_, wrong));
    std::size_t taken = rest.size() - message.size() + *length;
    rest.remove_prefix(taken);
    bytes_ += taken;
  }
  waiting_.erase(0, waiting_.size() - rest.size());
}

Result<Parsed> ProtobufPage::finish() {
  if (!wrong_.empty()) return Error{wrong_};
  if (!waiting_.empty()) {
    return Error{fmt::format(
        "the answer ends within the message at byte {}, so it was cut (nothing of it is counted)",
        bytes_)};
  }
  return std::move(parsed_);
}

}  // namespace davy::source
