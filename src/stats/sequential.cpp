#include "davy/sequential.h"

#include <algorithm>
#include <cmath>

#include "stats/log_sum.h"

namespace davy::stats {
namespace {

// Where the reserve goes: most of it into the first block, the rest spread over the run.
constexpr double kFirstInvestment = 0.6;
constexpr double kInvestmentScale = 600.0;  // seconds
constexpr double kMostPerBlock = 0.5;
constexpr double kStageInvestment = 0.25;
constexpr double kHighestRate = 0.98;
// Beyond this a test has long decided; it stops so that nothing can overflow.
constexpr double kEnough = 700.0;

// The three bets of NotWorseTest: an equal V2, a better one, a slightly worse one.
constexpr std::array<double, 3> kPassWeights{0.6, 0.2, 0.2};
constexpr std::array<double, 3> kPassPlaces{0.0, -0.5, 0.35};

/// The null's nearest point to (p1, p2) in Poisson Kullback-Leibler divergence has a closed form
/// (reverse information projection): x solves A x^2 + B x - C = 0.
///   log e = k2 log(p2/g) + k1 log(p1/x) - n2 d (p2/g - 1),  g = r x + d
double linear(double r, double d, const Sample& s, double p1, double p2) {
  double a = r * (s.n1 + s.n2 * r);
  if (a <= 0) return 0;
  double b = s.n1 * d - s.n1 * p1 * r + s.n2 * r * d - s.n2 * r * p2;
  double c = s.n1 * p1 * d;
  double root = std::sqrt(b * b + 4 * a * c);
  double x = b > 0 ? 2 * c / (b + root) : (root - b) / (2 * a);
  double g = r * x + d;
  if (!(x > 0 && g > 0)) return 0;
  double up = p2 / g;
  double log_e = -s.n2 * d * (up - 1);
  if (s.k2 > 0) log_e += s.k2 * std::log(up);
  if (s.k1 > 0) log_e += s.k1 * std::log(p1 / x);
  return log_e;
}

/// q = (n1 p1 + n2 p2)/(n1 + n2): the pooled rate is the null's nearest point.
double equal(const Sample& s, double p1, double p2) {
  double n = s.n1 + s.n2;
  if (n <= 0) return 0;
  double q = (s.n1 * p1 + s.n2 * p2) / n;
  return s.k1 * std::log(p1 / q) + (s.n1 - s.k1) * std::log1p((q - p1) / (1 - q)) +
         s.k2 * std::log(p2 / q) + (s.n2 - s.k2) * std::log1p((q - p2) / (1 - q));
}

double single(double d, const Sample& s, double p2) {
  return s.k2 * std::log(p2 / d) + (s.n2 - s.k2) * std::log1p((d - p2) / (1 - d));
}

/// The rate whose odds are `theta` times those of `p`.
double times_odds(double theta, double p) {
  return theta * p / (1 - p + theta * p);
}

}  // namespace

double Null::boundary(double p1) const {
  switch (kind) {
    case Kind::Single: return absolute;
    case Kind::Equal: return p1;
    case Kind::Linear: break;
  }
  return std::min(0.9, ratio * p1 + absolute);
}

double log_e(const Null& null, const Sample& s, double p1, double p2) {
  switch (null.kind) {
    case Null::Kind::Single: return single(null.absolute, s, p2);
    case Null::Kind::Equal: return equal(s, p1, p2);
    case Null::Kind::Linear: break;
  }
  return linear(null.ratio, null.absolute, s, p1, p2);
}

void WorseTest::begin_stage() {
  invest(kStageInvestment);
}

void WorseTest::invest(double fraction) {
  if (fraction <= 0) return;
  double share = log_cash_ + std::log(fraction / static_cast<double>(kOddsRatios.size()));
  for (double& r : log_r_) r = log_sum(r, share);
  log_cash_ += std::log1p(-fraction);
}

void WorseTest::see(const Sample& s, double p1, double dt, Tempering tempering, double widen) {
  invest(started_ ? std::min(kMostPerBlock, dt / (seen_seconds_ + kInvestmentScale))
                  : kFirstInvestment);
  started_ = true;
  seen_seconds_ += dt;
  if (log_e() > kEnough) return;
  Null null = null_;
  null.ratio *= widen;
  double edge = null.boundary(p1);
  for (std::size_t j = 0; j < log_r_.size(); ++j) {
    double p2 = times_odds(kOddsRatios[j], edge);
    if (p2 > kHighestRate) p2 = std::max(kHighestRate, edge);
    log_r_[j] += std::min(tempering.cap, stats::log_e(null, s, p1, p2) / tempering.phi);
  }
}

double WorseTest::log_e() const {
  return log_sum(log_sum(log_r_), log_cash_);
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

void NotWorseTest::see(const Sample& s, double p1, double p2_if_equal, Tempering tempering) {
  if (log_e() > kEnough) return;
  std::array<double, 3> p2 = alternatives(p1, p2_if_equal);
  for (std::size_t j = 0; j < log_r_.size(); ++j) {
    log_r_[j] += std::min(tempering.cap, stats::log_e(null_, s, p1, p2[j]) / tempering.phi);
  }
}

double NotWorseTest::log_e() const {
  return log_sum(log_r_);
}

}  // namespace davy::stats
