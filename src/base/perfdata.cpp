#include "base/perfdata.h"

#include <charconv>
#include <cmath>
#include <optional>
#include <string>

#include "base/text.h"

namespace davy::perfdata {
namespace {

constexpr std::size_t kLongestLabel = 64;

struct Unit {
  std::string_view written;
  std::string_view ours;
  double factor;
};
constexpr Unit kUnits[] = {
    {"", "1", 1},
    {"c", "1", 1},
    {"s", "s", 1},
    {"ms", "s", 1e-3},
    {"us", "s", 1e-6},
    {"%", "ratio", 0.01},
    {"B", "bytes", 1},
    {"KB", "bytes", 0x1p10},
    {"MB", "bytes", 0x1p20},
    {"GB", "bytes", 0x1p30},
    {"TB", "bytes", 0x1p40},
};

/// 'it''s' is it's; without quotes it ends at the `=`. Moves `text` behind it.
std::optional<std::string> take_label(std::string_view& text) {
  std::string label;
  if (text.starts_with('\'')) {
    for (std::size_t i = 1; i < text.size(); ++i) {
      if (text[i] != '\'') {
        label += text[i];
      } else if (text.substr(i, 2) == "''") {
        label += text[i++];
      } else {
        text.remove_prefix(i + 1);
        return label;
      }
    }
    return std::nullopt;
  }
  std::size_t end = text.find('=');
  if (end == std::string_view::npos) return std::nullopt;
  label = text.substr(0, end);
  text.remove_prefix(end);
  if (label.find_first_of(" '") != std::string::npos) return std::nullopt;
  return label;
}

std::optional<Measurement> measurement(std::string label, std::string_view value) {
  double number = 0;
  const char* last = value.data() + value.size();
  auto [end, error] = std::from_chars(value.data(), last, number);
  if (error != std::errc() || !std::isfinite(number)) return std::nullopt;
  std::string_view unit(end, static_cast<std::size_t>(last - end));
  for (const Unit& known : kUnits) {
    if (known.written == unit)
      return Measurement{std::move(label), number * known.factor, std::string(known.ours)};
  }
  return std::nullopt;
}

}  // namespace

std::vector<Measurement> parse(std::string_view text, std::size_t most) {
  std::vector<Measurement> all;
  for (text = text::trim(text); !text.empty() && all.size() < most; text = text::trim(text)) {
    std::optional<std::string> label = take_label(text);
    if (!label || label->empty() || label->size() > kLongestLabel || !text.starts_with('=')) break;
    std::string_view item = text.substr(1, text.find_first_of(" \t") - 1);
    if (text.find_first_of(" \t") == std::string_view::npos) item = text.substr(1);
    text.remove_prefix(1 + item.size());
    std::string_view value = item.substr(0, item.find(';'));
    if (value == "U") continue;  // the plugin could not tell
    std::optional<Measurement> read = measurement(text::valid_utf8(*label), value);
    if (!read) break;
    all.push_back(*std::move(read));
  }
  return all;
}

}  // namespace davy::perfdata
