// How fast a Prometheus' answer is read, beside simdjson's tree and nlohmann's of the same bytes.
// simdjson leaves the values as texts; read_prom_answer makes numbers of them and gives them away.

#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <simdjson.h>

#include <array>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "sources/prometheus/fleet.h"
#include "sources/prometheus/json.h"

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

/// What a fleet of 250 instances for each version shows in 2 minutes: 100 series each, of which 88
/// belong to histograms, 8 samples a series.
const std::string& fleet_answer(int version) {
  static const std::array<std::string, 2> answers = [] {
    std::array<std::string, 2> made;
    for (int v = 0; v < 2; ++v) {
      std::string& out = made[static_cast<std::size_t>(v)];
      out = R"({"status":"success","data":{"resultType":"matrix","result":[)";
      for (int i = 0; i < 25000; ++i) {
        int pod = i / 100;
        int series = i % 100;
        int bucket = series - 12;
        std::string own =
            series < 12
                ? fmt::format(R"("__name__":"n","code":"{}")", series == 0 ? 500 : 200 + series)
                : fmt::format(R"("__name__":"h_bucket","path":"/{}","le":"{}")", bucket / 22,
                              bucket % 22 == 21 ? "+Inf" : fmt::format("{}.5", bucket % 22));
        out += fmt::format(
            R"({}{{"metric":{{{},"instance":"10.0.{}.{}:9102","job":"checkout","namespace":"prod",)"
            R"("pod":"checkout-v{}-7f9c4d-{}","service":"checkout","version":"v{}"}},"values":[)",
            i == 0 ? "" : ",", own, v, pod, v + 1, pod, v + 1);
        for (int sample = 0; sample < 8; ++sample) {
          out += fmt::format("{}[{:.3f},\"{}\"]", sample == 0 ? "" : ",",
                             1795164886.0 + pod / 100.0 + 15 * sample, 1000 + sample * 17 + series);
        }
        out += "]}";
      }
      out += "]}}";
    }
    return made;
  }();
  return answers[static_cast<std::size_t>(version)];
}

/// One round: both answers to a block.
void promjson_fleet_of_500(benchmark::State& state) {
  source::Rules rules = *source::Rules::compile(
      {.counter = {"n"}, .error_when = {"code=~\"5..\""}, .errors = {}, .histogram = {"h"}});
  source::FleetSetup setup{.rules = rules,
                           .when = {*source::Matchers::parse("version=\"v1\""),
                                    *source::Matchers::parse("version=\"v2\"")},
                           .asked_for = {},
                           .instance_label = ""};
  source::Rounds rounds(rules);
  Time now{std::chrono::hours(1)};
  for (auto _ : state) {
    std::array<std::vector<source::PromTable>, 2> tables;
    for (source::Side side : source::kSides) {
      source::PromTable& table = tables[source::index(side)].emplace_back();
      if (!source::read_prom_answer(fleet_answer(static_cast<int>(source::index(side))), table))
        state.SkipWithError("refused");
    }
    source::Fleet fleet = source::read_fleet(tables, setup);
    now = now + std::chrono::seconds(15);
    Collected collected = rounds.finish_round(fleet.answers, now, 1795165006000);
    if (!collected.trouble.empty()) state.SkipWithError(collected.trouble.c_str());
    benchmark::DoNotOptimize(collected.block);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(fleet_answer(0).size() +
                                                                         fleet_answer(1).size()));
}
BENCHMARK(promjson_fleet_of_500)->Unit(benchmark::kMillisecond);

}  // namespace
