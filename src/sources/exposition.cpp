#include "sources/exposition.h"

#include <fmt/format.h>
#include <charconv>
#include <deque>

#include "base/text.h"

namespace davy::source {
namespace {

constexpr std::size_t kMaxLabels = 128;  // per series; Prometheus itself warns at 30
constexpr std::size_t kDescribed = 3;    // malformed lines told in words

bool is_ascii(std::string_view s) {
  for (char c : s) {
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  }
  return true;
}

std::string_view without_leading_space(std::string_view s) {
  std::size_t n = s.find_first_not_of(" \t");
  return n == std::string_view::npos ? std::string_view() : s.substr(n);
}

/// One line of a wanted series, behind its name. Reused from line to line.
class SampleLine {
 public:
  /// What is wrong with it, or "".
  std::string_view parse(std::string_view rest) {
    labels_.clear();
    unescaped_.clear();
    rest = without_leading_space(rest);
    if (rest.starts_with('{')) {
      if (std::string_view wrong = take_labels(rest); !wrong.empty()) return wrong;
    }
    return take_value(without_leading_space(rest));
  }

  Labels labels() const { return labels_; }
  double value() const { return value_; }

 private:
  std::string_view take_labels(std::string_view& rest) {
    rest.remove_prefix(1);
    while (true) {
      rest = without_leading_space(rest);
      if (rest.starts_with('}')) {
        rest.remove_prefix(1);
        return "";
      }
      std::size_t equals = rest.find('=');
      if (equals == std::string_view::npos) return "labels without an end";
      std::string_view name = text::trim(rest.substr(0, equals));
      if (name.empty() || name.find_first_of(" \"{},") != std::string_view::npos)
        return "a label without a proper name";
      rest = without_leading_space(rest.substr(equals + 1));
      if (!rest.starts_with('"')) return "a label's value without quotes";
      rest.remove_prefix(1);
      std::string_view value;
      if (std::string_view wrong = take_quoted(rest, value); !wrong.empty()) return wrong;
      if (labels_.size() == kMaxLabels) return "more labels than anybody can mean";
      labels_.push_back({name, value});
      rest = without_leading_space(rest);
      if (rest.starts_with(','))
        rest.remove_prefix(1);
      else if (!rest.starts_with('}'))
        return "no comma or } after a label";
    }
  }

  std::string_view take_quoted(std::string_view& rest, std::string_view& value) {
    std::size_t end = rest.find_first_of("\"\\");
    if (end == std::string_view::npos) return "no closing quote";
    if (rest[end] == '"') {
      value = rest.substr(0, end);
    } else {
      std::string& text = unescaped_.emplace_back();
      for (end = 0; end < rest.size() && rest[end] != '"'; ++end) {
        if (rest[end] != '\\') {
          text += rest[end];
        } else if (++end < rest.size()) {
          text += rest[end] == 'n' ? '\n' : rest[end];
        }
      }
      if (end >= rest.size()) return "no closing quote";
      value = text;
    }
    if (!is_ascii(value) && text::valid_utf8(value) != value) return "a label's value is not UTF-8";
    rest.remove_prefix(end + 1);
    return "";
  }

  /// The value; a timestamp and an exemplar may follow.
  std::string_view take_value(std::string_view rest) {
    std::size_t end = std::min(rest.find_first_of(" \t\r"), rest.size());
    std::string_view digits = rest.substr(0, end);
    if (digits.starts_with('+')) digits.remove_prefix(1);
    auto [stop, code] = std::from_chars(digits.data(), digits.data() + digits.size(), value_);
    if (digits.empty() || code == std::errc::invalid_argument ||
        stop != digits.data() + digits.size()) {
      return "the value is not a number";
    }
    if (code == std::errc::result_out_of_range) return "the value does not fit into a double";
    rest = text::trim(rest.substr(end));
    if (rest.empty() || rest.starts_with('#')) return "";
    end = std::min(rest.find_first_of(" \t"), rest.size());
    double timestamp = 0;
    std::from_chars_result read = std::from_chars(rest.data(), rest.data() + end, timestamp);
    bool is_timestamp = read.ec == std::errc() && read.ptr == rest.data() + end;
    rest = text::trim(rest.substr(end));
    if (!is_timestamp || !(rest.empty() || rest.starts_with('#')))
      return "something other than a timestamp follows the value";
    return "";
  }

  std::vector<Label> labels_;
  std::deque<std::string> unescaped_;  // a deque: views into it must last
  double value_ = 0;
};

/// What the body is when it is no metrics, or "".
std::string_view not_metrics(std::string_view body) {
  std::size_t first = body.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  if (first == std::string_view::npos) return "";
  if (body[first] == '<') return "HTML";
  std::string_view rest = body.substr(first + 1).substr(0, 64);
  rest = rest.substr(std::min(rest.find_first_not_of(" \t\r\n"), rest.size()));
  // A line may start with {" in Prometheus 3, when a name is not plain: {"http.requests"} 5
  bool is_json = body[first] == '[' ||
                 (body[first] == '{' &&
                  (rest.empty() || rest[0] == '}' ||
                   rest.substr(0, rest.find('\n')).find("\":") != std::string_view::npos));
  return is_json ? "JSON" : "";
}

}  // namespace

Result<Parsed> parse_exposition(std::string_view body, SampleSink& sink) {
  if (std::string_view other = not_metrics(body); !other.empty()) {
    return Error{
        fmt::format("answered {}, not metrics (is the path right? /metrics is usual)", other)};
  }
  if (!body.empty() && body.back() != '\n') {
    return Error{
        "the answer ends in the middle of a line, so it was cut (nothing of it is counted)"};
  }
  Parsed parsed;
  SampleLine sample;
  std::size_t number = 0;
  while (!body.empty()) {
    std::size_t end = body.find('\n');
    std::string_view line = without_leading_space(body.substr(0, end));
    body.remove_prefix(end + 1);
    ++number;
    if (line.empty() || line[0] == '#' || line == "\r") continue;
    ++parsed.lines;
    std::string_view name = line.substr(0, line.find_first_of("{ \t"));
    if (!sink.wants(name)) continue;
    std::string_view wrong = sample.parse(line.substr(name.size()));
    if (wrong.empty()) {
      sink.take(name, sample.labels(), sample.value());
    } else if (++parsed.malformed <= kDescribed) {
      parsed.first_malformed.push_back(fmt::format("line {}: {}", number, wrong));
    }
  }
  return parsed;
}

}  // namespace davy::source
