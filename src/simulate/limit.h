// The information limit: how fast any test at all can be.
//
// Why: "found after 85 s" says little; "1.7 times the least time possible" does. A test that is
// wrong with probability alpha, and even knows both true rates, needs log(1/alpha)/I seconds on
// average, I = the least Kullback-Leibler divergence per second between what happens and anything
// the null allows.
// Shapes: requests per second, rates 0..1, seconds. Threading: pure. Failure: none.
// Sources: Wald 1945, Lorden 1977; Grunwald, de Heide, Koolen 2024 (the divergence is attained).
#pragma once

namespace davy::simulate {

/// `n1`, `n2` requests per second of V1 and V2, `p1`, `p2` their true rates.
struct Streams {
  double n1 = 0, p1 = 0;
  double n2 = 0, p2 = 0;
};

/// Nats per second against "p2 <= ratio p1 + absolute"; 0 when the streams satisfy it.
double information_rate(const Streams& s, double ratio, double absolute);

/// Seconds that any test of level `alpha` needs on average; infinity when the null is true.
double least_delay(const Streams& s, double ratio, double absolute, double alpha);

}  // namespace davy::simulate
