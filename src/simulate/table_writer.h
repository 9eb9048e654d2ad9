// TableWriter: what every table needs: runs, seeds, progress, and lines of Markdown.
//
// Threading: not thread-safe; measure() runs trials as simulate() does. Failure: none.
#pragma once

#include <fmt/format.h>
#include <functional>
#include <string>
#include <utility>

#include "simulate/report.h"
#include "simulate/tables.h"

namespace davy::simulate {

enum class Mode { Robust, Iid };

/// A policy as it acts on `scenario`, and nothing between the evidence and the verdict.
config::Policy bare(Mode mode, const Scenario& scenario, const config::Policy& asked = {});

class TableWriter {
 public:
  TableWriter(const TableOptions& options, const std::function<void(const std::string&)>& progress)
      : options_(options), progress_(progress) {}

  template <typename... Values>
  void say(fmt::format_string<Values...> line, Values&&... values) {
    out_ += fmt::format(line, std::forward<Values>(values)...) + "\n";
  }
  void tell(const std::string& where) const { progress_(where); }
  const std::string& text() const { return out_; }

  /// How many runs a part of those asked for is; at least 1.
  int runs(double part) const;
  /// `cell` seeds: the same cell sees the same canaries under every policy.
  Report measure(const Scenario& scenario, const config::Policy& policy, Question question,
                 std::size_t cell, double part = 1) const;

 private:
  const TableOptions options_;
  const std::function<void(const std::string&)>& progress_;
  std::string out_;
};

// The tables, each in the file of its name.
void table_errors(TableWriter& out);     // 1: false verdicts; 2, 3: delays
void table_disturbed(TableWriter& out);  // 4
void table_noise(TableWriter& out);      // 5
void table_values(TableWriter& out);     // 6
void table_latency(TableWriter& out);    // 7
void table_share(TableWriter& out);      // 8
void table_objective(TableWriter& out);  // 9

}  // namespace davy::simulate
