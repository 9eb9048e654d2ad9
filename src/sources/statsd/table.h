// StatsdTable: series of StatsD, by the very bytes by which they come, and what to do with them.
//
// Why: clients send the same few thousand names, types and tags over and over, only the values
// differ. What a series counts for is decided once, and found again by its bytes: everything of the
// line but the values. The same series with its tags in another order has an entry of its own,
// which says the same. Bounded: by the number of series, and by 200 bytes for each of them on
// average; what finds no room is simply not remembered. How: open addressing with linear probing,
// at most half full. The hash is seeded, so that nobody who sends us names can choose them to
// collide. Threading: not thread-safe; owned by whoever owns the StatsdIntake. Failure: none.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "sources/statsd/line.h"

namespace davy::source {

struct StatsdInstance;
struct StatsdGauge;

/// What the values of a series are for. Pointers are to what the StatsdIntake owns.
struct StatsdAction {
  StatsdInstance* instance = nullptr;  // null: for nothing
  StatsdGauge* gauge = nullptr;
  const std::vector<std::size_t>* rates = nullptr;  // of the deployment's own metrics, by index
  double weight = 1;                                // 1 / sample rate
  double latency_unit = 0;                          // seconds in 1; 0: is no latency
  StatsdType type = StatsdType::Counter;
  bool is_request = false;
  bool is_error = false;
  bool has_relative_sign = false;  // of a gauge: +1 and -1 are added
  bool is_refused = false;         // it was meant, but is of a type that cannot serve
};

class StatsdTable {
 public:
  explicit StatsdTable(std::size_t max_series);

  /// `name` and `rest` are what stands before and after the values.
  std::uint64_t hash(std::string_view name, std::string_view rest) const {
    return mix(hash_bytes(name) ^ seeds_[4], hash_bytes(rest));
  }

  const StatsdAction* find(std::uint64_t hash, std::string_view name, std::string_view rest) const {
    auto tag = static_cast<std::uint32_t>(hash >> 32);
    for (std::size_t at = hash & mask_;; at = (at + 1) & mask_) {
      const Slot& slot = slots_[at];
      if (slot.entry == 0) return nullptr;
      const char* key = keys_.data() + slot.key;
      if (slot.tag == tag && slot.name_size == name.size() && slot.rest_size == rest.size() &&
          std::memcmp(key, name.data(), name.size()) == 0 &&
          std::memcmp(key + name.size(), rest.data(), rest.size()) == 0) {
        return &entries_[slot.entry - 1].action;
      }
    }
  }

  /// False, and nothing done, when there is no room. REQUIRES: it is not there yet.
  bool insert(std::uint64_t hash, std::string_view name, std::string_view rest,
              const StatsdAction& action);

  bool is_full() const { return is_full_; }
  std::size_t size() const { return entries_.size(); }
  void clear();

 private:
  /// All that a look-up compares; so the key and the action are fetched at the same time.
  struct Slot {
    std::uint32_t tag = 0;    // the upper half of the hash
    std::uint32_t entry = 0;  // its index + 1; 0 is none
    std::uint32_t key = 0;    // where its bytes begin in keys_
    std::uint16_t name_size = 0;
    std::uint16_t rest_size = 0;
  };
  struct alignas(64) Entry {  // a cache line
    StatsdAction action;
    std::uint64_t hash = 0;
  };
  static_assert(sizeof(Slot) == 16 && sizeof(Entry) == 64);

  static std::uint64_t load(const char* bytes) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes, sizeof word);
    return word;
  }
  /// The upper half of a product folded into the lower one, as wyhash does it.
  static std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
    __extension__ using Wide = unsigned __int128;
    Wide product = static_cast<Wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  }
  /// In two lanes, which the processor takes at the same time.
  std::uint64_t hash_bytes(std::string_view text) const {
    const char* at = text.data();
    std::size_t left = text.size();
    std::uint64_t one = seeds_[0];
    std::uint64_t two = seeds_[1] ^ left;
    for (; left > 32; at += 32, left -= 32) {
      one = mix(load(at) ^ seeds_[2], load(at + 8) ^ one);
      two = mix(load(at + 16) ^ seeds_[3], load(at + 24) ^ two);
    }
    if (left > 16) {
      one = mix(load(at) ^ seeds_[2], load(at + 8) ^ one);
      at += 16;
      left -= 16;
    }
    if (left >= 8)
      return one ^ mix(load(at) ^ seeds_[3], load(at + left - 8) ^ two);  // may overlap
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < left; ++i) word = word << 8 | static_cast<unsigned char>(at[i]);
    return one ^ mix(word ^ seeds_[3], two);
  }

  void place(std::uint64_t hash, Slot slot);
  void grow();

  const std::size_t max_series_;
  std::array<std::uint64_t, 5> seeds_{};
  std::size_t mask_ = 0;  // of slots_, whose number is a power of two
  std::vector<Slot> slots_;
  std::vector<Entry> entries_;
  std::string keys_;
  bool is_full_ = false;  // something found no room
};

}  // namespace davy::source
