// Metrics as text. The input is a byte that chooses the format and pages, with a 0 between them, of
// the same target: whatever comes, each page reads as it would if it were the first.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "sources/formats/page_reader.h"

using namespace davy::source;

namespace {

/// The counters' values by series, sorted; "" for a page that cannot be trusted.
std::string read(PageReader& reader, std::string_view page, std::string_view type,
                 std::size_t piece) {
  reader.begin(type);
  for (std::size_t at = 0; at < page.size(); at += piece) reader.feed(page.substr(at, piece));
  davy::Result<Reading> reading = reader.finish();
  if (!reading) return "";
  std::sort(reading->counters.begin(), reading->counters.end(),
            [](const auto& a, const auto& b) { return a.series < b.series; });
  std::string text = "good\n";
  for (const Reading::Counter& counter : reading->counters)
    text += counter.series + " " + std::to_string(counter.value) + "\n";
  std::sort(reading->histograms.begin(), reading->histograms.end(),
            [](const auto& a, const auto& b) { return a.series < b.series; });
  for (const Reading::Buckets& buckets : reading->histograms) {
    text += buckets.series;
    for (double count : buckets.cumulative) text += " " + std::to_string(count);
    text += "\n";
  }
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static const Rules rules = *Rules::compile(
      {.counter = {"n"}, .error_when = {"code=~\"5..\""}, .errors = {"e"}, .histogram = {"h"}});
  if (size == 0) return 0;
  std::string_view type = bytes[0] % 2 == 0 ? "text/plain" : "application/openmetrics-text";
  std::size_t piece = 1 + bytes[0] / 2;
  std::string_view pages(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  PageReader target(rules, {{Side::Baseline}}, 100);
  while (!pages.empty()) {
    std::string_view page = pages.substr(0, pages.find('\0'));
    pages.remove_prefix(std::min(page.size() + 1, pages.size()));
    PageReader fresh(rules, {{Side::Baseline}}, 100);
    if (read(target, page, type, piece) != read(fresh, page, type, page.size() + 1)) std::abort();
  }
  return 0;
}
