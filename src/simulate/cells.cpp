#include "simulate/cells.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <limits>

namespace davy::simulate {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr double kPodHistory = 600;

std::string show_seconds(std::optional<double> seconds) {
  return seconds ? fmt::format("{:.0f}", *seconds) : "-";
}

}  // namespace

Scenario Cell::scenario() const {
  return {
      .requests_per_second = requests_per_second, .canary_share = share, .base_error_rate = base};
}

std::string Cell::name() const {
  return fmt::format("{:g} / {:g}% / {:g}%", requests_per_second, share * 100, base * 100);
}

std::vector<Cell> grid() {
  std::vector<Cell> cells;
  for (double rps : {1.0, 10.0, 100.0, 1000.0})
    for (double share : {0.01, 0.05, 0.25, 0.5})
      for (double base : {1e-4, 1e-3, 1e-2}) cells.push_back({rps, share, base});
  return cells;
}

OverCells over_cells(const std::vector<double>& rates, double promised) {
  OverCells over;
  for (std::size_t i = 0; i < rates.size(); ++i) {
    over.mean += rates[i] / static_cast<double>(rates.size());
    if (rates[i] > over.worst) {
      over.worst = rates[i];
      over.worst_at = i;
    }
    if (rates[i] > promised * (1 + 1e-9)) ++over.above;
  }
  return over;
}

double cell_quantile(std::vector<double> values, double q) {
  if (values.empty()) return kNever;
  std::sort(values.begin(), values.end());
  double place = std::ceil(q * static_cast<double>(values.size())) - 1;
  return values[static_cast<std::size_t>(std::max(0.0, place))];
}

std::vector<Scenario> pod_cells(Disturbance disturbance) {
  std::vector<Scenario> cells;
  for (double rps : {100.0, 1000.0}) {
    for (std::size_t canary : {1U, 5U, 10U}) {
      for (double base : {0.001, 0.01}) {
        cells.push_back({.requests_per_second = rps,
                         .canary_share = static_cast<double>(canary) / 20,
                         .base_error_rate = base,
                         .history = kPodHistory,
                         .baseline_pods = 20 - canary,
                         .canary_pods = canary,
                         .disturbance = disturbance});
      }
    }
  }
  return cells;
}

void CellDelays::add(const Delays& delays) {
  medians_.push_back(delays.quantile(0.5).value_or(kNever));
  missed_ += delays.missed();
}

double CellDelays::missed() const {
  return medians_.empty() ? 0 : missed_ / static_cast<double>(medians_.size());
}

std::string CellDelays::show() const {
  double middle = median();
  return fmt::format("{} ({})", std::isfinite(middle) ? fmt::format("{:.0f}", middle) : "-",
                     table_percent(missed()));
}

std::string show_delays(const Delays& delays) {
  std::string text =
      show_seconds(delays.quantile(0.5)) + " / " + show_seconds(delays.quantile(0.9));
  return delays.missed() > 0 ? text + " (" + table_percent(delays.missed()) + ")" : text;
}

std::string table_percent(double share) {
  double percent = share * 100;
  if (percent == 0) return "0%";
  return percent < 10 ? fmt::format("{:.2f}%", percent) : fmt::format("{:.0f}%", percent);
}

std::string show_over_cells(const std::vector<double>& rates) {
  OverCells over = over_cells(rates, 1);
  return table_percent(over.mean) + " / " + table_percent(over.worst);
}

}  // namespace davy::simulate
