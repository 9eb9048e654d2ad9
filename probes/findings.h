// Findings: several looks at one server make one Outcome.
//
// The worst wins; the others' reasons are told beside its message, their numbers are all kept.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "davy/probe.h"

namespace davy::probe {

class Findings {
 public:
  void add(Outcome outcome) { all_.push_back(std::move(outcome)); }
  void measured(std::string name, double value, std::string unit) {
    also_.push_back({std::move(name), value, std::move(unit)});
  }
  /// A number that must not be above `limit`: failed() or warned() is for the caller to say.
  void level_of_fail(double value, double limit) {
    clear_of_fail_ = std::min(clear_of_fail_, share(value, limit));
  }
  void level_of_warn(double value, double limit) {
    clear_of_warn_ = std::min(clear_of_warn_, share(value, limit));
  }

  Outcome worst() && {
    auto is_better = [](const Outcome& a, const Outcome& b) { return rank(a) < rank(b); };
    auto found = std::max_element(all_.begin(), all_.end(), is_better);
    Outcome worst = found == all_.end() ? Outcome::passed() : *found;
    std::string others;
    for (auto it = all_.begin(); it != all_.end(); ++it) {
      worst.blocks_deploy = worst.blocks_deploy || it->blocks_deploy;
      if (it == found || rank(*it) == 0) continue;
      others += (others.empty() ? " (also: " : ", ") + it->reason;
    }
    if (!others.empty()) worst.message += others + ")";
    worst.also = std::move(also_);
    return std::move(worst).clear_by(clear_of_fail_, clear_of_warn_);
  }

 private:
  static double share(double value, double limit) {
    return limit > 0 ? (limit - value) / limit : (value > 0 ? -1.0 : 0.0);
  }
  static int rank(const Outcome& o) {
    switch (o.kind) {
      case Outcome::Kind::Pass: return 0;
      case Outcome::Kind::Error: return 1;
      case Outcome::Kind::Warn: return o.blocks_deploy ? 3 : 2;
      case Outcome::Kind::Fail: return o.hard ? 5 : 4;
    }
    return 0;
  }

  std::vector<Outcome> all_;
  std::vector<Measurement> also_;
  double clear_of_fail_ = std::numeric_limits<double>::infinity();
  double clear_of_warn_ = std::numeric_limits<double>::infinity();
};

}  // namespace davy::probe
