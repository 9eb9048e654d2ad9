// Checksum: tells bytes that were torn or hit by chance. FNV-1a, 64 bits (Fowler, Noll, Vo):
// every single changed byte changes it. Not against people: anybody can compute it.
//
// Threading: pure.
#pragma once

#include <cstdint>
#include <string_view>

namespace davy {

inline std::uint64_t checksum(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return hash;
}

}  // namespace davy
