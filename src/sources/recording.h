// Recording: blocks written down, one JSON object per line, so that a run can be judged again.
//
// Why: `davy replay` and the tests judge the same blocks that the agent judged, bit for bit.
// A line:
//   {"t":12.5,"dt":5,"weight":0.05,
//    "baseline":{"requests":950,"errors":1},
//    "canary":{"requests":50,"errors":0,
//              "latency":{"le":[0.005,0.01,0.1],"counts":[40,7,2,1]},
//              "pods":[{"id":"v2-0","requests":50,"errors":0}]}}
// `le` are bucket bounds in seconds, ascending. `counts` are per bucket, not cumulative; the last
// one lies above the last bound, so there is one more count than bounds. A last bound of "+Inf" or
// null may be written out, then there are as many. weight, latency and pods may be left out; blank
// lines are skipped. Threading: pure. Failure: the first line that is wrong, as `file:line: what is
// wrong (what would be right)`.
#pragma once

#include <istream>
#include <string>
#include <vector>

#include "davy/block.h"
#include "davy/result.h"

namespace davy::source {

/// `file` is for messages. A recording without any block is an Error too.
Result<std::vector<Block>> read_recording(std::istream& in, const std::string& file);

}  // namespace davy::source
