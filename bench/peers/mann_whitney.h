// The Mann-Whitney rule of Kayenta's judge (NetflixACAJudge-v1.0), from its formulae.
//
// Why: the comparison in docs/measured.md needs the rule that most canaries are judged by today.
// What: X = V2's points, Y = V1's. The shift d at which the rank sum of X - d against Y has the
// z-score +q, 0, -q gives the interval's low end, the estimate and the high end (asymptotic branch
// of R's wilcox.test, continuity and tie corrected). V2 is worse if low > 0.25 |estimate|, at 98 %.
// Different here: z is a step function of d, and its jumps are differences x - y, so the crossing
// is found exactly among those. Kayenta's root finder stops within an absolute 1e-4 of it, which
// blurs small error rates; this is generous to it. Threading: pure. Failure: none; fewer than one
// point on a side is never worse.
#pragma once

#include <span>

namespace davy::peers {

struct ShiftInterval {
  double low = 0;
  double estimate = 0;
  double high = 0;
};

/// REQUIRES: both sides have points, and not all of them are equal.
ShiftInterval shift_interval(std::span<const double> x, std::span<const double> y,
                             double confidence);

struct KayentaRule {
  double tolerance = 0.25;
  double confidence = 0.98;
};

/// "High": V2's points are higher than V1's.
bool kayenta_says_high(std::span<const double> canary, std::span<const double> baseline,
                       const KayentaRule& rule = {});

}  // namespace davy::peers
