// Time: when things happened, and how long they may take.
//
// Why: one clock for the whole program, handed in, so that tests move it by hand. `Time` is steady
// and counts while the machine sleeps (CLOCK_BOOTTIME): a resumed machine has stale results, not
// green ones. Wall time is for showing to people only.
// Threading: everything here is a plain value; a Clock may be asked from any thread.
#pragma once

#include <chrono>
#include <cstdint>

namespace davy {

using Duration = std::chrono::nanoseconds;

/// A point on the steady clock: nanoseconds since boot. `Time::never()` lies after every other.
struct Time {
  Duration since_boot{0};

  static constexpr Time never() { return {Duration::max()}; }

  friend constexpr auto operator<=>(Time, Time) = default;
  friend constexpr Time operator+(Time t, Duration d) { return {t.since_boot + d}; }
  friend constexpr Time operator-(Time t, Duration d) { return {t.since_boot - d}; }
  friend constexpr Duration operator-(Time a, Time b) { return a.since_boot - b.since_boot; }
};

/// Milliseconds since 1970, for people and for files; never subtracted from one another.
using WallMillis = std::int64_t;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time now() const = 0;
  virtual WallMillis wall() const = 0;
};

/// The machine's own clock.
const Clock& machine_clock();

/// The moment at which a blocking call must be back, on the machine's clock.
class Deadline {
 public:
  static Deadline in(Duration d) { return Deadline(machine_clock().now() + d); }
  explicit constexpr Deadline(Time at) : at_(at) {}

  Time at() const { return at_; }
  bool expired() const { return left() <= Duration::zero(); }
  /// What is left; negative once it is past.
  Duration left() const { return at_ - machine_clock().now(); }
  /// What is left in whole milliseconds, at least `least`: for calls to which 0 means "for ever".
  std::chrono::milliseconds left_ms(
      std::chrono::milliseconds least = std::chrono::milliseconds(1)) const {
    auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(left());
    return ms < least ? least : ms;
  }
  Deadline earlier(Deadline other) const { return at_ < other.at_ ? *this : other; }

 private:
  Time at_;
};

inline double seconds(Duration d) {
  return std::chrono::duration<double>(d).count();
}

}  // namespace davy
