// A clock moved by hand.
#pragma once

#include "davy/time.h"
#include "health/check_state.h"

namespace davy::fakes {

struct HandClock final : Clock {
  Time time{std::chrono::hours(1)};
  WallMillis wall_time = 1'800'000'000'000;

  Time now() const override { return time; }
  WallMillis wall() const override { return wall_time; }
  void advance(Duration d) {
    time = time + d;
    wall_time += std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
  }
  health::Moment moment() const { return {time, wall_time}; }
};

}  // namespace davy::fakes
