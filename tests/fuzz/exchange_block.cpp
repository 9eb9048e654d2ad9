// Blocks out of a Redis stream. Whatever comes is refused, or is the one encoding of a block; the
// same bytes behind a checksum that is right, so that it does not keep everything out.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/checksum.h"
#include "base/packed.h"
#include "sources/exchange/block.h"

using namespace davy::source;

namespace {

void check(std::string_view bytes) {
  davy::Result<ExchangeBlock> block = decode(bytes);
  if (!block) {
    if (block.error().what.empty()) std::abort();
    return;
  }
  davy::Result<std::string> again = encode(*block);
  if (!again || *again != bytes) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(bytes), size);
  check(input);
  std::string sealed(input.substr(0, input.size() < 8 ? 0 : input.size() - 8));
  davy::packed::put_word(sealed, davy::checksum(sealed));
  check(sealed);
  return 0;
}
