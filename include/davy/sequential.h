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
#include <cstddef>
#include <limits>
#include <span>

namespace davy {
class Archive;
}

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

/// The rate whose odds are `theta` times those of `p`.
double times_odds(double theta, double p);

/// A bet on V2's rate: the log of the block's e-variable, which is linear in its counts.
///   log e = k1 event1 + (n1 - k1) good1 + k2 event2 + (n2 - k2) good2 + constant
struct Bet {
  double event1 = 0, good1 = 0;
  double event2 = 0, good2 = 0;
  double constant = 0;

  double log_e(const Sample& s) const;
};

/// The bet that V2's rate is `p2`: how much likelier the counts are then than under any rates on
/// the null. E[e] <= 1 for every pair of true rates inside the null.
Bet bet_on(const Null& null, double n1, double n2, double p1, double p2);

/// What a sequential test has won so far, spread over its bets and over starting times.
///
/// Why: a test that stakes everything at the start has lost it all by the time a late fault begins.
/// Here part of the reserve is staked afresh at every block, so that each new stake is a test that
/// starts now; as all stakes together are at most 1, the sum is an e-process.
///   stake: 0.6 of the reserve at the first block, then min(0.5, dt / (T + 600 s)), T = seconds
///   seen
/// Kept as wealth, not as its logarithm: what falls below 1e-308 is lost, and never mattered beside
/// the reserve, which falls no faster than 1/T. It stops growing at e^700.
class Wealth {
 public:
  static constexpr std::size_t kMostBets = 10;
  explicit Wealth(std::size_t bets) : bets_(bets) {}

  /// Before a block of `dt` seconds is looked at.
  void stake_for_block(double dt);
  /// A new stage: a quarter of the reserve starts afresh.
  void stake_for_stage();
  /// Bet `j` wins or loses.
  void multiply(std::size_t j, double log_e);
  std::size_t bets() const { return bets_; }
  bool is_enough() const;
  double log() const;

  void archive(Archive& a);

 private:
  void stake(double fraction);
  double total() const;

  std::size_t bets_;
  std::array<double, kMostBets> invested_{};
  double reserve_ = 1;
  double seconds_ = 0;
  bool started_ = false;
};

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
  /// Alternatives: V2's odds over those at the edge of the null.
  static constexpr std::array<double, 10> kOddsRatios{1.03, 1.1, 1.25, 1.6, 2.1, 3, 5, 10, 30, 150};
  using Bets = std::array<Bet, Wealth::kMostBets>;

  explicit WorseTest(Null null, std::span<const double> odds_ratios = kOddsRatios)
      : null_(null), odds_(odds_ratios), wealth_(odds_ratios.size()) {}

  /// A new stage of traffic: part of the reserve starts afresh, for faults that depend on load.
  void begin_stage() { wealth_.stake_for_stage(); }
  /// `p1` = V1's rate as known *before* this block; `dt` = the block's seconds; `widen` multiplies
  /// the null's ratio (how much V1's own instances differ).
  void see(const Sample& s, double p1, double dt, const Tempering& tempering = {},
           double widen = 1);
  /// The same in two steps: tests of the same null and p1 may share their bets.
  Bets bets(double n1, double n2, double p1, double widen = 1) const;
  void see(const Sample& s, const Bets& bets, double dt, const Tempering& tempering);
  /// log of the e-process.
  double log_e() const { return wealth_.log(); }

  void archive(Archive& a);

 private:
  Null null_;
  std::span<const double> odds_;
  Wealth wealth_;
};

/// "V2 is not as bad as the null": restarts at every stage, since it speaks of all times at once.
class NotWorseTest {
 public:
  explicit NotWorseTest(Null null) : null_(null) { restart(); }

  void restart();
  /// `p2_if_equal` = the rate that a V2 identical to V1 would show (latency: V1's own share above
  /// V2's threshold).
  void see(const Sample& s, double p1, double p2_if_equal, const Tempering& tempering = {});
  double log_e() const;
  void archive(Archive& a);

  /// The alternative rates it bets on.
  std::array<double, 3> alternatives(double p1, double p2_if_equal) const;
  /// What its best bet wins on the counts that are expected, nats; at least 0.
  double growth(const Sample& expected, double p1, double p2_if_equal) const;

 private:
  Null null_;
  std::array<double, 3> log_r_;
};

}  // namespace davy::stats
