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

/// Of the probe's own level, from which the value is `clear`, and the check's two.
Nearest nearest_of(const Outcome& seen, double clear, const std::optional<double>& above,
                   const std::optional<double>& below) {
  Nearest nearest{clear, ""};
  if (seen.unit.empty() || !std::isfinite(seen.value)) return nearest;
  auto look = [&](double its_clear, const char* side, double level) {
    if (its_clear >= nearest.clear) return;
    nearest = {its_clear, fmt::format("{} {}", side, units::show_measured(level, seen.unit))};
  };
  if (above) look(clearance_above(seen.value, *above), "above", *above);
  if (below) look(clearance_below(seen.value, *below), "below", *below);
  return nearest;
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
  Nearest fail = nearest_of(seen, seen.clear_of_fail, levels_.fail_above, levels_.fail_below);
  Nearest warn = nearest_of(seen, seen.clear_of_warn, levels_.warn_above, levels_.warn_below);
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
