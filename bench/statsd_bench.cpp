// How fast packets of StatsD are counted, beside what reading them costs at least.
//
// 30 lines to a packet, of many series in random order; no sockets. `Find line ends` is the
// limit: one look at every byte.

#include <benchmark/benchmark.h>

#include <cstring>
#include <string>
#include <vector>

#include "sources/statsd/intake.h"
#include "statsd/workload.h"

using namespace davy;
using namespace davy::source;
using bench::Dialect;

namespace {

constexpr int kPackets = 2000;
constexpr int kLines = 30;

std::vector<std::string> packets_of(Dialect dialect, int series) {
  std::vector<std::string> packets;
  for (bench::Packet& packet : bench::make_packets(dialect, kPackets, kLines, series))
    packets.push_back(std::move(packet.bytes));
  return packets;
}

/// Without tags the names of all series are spelled out.
StatsdRules rules_of(Dialect dialect, int known) {
  RequestSeries series{
      .counter = {}, .error_when = {"status=~\"5..\""}, .errors = {}, .histogram = {}};
  StatsdRules::Settings settings;
  if (dialect == Dialect::Tagged) {
    series.counter = {"requests.count"};
    series.histogram = {"requests.duration"};
    settings.when = {"version=\"v1\"", "version=\"v2\""};
  } else {
    for (int i = 0; i < known; ++i) {
      std::string name = bench::prefix(i);
      series.counter.push_back(name + "requests.count");
      series.histogram.push_back(name + "requests.duration");
    }
    settings.when = {"__name__=~\"v1.*\"", "__name__=~\"v2.*\""};
  }
  return *StatsdRules::compile(series, {}, settings);
}

void count_packets(benchmark::State& state, Dialect dialect, int series) {
  std::vector<std::string> packets = packets_of(dialect, series);
  StatsdIntake intake(rules_of(dialect, series));
  Time now{std::chrono::hours(1)};
  (void)intake.end_span(now);
  for (const std::string& packet : packets) intake.take(packet, now);  // all series are known
  for (auto _ : state) {
    for (const std::string& packet : packets) intake.take(packet, now);
  }
  state.SetItemsProcessed(state.iterations() * kPackets * kLines);
}

void find_line_ends(benchmark::State& state, Dialect dialect) {
  std::vector<std::string> packets = packets_of(dialect, 1000);
  std::size_t lines = 0;
  for (auto _ : state) {
    for (const std::string& packet : packets) {
      const char* at = packet.data();
      const char* end = at + packet.size();
      while (at != nullptr && at < end) {
        at = static_cast<const char*>(std::memchr(at, '\n', static_cast<std::size_t>(end - at)));
        ++lines;
        if (at != nullptr) ++at;
      }
    }
  }
  benchmark::DoNotOptimize(lines);
  state.SetItemsProcessed(state.iterations() * kPackets * kLines);
}

}  // namespace

BENCHMARK_CAPTURE(find_line_ends, statsd, Dialect::Plain);
BENCHMARK_CAPTURE(count_packets, statsd_1000_series, Dialect::Plain, 1000);
BENCHMARK_CAPTURE(find_line_ends, dogstatsd, Dialect::Tagged);
BENCHMARK_CAPTURE(count_packets, dogstatsd_1000_series, Dialect::Tagged, 1000);
BENCHMARK_CAPTURE(count_packets, dogstatsd_20000_series, Dialect::Tagged, 20000);
