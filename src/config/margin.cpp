#include "config/margin.h"

#include <fmt/format.h>

#include "base/text.h"
#include "base/units.h"

namespace davy::config {
namespace {

/// Parts between '+'; each is relative ("...%") or what `absolute` makes of it; each at most once.
Result<Margin> parse_margin(std::string_view text, const Error& wrong,
                            Result<double> (*absolute)(std::string_view)) {
  Margin margin;
  bool has_ratio = false;
  bool has_absolute = false;
  for (std::string_view part : text::split(text, '+')) {
    part = text::trim(part);
    bool is_ratio = part.ends_with('%');
    Result<double> value = is_ratio ? hundredths(part.substr(0, part.size() - 1)) : absolute(part);
    bool& seen = is_ratio ? has_ratio : has_absolute;
    if (!value || seen || *value < 0) return wrong;
    seen = true;
    (is_ratio ? margin.ratio : margin.absolute) += *value;
  }
  return margin;
}

Result<double> points(std::string_view part) {
  if (!part.ends_with("pp")) return Error{"no points of percent"};
  return hundredths(part.substr(0, part.size() - 2));
}

Result<double> number_or_bytes(std::string_view part) {
  Result<double> number = units::parse_number(part);
  return number ? number : units::parse_bytes(part);
}

}  // namespace

Result<double> hundredths(std::string_view digits) {
  bool is_plain =
      !digits.empty() && digits.find_first_not_of("0123456789.") == std::string_view::npos;
  return units::parse_number(is_plain ? std::string(digits) + "e-2" : "");
}

Result<Margin> parse_rate_margin(std::string_view text) {
  Error wrong{text::quoted(text) +
              " is not a margin (try 20% for relative, 0.5pp for absolute, 20% + 0.01pp for both)"};
  Result<Margin> margin = parse_margin(text, wrong, points);
  if (margin && margin->absolute >= 1)
    return Error{text::quoted(text) + " tolerates everything (less than 100pp)"};
  return margin;
}

Result<Margin> parse_value_margin(std::string_view text) {
  Error wrong{text::quoted(text) +
              " is not a margin (try 20% for relative, 5 or 64MiB for absolute, 20% + 64MiB for "
              "both)"};
  return parse_margin(text, wrong, number_or_bytes);
}

std::string show(const Margin& margin) {
  return fmt::format("{:g}% + {:g}pp", (margin.ratio - 1) * 100, margin.absolute * 100);
}

void read_margin(Settings& settings, std::string_view key,
                 Result<Margin> (*parse)(std::string_view), std::optional<Margin>& out) {
  const Node* node = settings.find(key);
  std::optional<std::string> text = settings.text_of(node);
  if (!text) return;
  Result<Margin> margin = parse(*text);
  if (margin) {
    out = *margin;
  } else {
    settings.problem(key, margin.error().what);
  }
}

}  // namespace davy::config
