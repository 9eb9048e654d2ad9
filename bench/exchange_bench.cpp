// What an exchanged block costs at both ends, beside the checksum of its bytes, which no end can do
// without, and beside the merging of its sketch, which is what it is for. Look at the ratios.

#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "base/checksum.h"
#include "davy/sketch.h"
#include "sources/exchange/block.h"
#include "sources/exchange/gathering.h"

using namespace davy;
using namespace davy::source;

namespace {

constexpr ExchangeMillis kBegin = 1'800'000'000'000;

Sketch sketch_of(int requests) {
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> latency(-3, 1);
  Sketch sketch;
  for (int i = 0; i < requests; ++i) sketch.insert(latency(random));
  return sketch;
}

/// As from StatsD: 2,000 requests in a sketch.
ExchangeBlock with_sketch() {
  return {.deployment = "checkout",
          .version = "2026-11-20.3",
          .instance = "checkout-5d8f7c9b4-x2kfq",
          .incarnation = 0x1234567890abcdef,
          .sequence = 1000,
          .from = kBegin,
          .to = kBegin + 5000,
          .requests = 2000,
          .errors = 3,
          .age = 4000.5,
          .latency = sketch_of(2000).histogram(),
          .values = {{"memory", ValueSeries::Kind::Gauge, ValueSeries::Per::Instance, 1.5e8}}};
}

/// As from a scrape: eleven bounds.
ExchangeBlock with_bounds() {
  ExchangeBlock block = with_sketch();
  block.latency = Histogram{{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
                            {10, 80, 300, 700, 500, 300, 80, 20, 8, 2, 0, 0}};
  return block;
}

void tell_bytes(benchmark::State& state, const ExchangeBlock& block) {
  state.counters["bytes"] = static_cast<double>(encode(block)->size());
}

void checksum_alone(benchmark::State& state, const ExchangeBlock& block) {
  std::string bytes = *encode(block);
  for (auto _ : state) benchmark::DoNotOptimize(checksum(bytes));
  tell_bytes(state, block);
}
void encode_block(benchmark::State& state, const ExchangeBlock& block) {
  for (auto _ : state) benchmark::DoNotOptimize(encode(block));
  tell_bytes(state, block);
}
void decode_block(benchmark::State& state, const ExchangeBlock& block) {
  std::string bytes = *encode(block);
  for (auto _ : state) benchmark::DoNotOptimize(decode(bytes));
  tell_bytes(state, block);
}
BENCHMARK_CAPTURE(checksum_alone, sketch, with_sketch());
BENCHMARK_CAPTURE(encode_block, sketch, with_sketch());
BENCHMARK_CAPTURE(decode_block, sketch, with_sketch());
BENCHMARK_CAPTURE(checksum_alone, bounds, with_bounds());
BENCHMARK_CAPTURE(encode_block, bounds, with_bounds());
BENCHMARK_CAPTURE(decode_block, bounds, with_bounds());

/// The histograms of so many instances added up, and nothing else.
void merge_sketches_alone(benchmark::State& state) {
  Sketch one = sketch_of(2000);
  for (auto _ : state) {
    Sketch sum;
    for (std::int64_t i = 0; i < state.range(0); ++i) sum.merge(one);
    benchmark::DoNotOptimize(sum);
  }
}
BENCHMARK(merge_sketches_alone)->Arg(3)->Arg(100)->Arg(1000);

/// One slot of a judge: decode, take and merge a block of each instance.
void judge_a_slot(benchmark::State& state, const ExchangeBlock& block) {
  std::vector<ExchangeBlock> blocks(static_cast<std::size_t>(state.range(0)), block);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    blocks[i].instance += std::to_string(i);
    blocks[i].version = i % 2 == 0 ? "v1" : "v2";
  }
  Gathering gathering({.deployment = "checkout",
                       .baseline = "v1",
                       .canary = "v2",
                       .values = {},
                       .patience = std::chrono::seconds(30),
                       .settle = {}});
  gathering.begin(kBegin);
  ExchangeMillis now = kBegin;
  std::uint64_t slot = 0;
  for (auto _ : state) {
    state.PauseTiming();
    ++slot;
    now += 5000;
    std::vector<std::string> entries;
    for (ExchangeBlock& b : blocks) {
      b.sequence = slot;
      b.from = now - 5000;
      b.to = now;
      entries.push_back(*encode(b));
    }
    state.ResumeTiming();
    Time steady{std::chrono::milliseconds(now - kBegin)};
    for (const std::string& bytes : entries) gathering.take(*decode(bytes), now, steady);
    Collected collected = gathering.finish_round(now, steady, false);
    if (!collected.block) state.SkipWithError("no block");
  }
}
BENCHMARK_CAPTURE(judge_a_slot, sketch, with_sketch())->Arg(3)->Arg(100)->Arg(1000);
BENCHMARK_CAPTURE(judge_a_slot, bounds, with_bounds())->Arg(3)->Arg(100)->Arg(1000);

}  // namespace
