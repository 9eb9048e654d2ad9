// Tables: the project's statistical claims, measured, as Markdown.
//
// Why: docs/measured.md must be something that anyone can print again with one command, not
// something that somebody once typed.
// How: fixed grids of scenarios under the default policy (errors only, no minimum stage time), each
// run as in trial.h. Medians need fewer runs than rare events, and instances cost ten times as
// much as versions, so some parts get fewer runs than asked for; every table says how many.
// Threading: as simulate(). Failure: none.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "simulate/report.h"

namespace davy::simulate {

struct TableOptions {
  int runs = 1000;  // per cell
  std::uint64_t seed = 1;
};

/// `progress` gets a few words now and then.
std::string tables(const TableOptions& options,
                   const std::function<void(const std::string&)>& progress);

/// One point of the grid that tables go over, and its place for people: "100 / 5% / 0.1%".
struct Cell {
  double requests_per_second = 100;
  double share = 0.05;
  double base = 0.001;

  Scenario scenario() const;
  std::string name() const;
};
/// Requests per second 1, 10, 100, 1000 x share 1, 5, 25, 50 % x V1's error rate 0.01, 0.1, 1 %.
std::vector<Cell> grid();

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

/// Seconds "85 / 170" (median / p90), with the share that was never found: "2370 / - (24%)".
std::string show_delays(const Delays& delays);

/// Percent with two digits: "0.35%", "12%".
std::string table_percent(double share);

}  // namespace davy::simulate
