#include "sources/statsd/table.h"

#include <algorithm>
#include <limits>
#include <random>
#include <utility>

namespace davy::source {
namespace {

constexpr std::size_t kFewSlots = 256;
constexpr std::size_t kBytesPerSeries = 200;

}  // namespace

StatsdTable::StatsdTable(std::size_t max_series)
    : max_series_(max_series), mask_(kFewSlots - 1), slots_(kFewSlots) {
  std::random_device random;
  for (std::uint64_t& seed : seeds_) seed = (std::uint64_t{random()} << 32 | random()) | 1;
}

bool StatsdTable::insert(std::uint64_t hash, std::string_view name, std::string_view rest,
                         const StatsdAction& action) {
  constexpr std::size_t kLongest = std::numeric_limits<std::uint16_t>::max();
  std::size_t bytes = keys_.size() + name.size() + rest.size();
  if (entries_.size() >= max_series_ || bytes > max_series_ * kBytesPerSeries ||
      name.size() > kLongest || rest.size() > kLongest) {
    is_full_ = true;
    return false;
  }
  if (entries_.size() * 2 >= slots_.size()) grow();
  entries_.push_back({action, hash});
  place(hash, {.entry = static_cast<std::uint32_t>(entries_.size()),
               .key = static_cast<std::uint32_t>(keys_.size()),
               .name_size = static_cast<std::uint16_t>(name.size()),
               .rest_size = static_cast<std::uint16_t>(rest.size())});
  keys_ += name;
  keys_ += rest;
  return true;
}

void StatsdTable::place(std::uint64_t hash, Slot slot) {
  slot.tag = static_cast<std::uint32_t>(hash >> 32);
  std::size_t at = hash & mask_;
  while (slots_[at].entry != 0) at = (at + 1) & mask_;
  slots_[at] = slot;
}

void StatsdTable::grow() {
  std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(slots_.size() * 2));
  mask_ = slots_.size() - 1;
  for (const Slot& slot : old) {
    if (slot.entry != 0) place(entries_[slot.entry - 1].hash, slot);
  }
}

void StatsdTable::clear() {
  std::fill(slots_.begin(), slots_.end(), Slot{});
  entries_.clear();
  keys_.clear();
  is_full_ = false;
}

}  // namespace davy::source
