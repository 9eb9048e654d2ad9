// Robustness: what keeps the promise when requests are not independent, as in production.
//
// Why: errors come in clumps, instances differ, minutes differ. Each piece below looks at past
// blocks (and at V1's own instances) and says by how much evidence has to be discounted. Sources:
// winsorised bursts and the dyadic Haar estimate of overdispersion as specified and measured in
// docs/judging.md, section "Robust mode"; Mantel-Haenszel pooled ratios inside it. Threading: plain
// values. Failure: none.
#pragma once

#include <array>
#include <optional>
#include <span>

#include "davy/sequential.h"

namespace davy::stats {

/// Bursts: a block counts at most h + 2 sqrt(h) + 1 events, h = what is usual in its time.
class BurstLimit {
 public:
  /// Starts from a usual rate in events per second; without one the first block sets it.
  explicit BurstLimit(std::optional<double> usual = std::nullopt) : usual_(usual) {}

  bool started() const { return usual_.has_value(); }
  void start(double usual) { usual_ = usual; }
  /// The share of `events` in `dt` seconds that counts, 0..1.
  double share(double events, double dt) const;
  void see(double events, double dt);
  double usual() const { return usual_.value_or(0); }

 private:
  std::optional<double> usual_;
};

/// Information about the ratio that a minute brings; at very high traffic it must not count in
/// full, because no minute tells the ratio better than the minutes differ (the noise floor).
class InformationRate {
 public:
  void see(const Sample& s, double share, double dt);
  /// Per minute, as an average over the last one; 0 before the first block.
  double per_minute() const { return per_minute_.value_or(0); }

 private:
  std::optional<double> per_minute_;
};

/// How many times more the split of events between two sides varies than chance would have it.
/// Dyadic Haar coefficients of the log rate ratio: neighbouring cells are compared, then merged, at
/// ten scales; a real step change spoils one coefficient only.
class Overdispersion {
 public:
  /// nA, kA, nB, kB in `s`; `share` from BurstLimit.
  void see(const Sample& s, double share = 1);
  /// At least 1.
  double factor() const;

 private:
  static constexpr std::size_t kScales = 10;
  struct Cell {
    double k_a = 0, k_b = 0;
    double expected_b = 0;  // sum of K nB/N
    double n = 0;

    friend Cell operator+(const Cell& x, const Cell& y) {
      return {x.k_a + y.k_a, x.k_b + y.k_b, x.expected_b + y.expected_b, x.n + y.n};
    }
  };
  struct Deviation {
    double variance;
    double excess;  // of side B's events over their expectation
  };

  static Deviation deviation(const Cell& cell, double ratio);
  void push(std::size_t scale, const Cell& cell);

  std::array<std::optional<Cell>, kScales> waiting_;
  std::array<double, kScales> sum_{};
  std::array<int, kScales> count_{};
  Cell open_;
};

/// One instance's totals.
struct Pod {
  double n = 0;
  double k = 0;
};

/// By how much V1's own instances differ, as a factor on the tolerated ratio (a slow node is not a
/// bad version). 1 with fewer than two instances. `phi` = overdispersion already accounted for.
double pod_margin(std::span<const Pod> baseline, std::size_t canary_pods, double phi);

/// How much of all this is in force.
struct Robustness {
  bool on = true;
  double sigma = 0.15;           // one minute never tells the ratio better than this
  double cap_per_second = 0.25;  // nats: no single block decides, however bad
  double cap = 3;

  friend bool operator==(const Robustness&, const Robustness&) = default;
};

/// Everything above together, for one metric: how a block's evidence is tempered.
class Discount {
 public:
  explicit Discount(Robustness robustness) : robustness_(robustness) {}

  /// For the block about to be judged; `p1` as known before it, `phi_split` = V1's own
  /// overdispersion.
  Tempering of(const Sample& s, double p1, double dt, double phi_split = 1);
  /// Afterwards: learns from the block.
  void see(const Sample& s, double dt);

  /// What of() last said.
  const Tempering& last() const { return last_; }
  /// Of the last block: how many times more events vary than chance would have it.
  double overdispersion() const { return overdispersion_factor_; }

 private:
  Robustness robustness_;
  BurstLimit bursts_;
  InformationRate information_;
  Overdispersion overdispersion_;
  double share_ = 1;  // of the block in hand
  double overdispersion_factor_ = 1;
  Tempering last_;
};

}  // namespace davy::stats
