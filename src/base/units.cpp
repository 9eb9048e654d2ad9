#include "base/units.h"

#include <fmt/format.h>
#include <charconv>
#include <cmath>
#include <ctime>

#include "base/text.h"

namespace davy::units {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr Unit kTimeUnits[] = {{"ns", 1e-9}, {"us", 1e-6},  {"ms", 1e-3},  {"s", 1.0},
                               {"m", 60.0},  {"h", 3600.0}, {"d", 86400.0}};
constexpr Unit kByteUnits[] = {{"", 1.0},
                               {"B", 1.0},
                               {"kB", 1e3},
                               {"MB", 1e6},
                               {"GB", 1e9},
                               {"TB", 1e12},
                               {"KiB", 1024.0},
                               {"MiB", 1048576.0},
                               {"GiB", 1073741824.0},
                               {"TiB", 1099511627776.0}};

/// Takes a plain decimal (no sign, no exponent, no "inf") off the front of `s`.
bool take_decimal(std::string_view& s, double& value) {
  std::size_t n = s.find_first_not_of("0123456789.");
  std::string_view digits = s.substr(0, n);
  auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || code != std::errc() || end != digits.data() + digits.size()) return false;
  s.remove_prefix(digits.size());
  return true;
}

const Unit* take_unit(std::string_view& s, const auto& table) {
  std::size_t n = s.find_first_of("0123456789.");
  std::string_view name = s.substr(0, n);
  for (const Unit& unit : table) {
    if (unit.name == name) {
      s.remove_prefix(name.size());
      return &unit;
    }
  }
  return nullptr;
}

}  // namespace

Result<Duration> parse_duration(std::string_view s) {
  Error wrong{text::quoted(s) + " is not a duration (try 250ms, 5s, 1m30s)"};
  if (s == "0") return Duration::zero();
  double total = 0;
  for (std::string_view rest = s; !rest.empty() || s.empty();) {
    double value = 0;
    if (!take_decimal(rest, value)) return wrong;
    const Unit* unit = take_unit(rest, kTimeUnits);
    if (unit == nullptr) return wrong;
    total += value * unit->factor;
  }
  if (total > 10.0 * 365 * 86400) return Error{text::quoted(s) + " is longer than ten years"};
  return Duration(std::llround(total * 1e9));
}

Result<double> parse_bytes(std::string_view s) {
  Error wrong{text::quoted(s) + " is not a size (try 512MiB, 1GiB, 10GB)"};
  double value = 0;
  std::string_view rest = s;
  if (!take_decimal(rest, value)) return wrong;
  const Unit* unit = take_unit(rest, kByteUnits);
  if (unit == nullptr || !rest.empty()) return wrong;
  return value * unit->factor;
}

Result<double> parse_ratio(std::string_view s) {
  double value = 0;
  std::string_view rest = s;
  if (take_decimal(rest, value)) {
    if (rest == "%") return value / 100;
    if (rest.empty()) return value;
  }
  return Error{text::quoted(s) + " is not a share (try 20%, 0.1%, 0.2)"};
}

Result<Amount> parse_amount(std::string_view s) {
  if (!s.empty() && s.back() == '%') {
    Result<double> ratio = parse_ratio(s);
    if (!ratio) return ratio.error();
    return Amount{.value = *ratio, .is_ratio = true};
  }
  Result<double> bytes = parse_bytes(s);
  if (!bytes) return Error{text::quoted(s) + " is neither a size nor a share (try 1GiB, 10%)"};
  return Amount{.value = *bytes, .is_ratio = false};
}

Result<double> parse_number(std::string_view s) {
  double value = 0;
  auto [end, code] = std::from_chars(s.data(), s.data() + s.size(), value);
  if (s.empty() || code != std::errc() || end != s.data() + s.size() || !std::isfinite(value)) {
    return Error{text::quoted(s) + " is not a number"};
  }
  return value;
}

std::string show(Duration d) {
  double s = seconds(d);
  if (d == Duration::zero()) return "0s";
  if (s < 1e-3) return fmt::format("{:.0f}us", s * 1e6);
  if (s < 1) return fmt::format("{:.0f}ms", s * 1e3);
  if (s < 60) return fmt::format("{:.3g}s", s);
  auto whole = static_cast<long long>(std::llround(s));
  if (whole < 3600) {
    return whole % 60 == 0 ? fmt::format("{}m", whole / 60)
                           : fmt::format("{}m{}s", whole / 60, whole % 60);
  }
  long long minutes = whole / 60;
  return minutes % 60 == 0 ? fmt::format("{}h", minutes / 60)
                           : fmt::format("{}h{}m", minutes / 60, minutes % 60);
}

std::string show_bytes(double bytes) {
  constexpr std::string_view kNames[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t i = 0;
  while (bytes >= 1024 && i + 1 < std::size(kNames)) {
    bytes /= 1024;
    ++i;
  }
  return i == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.3g} {}", bytes, kNames[i]);
}

std::string show_ratio(double ratio) {
  return fmt::format("{:g}%", ratio * 100);
}

std::string show_percent(double ratio) {
  double percent = ratio * 100;
  if (percent == 0) return "0%";
  if (percent >= 10) return fmt::format("{:.1f}%", percent);
  if (percent >= 0.1) return fmt::format("{:.2f}%", percent);
  return fmt::format("{:.2g}%", percent);
}

std::string show_latency(double s) {
  if (s < 1e-3) return fmt::format("{:.0f} us", s * 1e6);
  if (s < 1) return fmt::format("{:.3g} ms", s * 1e3);
  return fmt::format("{:.3g} s", s);
}

std::string show_time(WallMillis ms) {
  std::time_t whole = static_cast<std::time_t>(ms / 1000);
  std::tm utc{};
  gmtime_r(&whole, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900,
                     utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, ms % 1000);
}

std::string show_measured(double value, std::string_view unit) {
  if (unit == "s") return show_latency(value);
  if (unit == "bytes") return show_bytes(value);
  if (unit == "ratio") return show_percent(value);
  std::string number = std::abs(value) >= 1000 ? text::grouped(value) : fmt::format("{:g}", value);
  return unit == "1" ? number : fmt::format("{} {}", number, unit);
}

Result<double> parse_measured(std::string_view s) {
  if (Result<double> plain = parse_number(s)) return plain;
  if (Result<Duration> duration = parse_duration(s)) return seconds(*duration);
  if (Result<double> ratio = parse_ratio(s)) return ratio;
  if (Result<double> bytes = parse_bytes(s)) return bytes;
  return Error{text::quoted(s) + " is not a level (try 500ms, 90%, 1GiB or a plain number)"};
}

}  // namespace davy::units
