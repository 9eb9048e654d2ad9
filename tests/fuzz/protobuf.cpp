// Metrics as protobuf, in pieces: whatever comes, the reader neither crashes nor reads past it.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sources/formats/page_reader.h"

using namespace davy::source;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static const Rules rules =
      *Rules::compile({.counter = {"http_requests_total"},
                       .error_when = {"code=~\"5..\""},
                       .errors = {"e"},
                       .histogram = {"native_seconds", "both_seconds", "classic_seconds"}},
                      {{.name = "queue", .series = "queue_depth"}});
  if (size == 0) return 0;
  std::size_t piece = 1 + bytes[0];
  std::string_view page(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  PageReader reader(rules, {{Side::Baseline}}, 100);
  reader.begin("application/vnd.google.protobuf");
  for (std::size_t at = 0; at < page.size(); at += piece) reader.feed(page.substr(at, piece));
  (void)reader.finish();
  return 0;
}
