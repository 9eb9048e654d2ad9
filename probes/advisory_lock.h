// Advisory locks of PostgreSQL, by which migration tools keep each other out.
//
// They are the server's own word that a migration runs: they end with the session that took them.
// Threading: pure functions.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

namespace davy::probe {

/// CRC-32 as in zlib (RFC 1952, section 8), of which Rails makes its key.
inline std::uint32_t crc32_of(std::string_view bytes) {
  std::uint32_t crc = 0xFFFFFFFFu;
  for (char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320u : 0u);
  }
  return ~crc;
}

/// The key under which a tool holds its lock: "rails", "prisma", or the number itself.
inline std::optional<std::int64_t> advisory_key(const std::string& tool,
                                                std::string_view database) {
  constexpr std::int64_t kRailsSalt = 2053462845;
  if (tool == "rails") return kRailsSalt * static_cast<std::int64_t>(crc32_of(database));
  if (tool == "prisma") return 72707369;
  char* end = nullptr;
  std::int64_t number = std::strtoll(tool.c_str(), &end, 10);
  return tool.empty() || *end != '\0' ? std::nullopt : std::optional(number);
}

}  // namespace davy::probe
