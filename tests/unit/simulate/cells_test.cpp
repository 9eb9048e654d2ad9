#include "simulate/cells.h"

#include <doctest/doctest.h>
#include <limits>

using namespace davy::simulate;

TEST_CASE("the grid has the 48 cells of the published tables") {
  CHECK(grid().size() == 48);
  CHECK(grid().front().name() == "1 / 1% / 0.01%");
  CHECK(grid().back().name() == "1000 / 50% / 1%");
  CHECK(grid().back().scenario().canary_share == 0.5);
}

TEST_CASE("rates over cells: mean, worst and how many break the promise") {
  OverCells over = over_cells({0, 0.01, 0.05, 0.02}, 0.01);
  CHECK(over.mean == doctest::Approx(0.02));
  CHECK(over.worst == 0.05);
  CHECK(over.worst_at == 2);
  CHECK(over.above == 2);  // a cell exactly at its promise keeps it
}

TEST_CASE("quantiles over cells count what is never found as infinite") {
  double never = std::numeric_limits<double>::infinity();
  CHECK(cell_quantile({never, 3, 1, 2}, 0.5) == 2);
  CHECK(cell_quantile({never, 3, 1, 2}, 0.75) == 3);
  CHECK(cell_quantile({never, 3, 1, 2}, 0.9) == never);
}

TEST_CASE("cells are written with two digits or none") {
  CHECK(table_percent(0) == "0%");
  CHECK(table_percent(0.0035) == "0.35%");
  CHECK(table_percent(0.43) == "43%");
  Delays delays;
  for (std::optional<double> d : {std::optional<double>(85.0), {10.0}, {170.0}, {}}) delays.add(d);
  delays.finish();
  CHECK(show_delays(delays) == "85 / - (25%)");
}
