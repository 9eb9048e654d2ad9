#include <ctime>

#include "davy/time.h"

namespace davy {
namespace {

struct MachineClock final : Clock {
  Time now() const override {
    timespec ts{};
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return {std::chrono::seconds(ts.tv_sec) + Duration(ts.tv_nsec)};
  }
  WallMillis wall() const override {
    timespec ts{};
    clock_gettime(CLOCK_REALTIME, &ts);
    return static_cast<WallMillis>(ts.tv_sec) * 1000 + ts.tv_nsec / 1000000;
  }
};

}  // namespace

const Clock& machine_clock() {
  static const MachineClock clock;
  return clock;
}

}  // namespace davy
