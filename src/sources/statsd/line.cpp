#include "sources/statsd/line.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

namespace davy::source {
namespace {

using Malformed = StatsdMalformed;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}
bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), is_control);
}

/// Takes the text up to the next `end`, which is taken, too; all of it when there is none.
std::string_view take_until(std::string_view& rest, char end) {
  std::size_t at = rest.find(end);
  std::string_view part = rest.substr(0, at);
  rest = at == std::string_view::npos ? std::string_view() : rest.substr(at + 1);
  return part;
}

std::optional<StatsdType> type_of(std::string_view text) {
  if (text == "c") return StatsdType::Counter;
  if (text == "ms") return StatsdType::Timer;
  if (text == "g") return StatsdType::Gauge;
  if (text == "h") return StatsdType::Histogram;
  if (text == "d") return StatsdType::Distribution;
  if (text == "s") return StatsdType::Set;
  return std::nullopt;
}

/// False when they are too many: a line of 64 KiB could hold thousands, each to be looked at.
bool read_tags(std::string_view text, std::vector<Label>& tags) {
  constexpr std::size_t kMostTags = 256;
  while (!text.empty() && tags.size() <= kMostTags) {
    std::string_view tag = take_until(text, ',');
    if (tag.empty()) continue;
    std::string_view name = take_until(tag, ':');
    if (!name.empty()) tags.push_back({name, tag});
  }
  return tags.size() <= kMostTags;
}

/// `c:...`, `e:...`, `card:...`: a short word of small letters.
bool is_extension(std::string_view part) {
  constexpr std::size_t kLongest = 16;
  std::size_t colon = part.find(':');
  return colon != std::string_view::npos && colon > 0 && colon <= kLongest &&
         std::all_of(part.begin(), part.begin() + static_cast<std::ptrdiff_t>(colon),
                     [](char c) { return c >= 'a' && c <= 'z'; });
}

/// What is wrong with the part, "" when nothing is.
std::string_view read_part(std::string_view part, StatsdMetric& metric) {
  if (part.starts_with('@')) {
    bool is_rate = parse_statsd_number(part.substr(1), metric.rate) &&
                   metric.rate >= kLeastSampleRate && metric.rate <= 1;
    return is_rate ? "" : "the sample rate is not from 0.000001 to 1";
  }
  if (part.empty()) return "";
  metric.is_dogstatsd = true;
  if (part.starts_with('#')) {
    if (!read_tags(part.substr(1), metric.tags)) return "more than 256 tags";
    return has_control(part) ? "a control character in the tags" : "";
  }
  if (part.starts_with('T')) {
    std::string_view time = part.substr(1);
    metric.has_timestamp = true;
    bool is_time = !time.empty() && std::all_of(time.begin(), time.end(), is_digit);
    return is_time ? "" : "the timestamp is no number of seconds";
  }
  return is_extension(part) ? "" : "an unknown part after the type";
}

std::string_view check_values(std::string_view values, StatsdType type) {
  if (values.empty()) return "no value";
  if (type == StatsdType::Set) return "";
  double number = 0;
  while (true) {
    std::size_t end = values.find(':');
    if (!parse_statsd_number(values.substr(0, end), number)) return "the value is no number";
    if (end == std::string_view::npos) return "";
    values.remove_prefix(end + 1);
  }
}

StatsdLine read_metric(std::string_view line) {
  StatsdMetric metric;
  std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return Malformed{"no colon after a name"};
  metric.name = line.substr(0, colon);
  if (metric.name.empty()) return Malformed{"no name"};
  if (metric.name.find('|') != std::string_view::npos) return Malformed{"a bar in the name"};
  if (has_control(metric.name)) return Malformed{"a control character in the name"};
  std::string_view rest = line.substr(colon + 1);
  bool has_type = rest.find('|') != std::string_view::npos;
  metric.values = take_until(rest, '|');
  if (!has_type) return Malformed{"no type after the value"};
  std::optional<StatsdType> type = type_of(take_until(rest, '|'));
  if (!type) return Malformed{"the type is none of c, g, ms, h, d, s"};
  metric.type = *type;
  if (std::string_view wrong = check_values(metric.values, *type); !wrong.empty())
    return Malformed{wrong};
  while (!rest.empty()) {
    if (std::string_view wrong = read_part(take_until(rest, '|'), metric); !wrong.empty())
      return Malformed{wrong};
  }
  return metric;
}

/// `_e{TITLE,TEXT}:`, lengths in bytes, and then the title, a bar and the text.
StatsdLine read_event(std::string_view line) {
  Malformed wrong{"an event whose lengths do not fit it"};
  std::size_t lengths[2] = {0, 0};
  const char* at = line.data() + 3;
  const char* end = line.data() + line.size();
  for (int i = 0; i < 2; ++i) {
    auto [after, code] = std::from_chars(at, end, lengths[i]);
    if (code != std::errc() || after == end || *after != (i == 0 ? ',' : '}')) return wrong;
    at = after + 1;
  }
  if (at == end || *at != ':') return wrong;
  auto left = static_cast<std::size_t>(end - at) - 1;
  bool fits = lengths[0] > 0 && lengths[0] < left && lengths[1] <= left - lengths[0] - 1 &&
              at[1 + lengths[0]] == '|';
  const char* after = fits ? at + 2 + lengths[0] + lengths[1] : end;
  if (!fits || (after != end && *after != '|')) return wrong;
  return StatsdEvent{};
}

/// `_sc|NAME|STATUS`, parts in any order, and last `m:MESSAGE`, which may hold bars.
StatsdLine read_service_check(std::string_view line) {
  StatsdServiceCheck check;
  std::string_view rest = line.substr(4);
  check.name = take_until(rest, '|');
  if (check.name.empty() || has_control(check.name))
    return Malformed{"a service check without a proper name"};
  std::string_view status = take_until(rest, '|');
  if (status.size() != 1 || status[0] < '0' || status[0] > '3')
    return Malformed{"a service check whose status is none of 0, 1, 2, 3"};
  check.status = static_cast<StatsdServiceCheck::Status>(status[0] - '0');
  while (!rest.empty()) {
    if (rest.starts_with("m:")) {
      check.message = rest.substr(2);
      break;
    }
    take_until(rest, '|');
  }
  return check;
}

}  // namespace

std::string_view show(StatsdType type) {
  switch (type) {
    case StatsdType::Counter: return "counter (|c)";
    case StatsdType::Gauge: return "gauge (|g)";
    case StatsdType::Timer: return "timer (|ms)";
    case StatsdType::Histogram: return "histogram (|h)";
    case StatsdType::Distribution: return "distribution (|d)";
    case StatsdType::Set: break;
  }
  return "set (|s)";
}

bool parse_statsd_number(std::string_view text, double& out) {
  const char* end = text.data() + text.size();
  number::Wrong wrong = number::Wrong::No;
  return number::parse_slowly(text.data(), end, out, wrong) == end && !text.empty() &&
         wrong == number::Wrong::No && std::isfinite(out);
}

StatsdLine parse_statsd_line(std::string_view line) {
  if (line.starts_with("_e{")) return read_event(line);
  if (line.starts_with("_sc|")) return read_service_check(line);
  return read_metric(line);
}

}  // namespace davy::source
