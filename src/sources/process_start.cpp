#include "sources/process_start.h"

#include <cmath>
#include <utility>

#include "base/archive.h"

namespace davy::source {
namespace {

constexpr double kSlack = 1;  // seconds: clients round, and the time of day wavers
constexpr int kLong = 100;

}  // namespace

ProcessStart::Change ProcessStart::see(std::optional<double> start, Time now) {
  if (!start) return Change::Unknown;
  std::optional<double> before = std::exchange(start_, start);
  Duration watched = last_ - since_;
  Duration gap = now - std::exchange(last_, now);
  if (!before) {
    since_ = now;
    return Change::Unknown;
  }
  double moved = *start - *before;
  if (std::abs(moved) <= kSlack) return Change::Same;
  if (moved < seconds(watched) - kSlack) return Change::Moved;
  since_ = now;
  return watched / kLong > gap ? Change::NewAfterLong : Change::New;
}

void ProcessStart::archive(Archive& state) {
  state(start_, since_.since_boot, last_.since_boot);
  if ((start_ && !std::isfinite(*start_)) || since_ < Time{} || since_ > last_) state.fail();
}

}  // namespace davy::source
