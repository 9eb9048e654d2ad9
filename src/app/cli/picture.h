// Picture: a run's evidence over time, as an SVG.
//
// Why: "when did it know?" is a question for the eyes. One panel per metric that says something:
// each test's log odds as a share of its limit, and below it both versions' rates. The file stands
// alone (no fonts, scripts or links), is readable on light and dark pages, and its text is text.
// Threading: not thread-safe. Failure: none.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "davy/block.h"
#include "davy/verdict.h"

namespace davy::app {

class Picture {
 public:
  explicit Picture(std::string name) : name_(std::move(name)) {}

  /// A block, and the verdict after it. In the order of time.
  void add(const Block& block, const Verdict& verdict);
  std::string svg() const;

  /// One test's way: log odds over their limit, so that 1 is proven.
  using Line = std::vector<std::pair<double, double>>;  // (seconds, share)
  struct Panel {
    std::string name, title;
    Line fail, hold, warn, pass;
    // Requests and events so far, or the values of a metric of the deployment's own.
    struct Counts {
      double t, n1, k1, n2, k2;
    };
    std::vector<Counts> counts;
    std::vector<Counts> values;  // n1, n2 = 1
    bool gates = false, matters = false;
  };
  struct Mark {
    double t;
    std::string text;
    VerdictKind kind = VerdictKind::Inconclusive;
  };

 private:
  std::string name_;
  std::optional<double> first_;  // seconds
  double last_ = 0;              // block that was judged
  double recorded_ = 0;          // block
  std::vector<Panel> panels_;
  std::vector<Mark> stages_, verdicts_;
  Verdict final_;
};

}  // namespace davy::app
