#include "app/cli/nagios.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace davy::app {
namespace {

constexpr std::size_t kLongest = 4096;

/// A unit that the guidelines know, and the factor to it.
struct NagiosUnit {
  std::string_view word;
  double factor;
};

NagiosUnit unit_of(std::string_view unit) {
  if (unit == "s") return {"s", 1};
  if (unit == "bytes") return {"B", 1};
  if (unit == "ratio") return {"%", 100};
  return {"", 1};
}

/// "10", "10:", "5:10": the range of good values (what lies outside alerts); "" = no level.
std::string range(const std::optional<double>& below, const std::optional<double>& above,
                  double factor) {
  if (!below && !above) return "";
  if (!below) return fmt::format("~:{:.9g}", *above * factor);
  if (!above) return fmt::format("{:.9g}:", *below * factor);
  return fmt::format("{:.9g}:{:.9g}", *below * factor, *above * factor);
}

/// In quotes, with its own quotes doubled; the equals sign would end it.
std::string label(std::string name) {
  std::replace(name.begin(), name.end(), '=', '_');
  std::string out = "'";
  for (char c : name) out += c == '\'' ? std::string("''") : std::string(1, c);
  return out + "'";
}

std::string performance(const std::string& name, double value, std::string_view unit,
                        const config::Levels& levels) {
  if (!std::isfinite(value)) return fmt::format("{}=U", label(name));
  NagiosUnit known = unit_of(unit);
  std::string warn = range(levels.warn_below, levels.warn_above, known.factor);
  std::string fail = range(levels.fail_below, levels.fail_above, known.factor);
  std::string out = fmt::format("{}={:.9g}{}", label(name), value * known.factor, known.word);
  if (!warn.empty() || !fail.empty()) out += fmt::format(";{};{}", warn, fail);
  return out;
}

}  // namespace

std::string nagios_line(const config::Check& check, const Outcome& seen) {
  constexpr std::string_view kWords[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};
  std::string name = check.name;
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  std::string said = seen.message.empty() ? seen.reason : seen.message;
  std::replace_if(
      said.begin(), said.end(), [](char c) { return c == '|' || c == '\n' || c == '\r'; }, ' ');
  std::string line = fmt::format("{} {}{}{}", name, kWords[static_cast<int>(seen.kind)],
                                 said.empty() ? "" : " - ", said);
  std::string data;
  if (!seen.unit.empty())
    data += performance(seen.unit == "s" ? "time" : "value", seen.value, seen.unit,
                        check.schedule.levels);
  for (const Measurement& m : seen.also)
    data += (data.empty() ? "" : " ") + performance(m.name, m.value, m.unit, {});
  if (line.size() + data.size() + 3 > kLongest) data.clear();
  if (line.size() > kLongest) line.resize(kLongest);
  return data.empty() ? text::valid_utf8(line) : text::valid_utf8(line) + " | " + data;
}

int nagios_code(Outcome::Kind kind) {
  return static_cast<int>(kind);  // pass, warn, fail, error: 0, 1, 2, 3
}

}  // namespace davy::app
