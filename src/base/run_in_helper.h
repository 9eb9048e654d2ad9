// Runs a probe in a helper process: what Probe::run is for kinds whose runner is Helper.
//
// Threading: thread-safe; blocks the caller. Returns when the helper has answered, or is killed and
// gone: one in an uninterruptible sleep keeps the caller beyond the deadline, and the run counts as
// not come back.
// Failure: a helper killed at the deadline is a failure "timeout" of what was probed; one that
// could not be started, or that died otherwise, is our own trouble: an error "resources" or
// "helper_died".
#pragma once

#include "base/helpers.h"
#include "davy/probe.h"

namespace davy {

Outcome run_in_helper(Helpers& helpers, const ProbeKind& kind, const Options& options,
                      const ProbeContext& ctx);

}  // namespace davy
