// The traffic of both benchmarks of StatsD: lines of many series in random order, and their sums.
//
// Two of five series count requests, two time them, one is a gauge that nobody has asked for; one
// of eight is the canary's. In plain StatsD a series is a name, in DogStatsD a set of four tags.
// Threading: pure.
#pragma once

#include <fmt/format.h>

#include <array>
#include <random>
#include <string>
#include <vector>

namespace davy::bench {

enum class Dialect { Plain, Tagged };

struct Packet {
  std::string bytes;
  std::array<unsigned long, 2> requests{};  // of baseline and canary
};

/// "v1.m00004.": what stands before the names of a series of plain StatsD.
inline std::string prefix(int series) {
  return fmt::format("{}.m{:05}.", series % 8 == 0 ? "v2" : "v1", series);
}

inline void add_line(Dialect dialect, int series, std::mt19937& random, Packet& packet) {
  bool is_canary = series % 8 == 0;
  std::string name = dialect == Dialect::Plain ? prefix(series) : "";
  std::string end;
  if (dialect == Dialect::Tagged) {
    end = fmt::format("|#env:prod,service:checkout,version:{},endpoint:/e{:04}",
                      is_canary ? "v2" : "v1", series);
  }
  if (!packet.bytes.empty()) packet.bytes += '\n';
  switch (series % 5) {
    case 0:
    case 1: {
      unsigned long count = 1 + random() % 9;
      packet.requests[is_canary ? 1 : 0] += count;
      packet.bytes += fmt::format("{}requests.count:{}|c{}", name, count, end);
      break;
    }
    case 2:
    case 3:
      packet.bytes += fmt::format("{}requests.duration:{}.{}|ms{}", name, 1 + random() % 900,
                                  random() % 10, end);
      break;
    default: packet.bytes += fmt::format("{}requests.inflight:{}|g{}", name, random() % 5000, end);
  }
}

inline std::vector<Packet> make_packets(Dialect dialect, std::size_t packets, int lines,
                                        int series) {
  std::mt19937 random(7);
  std::vector<Packet> all(packets);
  for (Packet& packet : all) {
    for (int i = 0; i < lines; ++i)
      add_line(dialect, static_cast<int>(random() % static_cast<unsigned>(series)), random, packet);
  }
  return all;
}

}  // namespace davy::bench
