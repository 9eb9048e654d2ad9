// Sample line: one line of the Prometheus text format 0.0.4 or of OpenMetrics 1.0, taken apart.
//
// Rules (prometheus.io/docs/instrumenting/exposition_formats, OpenMetrics 1.0 section 3.2.2, and
// for quoted names Prometheus' "UTF-8 in Prometheus" 2024):
//   name{label="value",...} value [timestamp] [# {exemplar} value [timestamp]]
//   {"any name","any label"="value",...} value ...
// In values \\ \" \n are escapes. Blanks may stand between all parts. A timestamp is passed over.
// Threading: not thread-safe; reused from line to line, which it holds views into.
#pragma once

#include <array>
#include <deque>
#include <string>
#include <string_view>

#include "sources/selector.h"

namespace davy::source {

class SampleLine {
 public:
  /// What is wrong with it, or "". REQUIRES: *end == '\n', and the line does not start with a
  /// blank; until `limit` > end there may be read.
  std::string_view parse(const char* begin, const char* end, const char* limit);

  std::string_view name() const { return name_; }
  Labels labels() const { return {labels_.data(), count_}; }
  double value() const { return value_; }
  /// Where the value starts.
  const char* value_at() const { return value_at_; }

  /// What may follow a value: nothing, a timestamp, an exemplar. What is wrong with it, or "".
  static std::string_view check_tail(const char* at, const char* end);

 private:
  static constexpr std::size_t kMaxLabels = 128;  // per series; Prometheus itself warns at 30

  std::string_view take_labels(const char*& at, const char* end);
  const char* take_plain_labels(const char* at, const char* end);
  std::string_view take_any_label(const char*& at, const char* end);
  std::string_view take_quoted(const char*& at, const char* end, std::string_view& text);
  std::string_view unescape(const char*& at, const char* end, std::string_view& text);
  std::string_view take_value(const char* at, const char* end);

  std::string_view name_;
  std::array<Label, kMaxLabels> labels_;
  std::size_t count_ = 0;              // of them
  std::deque<std::string> unescaped_;  // a deque: views into it must last
  const char* value_at_ = nullptr;
  double value_ = 0;
  const char* limit_ = nullptr;
};

}  // namespace davy::source
