// Judge: blocks in, verdict out.
//
// Why: the one place where evidence becomes a decision. Deterministic: the same blocks under the
// same policy give the same verdicts bit for bit; no clock, no randomness, no I/O. So a recorded
// run can be judged again, and a policy can be tried on yesterday's deploys. Deciding costs numbers
// only; words are made when verdict() is called.
// Threading: not thread-safe; owned by its deployment's thread (or by `davy replay`).
// Failure: trouble of the telemetry, and blocks that cannot be true, become VerdictKind::Error,
// never a fail or a pass.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/archive.h"
#include "canary/gate.h"
#include "canary/metric.h"
#include "canary/open_block.h"
#include "canary/traffic_share.h"
#include "config/policy.h"
#include "davy/block.h"
#include "davy/verdict.h"

namespace davy::canary {

class Latency;

class Judge {
 public:
  /// `stages` = the canary's shares of traffic, ascending, 0..1; may be empty.
  Judge(const config::Policy& policy, std::vector<double> stages);
  ~Judge();

  /// What a source delivered, in the order of time. Small blocks are gathered first.
  void see(const Block& block);
  /// The source cannot see at all at the moment; `t` in seconds of the run.
  void see_trouble(double t, const std::string& what);

  VerdictKind kind() const { return decision_.kind; }
  /// When it was decided, in seconds of the run.
  double decided_at() const { return decision_.t; }
  /// V2 gets another share of the requests than it should, whatever else there is to say.
  bool is_share_wrong() const { return share_ && share_->is_wrong(); }
  /// All of it, in words. Good until the judge sees more.
  const Verdict& verdict() const;

  /// Everything that later verdicts depend on, written or read. After a reading that failed the
  /// judge is to be thrown away. REQUIRES: made with the same policy and stages.
  void archive(Archive& a);

 private:
  struct Stage {
    std::optional<double> weight;
    double began = 0;  // at the first canary request of the stage
    void archive(Archive& a) { a(weight, began); }
  };

  /// Why it is what it is; each has its sentence.
  enum class Why {
    Waiting,
    TimeIsOver,  // undecided, and the policy holds
    NoTraffic,
    LearningNoise,
    WrongShare,
    BothMiss,  // V1 misses the objective, too
    ProvenWorse,
    GaveUp,  // undecided, and the policy decides
    HoldProven,
    ProvenGood,
    CannotJudge,
  };
  struct Decision {
    VerdictKind kind = VerdictKind::Inconclusive;
    Why why = Why::NoTraffic;
    double t = 0;
    double now = 0;      // of the last look
    std::string detail;  // NoTraffic, CannotJudge: what exactly

    void archive(Archive& a) { a(kind, why, t, now, detail); }
  };

  /// What the evidence amounts to, before time and absence are looked at.
  struct Weighed {
    GateResult gate;
    double hold = 0;  // log of the averaged e-process
    double worse = 0;
    bool holds = false;
    bool passes = false;
    bool excused = false;  // an objective is missed by both
  };

  bool accept(const Block& block);
  void enter_stage(const Block& first);
  bool is_learning_noise(const Block& block);
  void judge(const Block& block);
  Weighed weigh() const;
  void decide(double t);
  void become(VerdictKind kind, Why why, double t, std::string detail = {});

  bool is_alone() const { return stage_ && stage_->weight && *stage_->weight >= 1; }
  std::string absence(double t) const;

  // Words.
  void write(Verdict& v) const;
  void write_reason(Verdict& v, const std::vector<MetricReport>& reports) const;
  void write_notices(Verdict& v, const Weighed& w, const std::vector<MetricReport>& reports) const;
  Needs needs() const;
  std::string stage_name() const;
  std::string next_stage() const;

  const config::Policy policy_;
  const std::vector<double> stages_;
  std::vector<std::unique_ptr<Metric>> metrics_;
  const Latency* latency_ = nullptr;  // one of metrics_
  std::optional<TrafficShare> share_;
  OpenBlock open_;
  std::optional<Stage> stage_;                  // none before the first canary request
  std::optional<double> aa_began_;              // at the first canary request
  double baseline_seen_ = 0, canary_seen_ = 0;  // requests in all
  double last_baseline_ = 0, last_canary_ = 0;  // when each last had requests
  std::optional<double> baseline_per_second_, canary_per_second_;  // averages over the last minute
  std::optional<double> last_t_;                                   // of the last good block
  std::string trouble_;
  Decision decision_;
  mutable std::optional<Verdict> verdict_;  // of decision_, once somebody asked
  mutable std::vector<MetricEvidence> evidence_;
};

}  // namespace davy::canary
