// Stagger: when within a round each target is asked, so that hundreds are not asked at once.
//
// Why it harms no comparison:
// - A target keeps its place for as long as it is there, so the span between two of its readings is
//   as long as everybody's: the interval.
// - Its span lies later than the round's by its offset, at most a tenth of the interval.
// - Both versions are spread over the same window in the same way (van der Corput's sequence: each
//   next place halves a gap), so neither covers a later span than the other: 1 canary stands in the
//   middle of the window, as 100 baseline instances do on average.
// Fewer than 8 targets are asked at once.
// Threading: not thread-safe; owned by the deployment's thread. No I/O, no clock, no randomness.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "davy/time.h"

namespace davy {
class Archive;
}

namespace davy::source {

/// The window over which a round's targets are spread: a tenth of the interval, at most a second,
/// and what the timeout leaves of the interval.
Duration stagger_window(Duration every, Duration timeout);

class Stagger {
 public:
  struct Seat {
    std::string key;      // the same target, the same key
    std::string version;  // those that are spread among themselves
  };

  /// Where in the window each of them is asked, from 0 to 1. Whoever is new takes the first place
  /// of its version that is free; in the order of their keys, when they are several.
  std::vector<double> places(const std::vector<Seat>& present);

  void archive(Archive& state);

 private:
  std::map<std::string, std::uint64_t> numbers_;  // by key, among the target's version
  bool is_spread_ = false;  // there were enough of them once: whoever is there keeps its place
};

}  // namespace davy::source
