// How fast a scrape's text is read, beside the limit: finding its line ends with memchr.

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cstring>
#include <string>

#include "sources/formats/exposition.h"
#include "sources/reading.h"

using namespace davy;

namespace {

/// 50,000 series of 2,000 families; one family is the one a policy reads.
const std::string& page() {
  static const std::string text = [] {
    std::string out;
    for (int family = 0; family < 2000; ++family) {
      std::string name =
          family == 1000 ? "http_requests_total" : fmt::format("app_thing_{}_total", family);
      out += fmt::format("# HELP {0} How often it happened.\n# TYPE {0} counter\n", name);
      for (int i = 0; i < 25; ++i) {
        out += fmt::format(
            "{}{{method=\"GET\",code=\"{}\",path=\"/api/v1/orders/{}\",pod=\"shop-7f9c4d-x{}\"}} "
            "{}\n",
            name, i % 5 == 0 ? 500 : 200, i, family % 40, family * 100 + i);
      }
    }
    return out;
  }();
  return text;
}

void line_ends_alone(benchmark::State& state) {
  const std::string& text = page();
  for (auto _ : state) {
    std::size_t lines = 0;
    const char* at = text.data();
    const char* end = at + text.size();
    while (const void* next = std::memchr(at, '\n', static_cast<std::size_t>(end - at))) {
      at = static_cast<const char*>(next) + 1;
      ++lines;
    }
    benchmark::DoNotOptimize(lines);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK(line_ends_alone);

void read_scrape(benchmark::State& state) {
  source::Rules rules = *source::Rules::compile({.counter = {"http_requests_total"},
                                                 .error_when = {"code=~\"5..\""},
                                                 .errors = {},
                                                 .histogram = {}});
  for (auto _ : state) {
    Result<source::Reading> reading =
        source::read_metrics(page(), rules, {{source::Side::Baseline}}, 10000);
    benchmark::DoNotOptimize(reading->counters.size());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(page().size()));
}
BENCHMARK(read_scrape);

}  // namespace
