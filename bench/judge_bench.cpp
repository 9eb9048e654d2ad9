// What a closed block costs the judge, beside the logarithms that no judge could do without: three
// tests of ten alternatives, and an interval of 121 points, for each of three metrics.

#include <benchmark/benchmark.h>

#include <cmath>
#include <vector>

#include "canary/judge.h"

using namespace davy;

namespace {

Block block_of(std::size_t buckets) {
  Block b;
  b.dt = 5;
  b.baseline.requests = 4000;
  b.baseline.errors = 8;
  b.canary.requests = 1000;
  b.canary.errors = 2;
  Histogram h;
  for (std::size_t i = 0; i < buckets; ++i) {
    h.bounds.push_back(0.001 * std::pow(1.08, static_cast<double>(i)));
    h.counts.push_back(static_cast<double>(i % 17));
  }
  h.counts.push_back(1);
  b.baseline.latency = b.canary.latency = h;
  return b;
}

void judge_block(benchmark::State& state) {
  config::Policy policy;
  policy.warm_up = Duration::zero();
  canary::Judge judge(policy, {});
  Block block = block_of(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    block.t += block.dt;
    judge.see(block);
    benchmark::DoNotOptimize(judge.kind());
  }
}
BENCHMARK(judge_block)->Arg(12)->Arg(100);

void logarithms_alone(benchmark::State& state) {
  double x = 1.5;
  for (auto _ : state) {
    for (int i = 0; i < 3 * (3 * 10 * 3 + 121); ++i) x = 1.5 + std::log(x) * 1e-3;
    benchmark::DoNotOptimize(x);
  }
}
BENCHMARK(logarithms_alone);

}  // namespace
