// Flapping: does a check alternate between good and bad?
//
// Why: a check that passes and fails in turn is neither; readiness that follows it moves traffic to
// and fro. Nagios' rule: the share of changes among the last 21 results; flapping begins at 30 %
// and ends below 20 % (Nagios Core manual, "Detection and Handling of State Flapping", unweighted).
// Threading: a plain value.
#pragma once

#include <bitset>
#include <cstddef>

namespace davy::health {

class Flapping {
 public:
  static constexpr std::size_t kResults = 21;

  /// Returns whether it flaps now.
  bool see(bool good) {
    changes_ <<= 1;
    changes_[0] = has_last_ && good != last_;
    has_last_ = true;
    last_ = good;
    double share = static_cast<double>(changes_.count()) / static_cast<double>(kResults - 1);
    flaps_ = flaps_ ? share >= 0.20 : share >= 0.30;
    return flaps_;
  }

 private:
  std::bitset<kResults - 1> changes_;
  bool has_last_ = false;
  bool last_ = true;
  bool flaps_ = false;
};

}  // namespace davy::health
