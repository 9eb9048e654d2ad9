// Counters that only grow, except when their process restarts.
#pragma once

#include <cmath>

namespace davy::stats {

/// Whether it can be a number of requests: finite, not negative.
inline bool is_count(double n) {
  return std::isfinite(n) && n >= 0;
}

/// What was counted since `before`; after a reset, what was counted since then (what was counted
/// between the last look and the crash is lost).
inline double counter_delta(double before, double now) {
  return now >= before ? now - before : now;
}

}  // namespace davy::stats
