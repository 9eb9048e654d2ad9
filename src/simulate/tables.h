// Tables: the project's statistical claims, measured, as Markdown.
//
// Why: docs/measured.md must be something that anyone can print again with one command, not
// something that somebody once typed.
// How: fixed grids of scenarios under the default policy (no minimum stage time), each run as in
// trial.h. Medians need fewer runs than rare events, and instances and latencies cost ten times as
// much as errors, so some parts get fewer runs than asked for; every table says how many. Each
// table is a file (table_*.cpp) that writes with table_writer.h.
// Threading: as simulate(). Failure: none.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace davy::simulate {

struct TableOptions {
  int runs = 1000;  // per cell
  std::uint64_t seed = 1;
};

/// `progress` gets a few words now and then.
std::string tables(const TableOptions& options,
                   const std::function<void(const std::string&)>& progress);

}  // namespace davy::simulate
