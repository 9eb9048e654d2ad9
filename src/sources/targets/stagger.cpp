#include "sources/targets/stagger.h"

#include <algorithm>
#include <set>

#include "base/archive.h"

namespace davy::source {
namespace {

constexpr std::size_t kEnough = 8;
constexpr int kPart = 10;
constexpr Duration kWidest = std::chrono::seconds(1);

/// Van der Corput's sequence in base 2: 1/2, 1/4, 3/4, 1/8, 5/8, 3/8, 7/8, ...
double place(std::uint64_t number) {
  double place = 0;
  double digit = 0.5;
  for (std::uint64_t n = number + 1; n > 0; n /= 2, digit /= 2) place += n % 2 == 1 ? digit : 0;
  return place;
}

}  // namespace

Duration stagger_window(Duration every, Duration timeout) {
  return std::max(Duration::zero(), std::min({every / kPart, every - timeout, kWidest}));
}

std::vector<double> Stagger::places(const std::vector<Seat>& present) {
  is_spread_ |= present.size() >= kEnough;
  if (!is_spread_) return std::vector<double>(present.size(), 0.0);

  std::map<std::string_view, const Seat*> by_key;
  for (const Seat& seat : present) by_key[seat.key] = &seat;
  std::erase_if(numbers_, [&](const auto& item) { return by_key.count(item.first) == 0; });
  std::map<std::string_view, std::set<std::uint64_t>> taken;
  for (const auto& [key, number] : numbers_) taken[by_key.at(key)->version].insert(number);
  std::map<std::string_view, std::uint64_t> next;
  for (const auto& [key, seat] : by_key) {
    if (numbers_.count(seat->key) != 0) continue;
    std::uint64_t& number = next[seat->version];
    while (taken[seat->version].count(number) != 0) ++number;
    numbers_[seat->key] = number++;
  }

  std::vector<double> places;
  for (const Seat& seat : present) places.push_back(place(numbers_.at(seat.key)));
  return places;
}

void Stagger::archive(Archive& state) {
  state(numbers_, is_spread_);
}

}  // namespace davy::source
