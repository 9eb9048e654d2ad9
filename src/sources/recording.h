// Recording: blocks written down, one JSON object per line, so that a run can be judged again.
//
// Why: `davy replay` and the tests judge the same blocks that the agent judged, bit for bit.
// A line:
//   {"t":12.5,"dt":5,"weight":0.05,
//    "baseline":{"requests":950,"errors":1},
//    "canary":{"requests":50,"errors":0,
//              "latency":{"le":[0.005,0.01,0.1],"counts":[40,7,2,1]},
//              "pods":[{"id":"v2-0","requests":50,"errors":0,"restarts":1,"age":12.5,
//                       "latency":{"counts":[40,7,2,1]}}],
//              "values":{"memory":1.5e8}}}
// `le` are bucket bounds in seconds, ascending. `counts` are per bucket, not cumulative; the last
// one lies above the last bound, so there is one more count than bounds. A last bound of "+Inf" or
// null may be written out, then there are as many. Neither the bounds of a sketch (davy/sketch.h)
// are written out nor the zeros around its counts: {"le":"sketch","from":402,"counts":[3,0,8]}.
// A pod's latency without `le` is at its version's bounds. `age` is in seconds. `values` are the
// deployment's own metrics, finite numbers in the order of the policy. What a block may do without
// (davy/block.h) may be left out; no key may stand twice; blank lines are skipped. A line has at
// most 1 MiB.
// Threading: pure. Failure: the first line that is wrong, as `file:line: what is wrong (what would
// be right)`.
#pragma once

#include <istream>
#include <string>
#include <vector>

#include "davy/block.h"
#include "davy/result.h"

namespace davy::source {

/// `file` is for messages. A recording without any block is an Error too.
Result<std::vector<Block>> read_recording(std::istream& in, const std::string& file);

/// One line, without its end, that reads back to the same block: every double in all its bits.
/// REQUIRES: all numbers are finite.
std::string recording_line(const Block& block);

}  // namespace davy::source
