#include "davy/sequential.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/archive.h"
#include "stats/log_sum.h"

namespace davy::stats {
namespace {

// Where the reserve goes: most of it into the first block, the rest spread over the run.
constexpr double kFirstStake = 0.6;
constexpr double kStakeScale = 600.0;  // seconds
constexpr double kMostPerBlock = 0.5;
constexpr double kStageStake = 0.25;
constexpr double kHighestRate = 0.98;
// Beyond this a test has long decided; it stops so that nothing can overflow.
constexpr double kEnough = 700.0;
constexpr double kMostWealth = 1e304;  // about e^700

// The three bets of NotWorseTest: an equal V2, a better one, a slightly worse one.
constexpr std::array<double, 3> kPassWeights{0.6, 0.2, 0.2};
constexpr std::array<double, 3> kPassPlaces{0.0, -0.5, 0.35};

/// The null's nearest point to (p1, p2) in Poisson Kullback-Leibler divergence has a closed form
/// (reverse information projection): x solves A x^2 + B x - C = 0.
///   log e = k2 log(p2/g) + k1 log(p1/x) - n2 d (p2/g - 1),  g = r x + d
Bet linear(double r, double d, double n1, double n2, double p1, double p2) {
  double a = r * (n1 + n2 * r);
  if (a <= 0) return {};
  double b = n1 * d - n1 * p1 * r + n2 * r * d - n2 * r * p2;
  double c = n1 * p1 * d;
  double root = std::sqrt(b * b + 4 * a * c);
  double x = b > 0 ? 2 * c / (b + root) : (root - b) / (2 * a);
  double g = r * x + d;
  if (!(x > 0 && g > 0)) return {};
  double up = p2 / g;
  return {.event1 = std::log(p1 / x), .event2 = std::log(up), .constant = -n2 * d * (up - 1)};
}

/// q = (n1 p1 + n2 p2)/(n1 + n2): the pooled rate is the null's nearest point.
Bet equal(double n1, double n2, double p1, double p2) {
  double n = n1 + n2;
  if (n <= 0) return {};
  double q = (n1 * p1 + n2 * p2) / n;
  return {.event1 = std::log(p1 / q),
          .good1 = std::log1p((q - p1) / (1 - q)),
          .event2 = std::log(p2 / q),
          .good2 = std::log1p((q - p2) / (1 - q))};
}

Bet single(double d, double p2) {
  return {.event2 = std::log(p2 / d), .good2 = std::log1p((d - p2) / (1 - d))};
}

}  // namespace

double times_odds(double theta, double p) {
  return theta * p / (1 - p + theta * p);
}

double Null::boundary(double p1) const {
  switch (kind) {
    case Kind::Single: return absolute;
    case Kind::Equal: return p1;
    case Kind::Linear: break;
  }
  return std::min(0.9, ratio * p1 + absolute);
}

double Bet::log_e(const Sample& s) const {
  auto part = [](double count, double each) { return count > 0 ? count * each : 0; };
  return part(s.k1, event1) + part(s.n1 - s.k1, good1) + part(s.k2, event2) +
         part(s.n2 - s.k2, good2) + constant;
}

Bet bet_on(const Null& null, double n1, double n2, double p1, double p2) {
  switch (null.kind) {
    case Null::Kind::Single: return single(null.absolute, p2);
    case Null::Kind::Equal: return equal(n1, n2, p1, p2);
    case Null::Kind::Linear: break;
  }
  return linear(null.ratio, null.absolute, n1, n2, p1, p2);
}

void Wealth::stake_for_block(double dt) {
  stake(started_ ? std::min(kMostPerBlock, dt / (seconds_ + kStakeScale)) : kFirstStake);
  started_ = true;
  seconds_ += dt;
}

void Wealth::stake_for_stage() {
  stake(kStageStake);
}

void Wealth::stake(double fraction) {
  double each = reserve_ * fraction / static_cast<double>(bets_);
  for (std::size_t j = 0; j < bets_; ++j) invested_[j] += each;
  reserve_ *= 1 - fraction;
}

void Wealth::multiply(std::size_t j, double log_e) {
  invested_[j] = std::min(kMostWealth, invested_[j] * std::exp(std::min(log_e, kEnough)));
}

double Wealth::total() const {
  return std::accumulate(invested_.begin(), invested_.end(), reserve_);
}

bool Wealth::is_enough() const {
  return total() >= kMostWealth;
}

double Wealth::log() const {
  return std::log(total());
}

void Wealth::archive(Archive& a) {
  a(invested_, reserve_, seconds_, started_);
}

void WorseTest::archive(Archive& a) {
  a(wealth_);
}

WorseTest::Bets WorseTest::bets(double n1, double n2, double p1, double widen) const {
  Null null = null_;
  null.ratio *= widen;
  double edge = null.boundary(p1);
  Bets all;
  for (std::size_t j = 0; j < odds_.size(); ++j) {
    double p2 = times_odds(odds_[j], edge);
    if (p2 > kHighestRate) p2 = std::max(kHighestRate, edge);
    // Where nearly everything is tolerated there is nothing worse to bet on.
    if (null.kind == Null::Kind::Linear && p2 <= null.ratio * p1 + null.absolute) continue;
    all[j] = bet_on(null, n1, n2, p1, p2);
  }
  return all;
}

void WorseTest::see(const Sample& s, const Bets& bets, double dt, const Tempering& tempering) {
  wealth_.stake_for_block(dt);
  if (wealth_.is_enough()) return;
  for (std::size_t j = 0; j < odds_.size(); ++j)
    wealth_.multiply(j, std::min(tempering.cap, bets[j].log_e(s) / tempering.phi));
}

void WorseTest::see(const Sample& s, double p1, double dt, const Tempering& tempering,
                    double widen) {
  see(s, bets(s.n1, s.n2, p1, widen), dt, tempering);
}

void NotWorseTest::restart() {
  for (std::size_t j = 0; j < log_r_.size(); ++j) log_r_[j] = std::log(kPassWeights[j]);
}

std::array<double, 3> NotWorseTest::alternatives(double p1, double p2_if_equal) const {
  double edge = null_.boundary(p1);
  std::array<double, 3> p2{};
  for (std::size_t j = 0; j < p2.size(); ++j) {
    double place = p2_if_equal + kPassPlaces[j] * (edge - p2_if_equal);
    p2[j] = std::min(edge, std::max(0.1 * p2_if_equal, place));
  }
  return p2;
}

void NotWorseTest::see(const Sample& s, double p1, double p2_if_equal, const Tempering& tempering) {
  if (log_e() > kEnough) return;
  std::array<double, 3> p2 = alternatives(p1, p2_if_equal);
  for (std::size_t j = 0; j < log_r_.size(); ++j) {
    double won = bet_on(null_, s.n1, s.n2, p1, p2[j]).log_e(s);
    log_r_[j] += std::min(tempering.cap, won / tempering.phi);
  }
}

double NotWorseTest::log_e() const {
  return log_sum(log_r_);
}

double NotWorseTest::growth(const Sample& expected, double p1, double p2_if_equal) const {
  double most = 0;
  for (double p2 : alternatives(p1, p2_if_equal))
    most = std::max(most, bet_on(null_, expected.n1, expected.n2, p1, p2).log_e(expected));
  return most;
}

void NotWorseTest::archive(Archive& a) {
  a(log_r_);
}

}  // namespace davy::stats
