#include "health/levels.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>

#include "base/units.h"

namespace davy::health {
namespace {

/// "above 0.5 s": the level that the value is nearest to, or furthest beyond.
struct Nearest {
  double clear;
  std::string name;
};

void look(Nearest& nearest, double clear, const char* side, double level, const std::string& unit) {
  if (clear >= nearest.clear) return;
  nearest = {clear, fmt::format("{} {}", side, units::show_measured(level, unit))};
}

std::string at_level(const Outcome& seen, const Nearest& level) {
  std::string value = units::show_measured(seen.value, seen.unit);
  return fmt::format("{} is {}{}{}", value, level.name, seen.message.empty() ? "" : ": ",
                     seen.message);
}

}  // namespace

double clearance_above(double value, double level) {
  return level == 0 ? -value : (level - value) / std::abs(level);
}

double clearance_below(double value, double level) {
  return level == 0 ? value : (value - level) / std::abs(level);
}

Outcome LevelJudge::judge(Outcome seen, CheckStatus now) {
  if (seen.kind == Outcome::Kind::Error) return seen;
  Nearest fail{seen.clear_of_fail, ""};
  Nearest warn{seen.clear_of_warn, ""};
  if (!seen.unit.empty() && std::isfinite(seen.value)) {
    if (levels_.fail_above)
      look(fail, clearance_above(seen.value, *levels_.fail_above), "above", *levels_.fail_above,
           seen.unit);
    if (levels_.fail_below)
      look(fail, clearance_below(seen.value, *levels_.fail_below), "below", *levels_.fail_below,
           seen.unit);
    if (levels_.warn_above)
      look(warn, clearance_above(seen.value, *levels_.warn_above), "above", *levels_.warn_above,
           seen.unit);
    if (levels_.warn_below)
      look(warn, clearance_below(seen.value, *levels_.warn_below), "below", *levels_.warn_below,
           seen.unit);
  }
  bool is_good = seen.kind == Outcome::Kind::Pass || seen.kind == Outcome::Kind::Warn;
  bool lingers_failed = now == CheckStatus::Fail && failed_by_level_ && fail.clear < margin_;
  bool lingers_warned = now != CheckStatus::Pass && warned_by_level_ && warn.clear < margin_;
  failed_by_level_ = fail.clear < 0 || (is_good && lingers_failed);
  warned_by_level_ = warn.clear < 0 || (is_good && lingers_warned);

  if (is_good && failed_by_level_) {
    seen.kind = Outcome::Kind::Fail;
    if (fail.clear < 0) {
      seen.reason = "level";
      seen.message = at_level(seen, fail);
    } else {
      seen.reason = "not_clear";
      seen.message += fmt::format("{}back on the good side of the level by {}, {} is needed",
                                  seen.message.empty() ? "" : ": ", units::show_percent(fail.clear),
                                  units::show_percent(margin_));
    }
  } else if (seen.kind == Outcome::Kind::Pass && warned_by_level_) {
    seen.kind = Outcome::Kind::Warn;
    seen.reason = warn.clear < 0 ? "level" : "not_clear";
    if (warn.clear < 0) seen.message = at_level(seen, warn);
  }
  return seen;
}

}  // namespace davy::health
