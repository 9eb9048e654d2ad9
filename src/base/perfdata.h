// Performance data of Nagios plugins: `text | 'label'=value[unit];warn;crit;min;max ...`.
//
// Source: Monitoring Plugins Development Guidelines, "Performance data".
// Threading: pure functions. Failure: what comes after the first thing that is not of this form is
// left out; nothing is guessed.
#pragma once

#include <string_view>
#include <vector>

#include "davy/probe.h"

namespace davy::perfdata {

/// At most `most` measurements of what stands behind the `|`. Units become ours: ms and us seconds,
/// % a ratio, KB (1024), MB, GB and TB bytes, c and none a count.
std::vector<Measurement> parse(std::string_view text, std::size_t most = 16);

}  // namespace davy::perfdata
