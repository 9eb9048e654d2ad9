// How fast a Prometheus' answer is read, beside simdjson's tree and nlohmann's of the same bytes.
// simdjson leaves the values as texts; read_prom_answer makes numbers of them and gives them away.

#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <simdjson.h>

#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "sources/promjson.h"

using namespace davy;

namespace {

constexpr int kSeries = 1000;
constexpr int kPoints = 600;

/// A query_range of counters: 600,000 points, 17 MB, two thirds of the values with 6 decimals.
const std::string& answer() {
  static const std::string text = [] {
    std::mt19937_64 random(7);
    std::uniform_real_distribution<double> growth(0, 10);
    constexpr std::string_view kBounds[] = {"0.05", "0.1", "0.5", "+Inf"};
    std::string out = R"({"status":"success","data":{"resultType":"matrix","result":[)";
    for (int s = 0; s < kSeries; ++s) {
      out += fmt::format(
          R"({}{{"metric":{{"__name__":"http_request_duration_seconds_bucket","job":"checkout",)"
          R"("pod":"checkout-{:08x}","version":"{}","le":"{}"}},"values":[)",
          s == 0 ? "" : ",", random() & 0xFFFFFFFF, s % 2 == 0 ? "v2" : "v1",
          kBounds[random() % 4]);
      double value = 0;
      for (int p = 0; p < kPoints; ++p) {
        value += growth(random);
        out += fmt::format("{}[{:.3f},\"", p == 0 ? "" : ",", 1795164886.911 + 15.0 * p);
        out += s % 3 == 0 ? fmt::format("{:.0f}", value) : fmt::format("{:.6f}", value);
        out += "\"]";
      }
      out += "]}";
    }
    return out + "]}}\n";
  }();
  return text;
}

struct Adding final : source::PromSink {
  double sum = 0;
  void begin() override { sum = 0; }
  void take(const source::PromSeries& series) override {
    for (const source::PromSample& sample : series.samples) sum += sample.value;
  }
};

void promjson_davy(benchmark::State& state) {
  for (auto _ : state) {
    Adding sink;
    if (!source::read_prom_answer(answer(), sink)) state.SkipWithError("refused");
    benchmark::DoNotOptimize(sink.sum);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(answer().size()));
}
BENCHMARK(promjson_davy);

void promjson_simdjson_dom(benchmark::State& state) {
  simdjson::padded_string padded(answer());
  simdjson::dom::parser parser;
  for (auto _ : state) {
    simdjson::dom::element root;
    if (parser.parse(padded).get(root) != simdjson::SUCCESS) state.SkipWithError("refused");
    benchmark::DoNotOptimize(root);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(answer().size()));
}
BENCHMARK(promjson_simdjson_dom);

void promjson_nlohmann(benchmark::State& state) {
  for (auto _ : state) {
    nlohmann::json root = nlohmann::json::parse(answer(), nullptr, false);
    benchmark::DoNotOptimize(root.size());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(answer().size()));
}
BENCHMARK(promjson_nlohmann)->Iterations(2);

}  // namespace
