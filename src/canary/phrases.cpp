#include "canary/phrases.h"

#include <fmt/format.h>
#include <cmath>
#include <vector>

#include "base/text.h"
#include "base/units.h"

namespace davy::canary {

using text::grouped;
using units::show_percent;

std::string say_margin(const config::Margin& m) {
  std::vector<std::string> parts;
  if (m.ratio != 1 || m.absolute == 0) parts.push_back(fmt::format("{:.3g}x V1's", m.ratio));
  if (m.ratio == 1 && m.absolute != 0) parts.emplace_back("V1's");
  if (m.absolute != 0) parts.push_back(fmt::format("{:.3g} pp", m.absolute * 100));
  return text::join(parts, " + ");
}

std::string say_times(double x) {
  if (std::isinf(x)) return "any";
  return x < 10 ? fmt::format("{:.2g}", x) : fmt::format("{:.0f}", x);
}

std::string say_interval(const RatioInterval& r) {
  if (r.low <= 0 && std::isinf(r.high)) return "open";
  if (std::isinf(r.high)) return fmt::format("at least {}x", say_times(r.low));
  if (r.low <= 0) return fmt::format("at most {}x", say_times(r.high));
  return fmt::format("{}-{}x", say_times(r.low), say_times(r.high));
}

std::string say_rates(const MetricVerdict& m, const std::string& does, const std::string& of) {
  std::string said = fmt::format("V2 {} {} of {} ({} of {}), V1 {} ({} of {}); ", does,
                                 show_percent(m.canary_rate), of, grouped(m.canary_events),
                                 grouped(m.canary_requests), show_percent(m.baseline_rate),
                                 grouped(m.baseline_events), grouped(m.baseline_requests));
  std::string interval = say_interval(m.ratio);
  if (m.baseline_rate <= 0 || m.canary_rate <= 0)
    return said + fmt::format("95% interval {}, valid at any look", interval);
  double ratio = m.canary_rate / m.baseline_rate;
  // The interval speaks of a steady ratio, and counts bursts for less.
  bool is_steady = ratio >= m.ratio.low && ratio <= m.ratio.high;
  return said + (is_steady ? fmt::format("{}x; 95% interval {}, valid at any look",
                                         say_times(ratio), interval)
                           : fmt::format("{}x in all, not steadily: 95% interval of a steady ratio "
                                         "{}, valid at any look",
                                         say_times(ratio), interval));
}

std::string say_odds(double log_e) {
  if (log_e > std::log(1e6)) return "more than a million";
  return grouped(std::exp(log_e));
}

}  // namespace davy::canary
