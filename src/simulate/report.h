// Report: what many trials come to.
//
// Shapes: shares 0..1, seconds. A run that never finds what there is to find counts as an infinite
// delay, so a quantile may be "never". Threading: plain values. Failure: none.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "simulate/trial.h"

namespace davy::simulate {

/// Delays from the onset, ascending, and how many runs found nothing.
class Delays {
 public:
  void add(std::optional<double> delay);
  void finish();

  /// None = more than 1 - q of the runs never found it.
  std::optional<double> quantile(double q) const;
  double missed() const;  // share
  std::span<const double> found() const { return found_; }

 private:
  std::vector<double> found_;
  int missed_ = 0;
};

struct Report {
  int runs = 0;
  // The truth.
  bool tolerable = true;     // V2 must not be rolled back
  bool intolerable = false;  // V2 must not pass
  // What was decided, as shares of all runs.
  double failed = 0;
  double false_rollbacks = 0;  // failed though tolerable, or before the onset
  double warned = 0;
  double false_warnings = 0;  // found worse though equal, or before the onset
  double passed = 0;
  double passed_before = 0;  // the onset: rightly, whatever came then
  double false_passes = 0;   // passed though intolerable, after the onset
  double marginal = 0;
  double wrong_share = 0;
  double coarse = 0;  // mean share of quantiles whose bounds are too coarse, if asked for
  double noise = 0;   // median of what was learned of the error rate, if asked for
  // When. Runs that were over before the onset are left out of the first two.
  Delays fail, warn, hold, share;  // share: that V2 gets a wrong share of the requests
  Delays pass;                     // from the canary's start
  // Mean delay that no test of this level can beat; none where none is known or nothing is to be
  // found.
  std::optional<double> fail_limit, warn_limit;
};

Report report(const Experiment& experiment, std::span<const Trial> trials);

}  // namespace davy::simulate
