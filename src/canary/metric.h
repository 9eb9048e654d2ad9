// Metric: one thing that is judged about a canary.
//
// Why: errors, latencies, objectives, restarts and the deployment's own metrics answer the same
// three questions (worse than tolerated? worse at all? proven good?), so the judge knows only this.
// Evidence is numbers, made at every block; words are made when somebody reads (report).
// Threading: not thread-safe; owned by its Judge. No clock, no I/O.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/archive.h"
#include "config/policy.h"
#include "davy/block.h"
#include "davy/verdict.h"

namespace davy::canary {

/// What one metric's tests say now. Logs of e-processes, nats.
struct MetricEvidence {
  double weight = 0;  // against the other metrics of the same effect; not normalised
  config::Effect effect = config::Effect::Rollback;
  bool gates = true;           // holds up a pass until it is proven
  double fail = 0;             // "worse than tolerated"
  std::optional<double> hold;  // "worse than what holds the promotion"
  double warn = 0;             // "worse at all"
  double pass = 0;             // "not intolerably worse"
  bool excused = false;        // V1 is no better: its evidence is not held against V2
};

/// How fast evidence would grow if rates stayed as they are, nats per second; the basis of "about 6
/// more minutes".
struct Growth {
  double pass = 0;
  double fail = 0;
};

/// A metric's part in the verdict, and the words that sentences are made of.
struct MetricReport {
  MetricVerdict verdict;   // without weight, kind, score and sentence, which are the judge's
  std::string facts;       // "V2 fails 0.52% of requests (12 of 2,300), V1 0.1% (...)"; "" = unseen
  std::string fail_claim;  // "Tolerated was 1.2x V1's + 0.01 pp"
  std::string hold_claim;  // "V2's p99 is more than 20% slower"
  std::string pass_claim;  // what a pass rules out: "an error rate above 1.5x V1's + 0.05 pp"
  std::string note;        // why it cannot tell, or cannot tell all: "buckets too coarse: ..."
};

/// Where in its stage a block lies.
struct StageTime {
  double age = 0;      // seconds since the stage's first canary request, at the block's start
  bool alone = false;  // V2 has all the traffic; V1 is a memory
};

class Metric {
 public:
  virtual ~Metric() = default;

  virtual void begin_stage() = 0;
  /// V1's traffic before the canary: sharpens the tests, proves nothing.
  virtual void learn(const Block&) {}
  /// A block of two equal versions (A/A period).
  virtual void learn_noise(const Block&) {}
  /// REQUIRES: a closed block.
  virtual void see(const Block& block, const StageTime& stage) = 0;

  // One entry per test family, always the same ones in the same order.
  virtual void weigh(std::vector<MetricEvidence>& out) const = 0;
  virtual void report(std::vector<MetricReport>& out) const = 0;
  /// With `n1`, `n2` requests per second.
  virtual void grow(double n1, double n2, std::vector<Growth>& out) const = 0;

  virtual void archive(Archive& a) = 0;
};

}  // namespace davy::canary
