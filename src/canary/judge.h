// Judge: blocks in, verdict out.
//
// Why: the one place where evidence becomes a decision. Deterministic: the same blocks under the
// same policy give the same verdicts bit for bit; no clock, no randomness, no I/O. So a recorded
// run can be judged again, and a policy can be tried on yesterday's deploys. Threading: not
// thread-safe; owned by its deployment's thread (or by `davy replay`). Failure: trouble of the
// telemetry becomes VerdictKind::Error, never a fail or a pass.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "canary/error_rate.h"
#include "canary/gate.h"
#include "canary/latency.h"
#include "canary/open_block.h"
#include "config/policy.h"
#include "davy/block.h"
#include "davy/verdict.h"

namespace davy::canary {

class Judge {
 public:
  /// `stages` = the canary's shares of traffic, ascending, 0..1; may be empty.
  Judge(const config::Policy& policy, std::vector<double> stages);

  /// What a source delivered, in the order of time. Small blocks are gathered first.
  void see(const Block& block);
  /// The source cannot see at all at the moment; `t` in seconds of the run.
  void see_trouble(double t, const std::string& what);

  const Verdict& verdict() const { return verdict_; }

 private:
  struct Stage {
    std::optional<double> weight;
    double began = 0;  // at the first canary request of the stage
  };

  /// What the evidence amounts to, before time and absence are looked at.
  struct Weighed {
    GateResult gate;
    bool holds = false;
    bool worse = false;
    bool passes = false;
  };

  void enter_stage(const Block& first);
  void judge(const Block& block);

  void decide(double t);
  Weighed weigh();
  void tell_notices(const Weighed& w);
  // The outcomes of decide(), one each.
  void fail(double t);
  void cannot_judge(double t);
  void hold(double t);
  void wait_for_traffic(double t, std::string missing);
  void pass(double t);
  void give_up(double t);
  void wait(double t, bool time_is_over);
  void become(VerdictKind kind, double t, std::string reason, std::string next);

  std::string stage_name() const;
  std::string next_stage() const;
  Needs needs(const std::vector<MetricVerdict>& metrics, double t) const;
  std::string absence(double t) const;

  const config::Policy policy_;
  const std::vector<double> stages_;
  ErrorRate error_rate_;
  std::optional<Latency> latency_;
  OpenBlock open_;
  std::optional<Stage> stage_;                  // none before the first canary request
  double baseline_seen_ = 0, canary_seen_ = 0;  // requests in all
  double last_baseline_ = 0, last_canary_ = 0;  // when each last had requests
  std::optional<double> baseline_per_second_, canary_per_second_;  // averages over the last minute
  bool any_ = false;
  std::string trouble_;
  Verdict verdict_;
};

}  // namespace davy::canary
