// What it costs to keep a latency in a sketch, beside reading it out of memory, which nothing can
// do without. Look at the counter `each` (per value), and at the ratio of two lines.

#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "davy/sketch.h"

using namespace davy;

namespace {

/// 4 million latencies around 50 ms.
const std::vector<double>& latencies() {
  static const std::vector<double> all = [] {
    std::mt19937_64 random(1);
    std::lognormal_distribution<double> draw(-3, 1);
    std::vector<double> values(4'000'000);
    for (double& value : values) value = draw(random);
    return values;
  }();
  return all;
}

void tell_each(benchmark::State& state, std::size_t n) {
  state.counters["each"] =
      benchmark::Counter(static_cast<double>(n), benchmark::Counter::kIsIterationInvariantRate |
                                                     benchmark::Counter::kInvert);
}

void read_latencies_alone(benchmark::State& state) {
  for (auto _ : state) {
    double sum = 0;
    for (double value : latencies()) sum += value;
    benchmark::DoNotOptimize(sum);
  }
  tell_each(state, latencies().size());
}
BENCHMARK(read_latencies_alone)->Unit(benchmark::kMillisecond);

void insert_into_sketch(benchmark::State& state) {
  Sketch sketch;
  for (auto _ : state) {
    for (double value : latencies()) sketch.insert(value);
    benchmark::DoNotOptimize(sketch);
  }
  tell_each(state, latencies().size());
}
BENCHMARK(insert_into_sketch)->Unit(benchmark::kMillisecond);

Sketch filled() {
  Sketch sketch;
  for (double value : latencies()) sketch.insert(value);
  return sketch;
}

void merge_sketches(benchmark::State& state) {
  Sketch sum = filled();
  Sketch more = filled();
  for (auto _ : state) {
    sum.merge(more);
    benchmark::DoNotOptimize(sum);
  }
}
BENCHMARK(merge_sketches);

void quantile_of_sketch(benchmark::State& state) {
  Sketch sketch = filled();
  for (auto _ : state) benchmark::DoNotOptimize(sketch.quantile(0.99));
}
BENCHMARK(quantile_of_sketch);

void sketch_to_bytes_and_back(benchmark::State& state) {
  Sketch sketch = filled();
  for (auto _ : state) benchmark::DoNotOptimize(Sketch::from_bytes(sketch.bytes()));
  state.counters["bytes"] = static_cast<double>(sketch.bytes().size());
}
BENCHMARK(sketch_to_bytes_and_back);

}  // namespace
