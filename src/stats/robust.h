// Robustness: what keeps the promise when requests are not independent, as in production.
//
// Why: errors come in clumps, instances differ, minutes differ. Each piece below looks at past
// blocks (and at V1's own instances) and says by how much evidence has to be discounted. Sources:
// winsorised bursts and the dyadic Haar estimate of overdispersion as specified and measured in
// docs/judging.md, section "Robust mode"; Mantel-Haenszel pooled ratios inside it. Threading: plain
// values. Failure: none.
#pragma once

#include <algorithm>
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
  void archive(Archive& a);

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
  void archive(Archive& a);

 private:
  std::optional<double> per_minute_;
};

/// How many times more the split of events between two sides varies than chance would have it.
/// Dyadic Haar coefficients of the log rate ratio: neighbouring cells are compared, then merged, at
/// ten scales; a real step change spoils one coefficient only.
class Overdispersion {
 public:
  /// `prior` = what is assumed until cells are compared (requests that come in bundles of 10: 10).
  explicit Overdispersion(double prior = 1) : prior_(prior) {}

  /// nA, kA, nB, kB in `s`; `share` from BurstLimit.
  void see(const Sample& s, double share = 1);
  /// At least 1.
  double factor() const;
  void archive(Archive& a);

 private:
  static constexpr std::size_t kScales = 10;
  struct Cell {
    void archive(Archive& a);
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

  double prior_;
  std::array<std::optional<Cell>, kScales> waiting_;
  std::array<double, kScales> sum_{};
  std::array<int, kScales> count_{};
  Cell open_;
};

/// By how much two equal versions differ from one stretch of time to the next, learned while both
/// are known to be the same (an A/A period). With z = k2 - K pi, v = K pi (1 - pi)(1 - K/N),
/// pi = n2/N of one stretch, E z^2 = v + s^2 v^2, so
///   s^2 = (sum (z^2 - v) - c) / sum v^2 x (1 + sqrt(2/cells)),   c = sqrt(2 sum v^2).
/// c is what chance alone may show: traffic without noise is not taken for noisy, which would cost
/// a canary as much time as a noisy service's. The factor is what few cells may miss. Noise that
/// lasts longer than a minute hurts more than its minutes say: stretches of 2 and 4 minutes are
/// looked at, too, and the largest s^2 x minutes counts.
class NoiseFloor {
 public:
  /// REQUIRES: both versions are the same.
  void learn(const Sample& s, double dt);
  /// Standard deviation of a minute's log rate ratio; 0 until 4 minutes have been seen.
  double sigma() const;
  void archive(Archive& a);

 private:
  static constexpr std::size_t kScales = 3;
  struct Scale {
    Sample open;
    double seconds = 0;
    double excess = 0;       // sum of z^2 - v
    double information = 0;  // sum of v^2
    int cells = 0;

    void archive(Archive& a);
  };
  std::array<Scale, kScales> scales_;
};

/// One instance's totals.
struct Pod {
  double n = 0;
  double k = 0;

  void archive(Archive& a);
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
  // How often clients or the mesh try at most: an error may then be counted so many times, and with
  // phi at least that, clumps of that size keep the promise exactly (for a margin without absolute
  // part: pi a^c + (1 - pi) b^c <= 1 for c <= 1).
  double attempts = 1;

  /// Of a block of `dt` seconds.
  double cap_of(double dt) const { return std::min(cap_per_second * dt, cap); }

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
  /// Instead of both, for a block of two equal versions.
  void learn_noise(const Sample& s, double dt) { noise_.learn(s, dt); }
  double noise() const { return noise_.sigma(); }
  /// What another run of the same deployment learned about noise.
  void inherit(const Discount& before) { noise_ = before.noise_; }

  /// What of() last said.
  const Tempering& last() const { return last_; }
  /// Of the last block: how many times more events vary than chance would have it.
  double overdispersion() const { return overdispersion_factor_; }
  void archive(Archive& a);

 private:
  Robustness robustness_;
  BurstLimit bursts_;
  InformationRate information_;
  Overdispersion overdispersion_;
  NoiseFloor noise_;
  double share_ = 1;  // of the block in hand
  double overdispersion_factor_ = 1;
  Tempering last_;
};

}  // namespace davy::stats
