// OpenBlock: gathers what sources deliver until there is enough to judge.
//
// Why: at low traffic a block of one scrape says almost nothing and costs evidence. The rule looks
// at requests only, never at errors: when to look must not depend on what will be seen. Threading:
// a plain value.
#pragma once

#include <optional>

#include "base/archive.h"
#include "davy/block.h"

namespace davy::canary {

class OpenBlock {
 public:
  /// Adds a source's block; returns the closed one when both versions have 10 requests, or after
  /// 60 s with one each, or after 300 s whatever there is.
  /// With all traffic on the canary only its requests count.
  std::optional<Block> add(const Block& more);
  /// What is open now, closed early (the stage changes); nullopt when a version has no requests.
  std::optional<Block> close();
  void archive(Archive& a) { a(open_); }

 private:
  std::optional<Block> open_;
};

}  // namespace davy::canary
