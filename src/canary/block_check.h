// Block check: what a block must be before it is judged.
//
// Why: sources are careful, but recordings are written by hand and counters lie. A block that
// cannot be true is telemetry's trouble: it becomes a verdict `error`, never a fail or a pass.
// Threading: pure.
#pragma once

#include <optional>
#include <string>

#include "davy/block.h"

namespace davy::canary {

/// What is wrong with it, for a person; nothing when it is good. `since` = the last block's t.
std::optional<std::string> wrong_with(const Block& block, std::optional<double> since);

}  // namespace davy::canary
