// Metrics as a target may send them: whatever comes, the reader neither crashes nor reads past it.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sources/reading.h"

using namespace davy;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static const source::Rules rules = *source::Rules::compile(
      {.counter = {"n"}, .error_when = {"code=~\"5..\""}, .errors = {"e"}, .histogram = {"h"}});
  std::string_view body(reinterpret_cast<const char*>(bytes), size);
  (void)source::read_metrics(body, rules, {{source::Side::Baseline}}, 100);
  return 0;
}
