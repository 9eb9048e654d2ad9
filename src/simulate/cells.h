// Cells: the grids that tables go over, and how numbers over many cells are told.
//
// Shapes: shares 0..1, seconds; infinity = never. Threading: pure. Failure: none.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "simulate/report.h"

namespace davy::simulate {

/// One point of a grid, and its place for people: "100 / 5% / 0.1%".
struct Cell {
  double requests_per_second = 100;
  double share = 0.05;
  double base = 0.001;

  Scenario scenario() const;
  std::string name() const;
};
/// Requests per second 1, 10, 100, 1000 x share 1, 5, 25, 50 % x V1's error rate 0.01, 0.1, 1 %.
std::vector<Cell> grid();

/// Twelve cells with 20 instances: 1, 5 or 10 of them the canary's; 100 and 1000 requests per
/// second; V1's error rate 0.1 and 1 %. Ten minutes of V1 alone come before.
std::vector<Scenario> pod_cells(Disturbance disturbance);

/// Mean and worst of what a rate came to over cells.
struct OverCells {
  double mean = 0;
  double worst = 0;
  std::size_t worst_at = 0;
  int above = 0;  // cells beyond what was promised
};
OverCells over_cells(const std::vector<double>& rates, double promised);

/// The value that the share `q` of the cells does not exceed; infinity counts.
double cell_quantile(std::vector<double> values, double q);

/// Delays over cells: the median of the medians, and the mean share that was never found.
class CellDelays {
 public:
  void add(const Delays& delays);
  double median() const { return cell_quantile(medians_, 0.5); }
  double missed() const;
  /// "120 (2.10%)", "- (63%)"
  std::string show() const;

 private:
  std::vector<double> medians_;
  double missed_ = 0;
};

/// Seconds "85 / 170" (median / p90), with the share that was never found: "2370 / - (24%)".
std::string show_delays(const Delays& delays);

/// Percent with two digits: "0.35%", "12%".
std::string table_percent(double share);

/// "1.06% / 3.00%": mean and worst.
std::string show_over_cells(const std::vector<double>& rates);

}  // namespace davy::simulate
