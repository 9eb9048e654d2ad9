// Sequential tests: evidence that may be looked at after every block.
//
// Why: a canary is watched continuously, and a p-value that is looked at twice is wrong. Every test
// here is an e-process: if its null hypothesis is true, P(it ever reaches 1/level) <= level,
// whatever the load, the weights and the moment of looking (Ville 1939). Shapes: n = requests, k =
// events (errors, slow requests), p = rates 0..1; 1 = baseline V1, 2 = canary V2. Logs are natural.
// Evidence is kept as logarithms and never overflows. Threading: pure functions and plain values.
// Failure: none; REQUIRES 0 <= k <= n, all finite. Sources: Turner, Ly, Grunwald 2024 (arXiv
// 2106.02693) for the two-sample block e-variables; Turner, Grunwald 2022 (2203.09785) for linear
// null boundaries; Shin, Ramdas, Rinaldo 2022 (2203.03532) for sums of tests started at every time.
// The constants are measured: docs/judging.md.
#pragma once

#include <array>
#include <limits>

namespace davy::stats {

/// One closed block of both versions.
struct Sample {
  double n1 = 0, k1 = 0;
  double n2 = 0, k2 = 0;

  Sample& operator+=(const Sample& more) {
    n1 += more.n1;
    k1 += more.k1;
    n2 += more.n2;
    k2 += more.k2;
    return *this;
  }
};

/// What a test assumes until it is disproved. `Worse` tests assume "at most", `NotWorse` "at
/// least".
struct Null {
  enum class Kind {
    Linear,  // p2 = ratio * p1 + absolute; for rare events, where requests are nearly Poisson
    Equal,   // p2 = p1; keeps the information of frequent events
    Single,  // p2 = absolute; V1 plays no part
  };
  Kind kind = Kind::Linear;
  double ratio = 1;
  double absolute = 0;

  /// The rate of V2 at the edge of the null, given V1's.
  double boundary(double p1) const;
};

/// log of the block's e-variable: how much likelier the counts are if V2's rate is `p2` than under
/// any rates on the null. E[e] <= 1 for every pair of true rates inside the null.
double log_e(const Null& null, const Sample& s, double p1, double p2);

/// How a block's evidence is tempered before it counts (stats/robust.h): divided by `phi`, then
/// capped. Both keep the promise; {1, infinity} trusts every request to be independent.
struct Tempering {
  double phi = 1;
  double cap = std::numeric_limits<double>::infinity();
};

/// "V2 is worse than the null allows": mixes effect sizes from +3 % to x150 and starting times, so
/// that a regression that begins late meets evidence that has not been lost.
class WorseTest {
 public:
  explicit WorseTest(Null null) : null_(null) {
    log_r_.fill(-std::numeric_limits<double>::infinity());
  }

  /// A new stage of traffic: part of the reserve starts afresh, for faults that depend on load.
  void begin_stage();
  /// `p1` = V1's rate as known *before* this block; `dt` = the block's seconds; `widen` multiplies
  /// the null's ratio (how much V1's own instances differ).
  void see(const Sample& s, double p1, double dt, Tempering tempering = {}, double widen = 1);
  /// log of the e-process.
  double log_e() const;

  static constexpr std::array<double, 10> kOddsRatios{1.03, 1.1, 1.25, 1.6, 2.1, 3, 5, 10, 30, 150};

 private:
  void invest(double fraction);

  Null null_;
  std::array<double, 10> log_r_;  // wealth invested in each effect size
  double log_cash_ = 0;           // wealth not yet invested
  double seen_seconds_ = 0;
  bool started_ = false;
};

/// "V2 is not as bad as the null": restarts at every stage, since it speaks of all times at once.
class NotWorseTest {
 public:
  explicit NotWorseTest(Null null) : null_(null) { restart(); }

  void restart();
  /// `p2_if_equal` = the rate that a V2 identical to V1 would show (latency: V1's own share above
  /// V2's threshold).
  void see(const Sample& s, double p1, double p2_if_equal, Tempering tempering = {});
  double log_e() const;

  /// The alternative rates it bets on.
  std::array<double, 3> alternatives(double p1, double p2_if_equal) const;

 private:
  Null null_;
  std::array<double, 3> log_r_;
};

}  // namespace davy::stats
