#include "sources/formats/sample_line.h"

#include <algorithm>

#include "base/text.h"
#include "sources/formats/number.h"
#include "sources/formats/scan.h"

namespace davy::source {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

void skip_blanks(const char*& at) {
  while (is_blank(*at)) ++at;
}

const char* find_quote_or_escape(const char* at, const char* end) {
  return std::find_if(at, end, [](char c) { return c == '"' || c == '\\'; });
}

}  // namespace

std::string_view SampleLine::parse(const char* begin, const char* end, const char* limit) {
  limit_ = limit;
  count_ = 0;
  if (!unescaped_.empty()) unescaped_.clear();
  const char* at = scan::skip_name<true>(begin, limit_);
  name_ = {begin, static_cast<std::size_t>(at - begin)};
  skip_blanks(at);
  if (*at == '{') {
    if (std::string_view wrong = take_labels(++at, end); !wrong.empty()) return wrong;
    skip_blanks(at);
  } else if (!name_.empty() && at == name_.data() + name_.size() && at != end) {
    return "a name with characters that no name has";
  }
  if (name_.empty()) return "no name";
  bool is_quoted = name_.data() != begin;
  if (!is_quoted && is_digit(name_[0])) return "a name that starts with a digit";
  return take_value(at, end);
}

/// Behind the opening brace; goes behind the closing one.
std::string_view SampleLine::take_labels(const char*& at, const char* end) {
  while (true) {
    at = take_plain_labels(at, end);
    skip_blanks(at);
    if (*at == '}') {
      ++at;
      return "";
    }
    if (std::string_view wrong = take_any_label(at, end); !wrong.empty()) return wrong;
    skip_blanks(at);
    if (*at == ',')
      ++at;
    else if (*at != '}')
      return "no comma or } after a label";
  }
}

/// Those that stand as clients write them, in ASCII and without blanks or escapes: name="value",
/// Where the first other one starts, or the closing brace stands.
const char* SampleLine::take_plain_labels(const char* at, const char* end) {
  const char* const limit = limit_;
  Label* label = labels_.data() + count_;
  Label* const last = labels_.data() + kMaxLabels;
  while (label != last) {
    const char* name_end = scan::skip_name<false>(at, limit);
    if (name_end == at || *name_end != '=' || name_end[1] != '"' || is_digit(*at)) break;
    const char* value = name_end + 2;
    const char* value_end = scan::skip_plain_text(value, limit);
    if (value_end >= end || *value_end != '"') break;
    char next = value_end[1];
    if (next != ',' && next != '}') break;
    *label++ = {{at, static_cast<std::size_t>(name_end - at)},
                {value, static_cast<std::size_t>(value_end - value)}};
    at = value_end + 1;
    if (next == '}') break;
    ++at;
  }
  count_ = static_cast<std::size_t>(label - labels_.data());
  return at;
}

std::string_view SampleLine::take_any_label(const char*& at, const char* end) {
  std::string_view name;
  bool is_quoted = *at == '"';
  if (is_quoted) {
    if (std::string_view wrong = take_quoted(++at, end, name); !wrong.empty()) return wrong;
  } else {
    const char* start = at;
    at = scan::skip_name<false>(at, limit_);
    name = {start, static_cast<std::size_t>(at - start)};
  }
  bool is_name = !name.empty() && (is_quoted || !is_digit(name[0]));
  if (is_name) skip_blanks(at);
  if (is_name && *at == '=') {
    skip_blanks(++at);
    if (*at != '"') return "a label's value without quotes";
    std::string_view value;
    if (std::string_view wrong = take_quoted(++at, end, value); !wrong.empty()) return wrong;
    if (count_ == kMaxLabels) return "more labels than anybody can mean";
    labels_[count_++] = {name, value};
    return "";
  }
  if (is_name && is_quoted && name_.empty() && count_ == 0) {
    name_ = name;  // {"the series' own name", ...
    return "";
  }
  return at == end ? "labels without an end" : "a label without a proper name";
}

/// Behind the opening quote; goes behind the closing one.
std::string_view SampleLine::take_quoted(const char*& at, const char* end, std::string_view& text) {
  const char* stop = find_quote_or_escape(at, end);
  if (stop == end) return "no closing quote";
  if (*stop == '"') {
    text = {at, static_cast<std::size_t>(stop - at)};
    at = stop + 1;
  } else if (std::string_view wrong = unescape(at, end, text); !wrong.empty()) {
    return wrong;
  }
  return text::is_utf8(text) ? "" : "a label's value is not UTF-8";
}

std::string_view SampleLine::unescape(const char*& at, const char* end, std::string_view& text) {
  std::string& out = unescaped_.emplace_back();
  while (true) {
    const char* stop = find_quote_or_escape(at, end);
    out.append(at, stop);
    at = stop + 1;
    if (stop == end || (*stop == '\\' && at == end)) return "no closing quote";
    if (*stop == '"') break;
    // As Prometheus does: an unknown escape stands for both of its characters.
    if (*at != '\\' && *at != '"' && *at != 'n') out += '\\';
    out += *at == 'n' ? '\n' : *at;
    ++at;
  }
  text = out;
  return "";
}

std::string_view SampleLine::take_value(const char* at, const char* end) {
  value_at_ = at;
  number::Wrong wrong = number::Wrong::NotANumber;
  const char* stop = parse_number(at, end, value_, wrong);
  if (wrong == number::Wrong::TooLarge) return "the value does not fit into a double";
  if (wrong != number::Wrong::No || (stop != end && !is_blank(*stop) && *stop != '\r'))
    return "the value is not a number";
  return stop == end ? "" : check_tail(stop, end);
}

std::string_view SampleLine::check_tail(const char* at, const char* end) {
  std::string_view rest = text::trim({at, static_cast<std::size_t>(end - at)});
  if (rest.empty() || rest.starts_with("# {")) return "";
  std::size_t length = std::min(rest.find_first_of(" \t"), rest.size());
  double timestamp = 0;
  std::from_chars_result read = std::from_chars(rest.data(), rest.data() + length, timestamp);
  bool is_timestamp = read.ec == std::errc() && read.ptr == rest.data() + length;
  rest = text::trim(rest.substr(length));
  if (is_timestamp && (rest.empty() || rest.starts_with("# {"))) return "";
  return "something other than a timestamp follows the value";
}

}  // namespace davy::source
