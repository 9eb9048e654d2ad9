// The helper program: what this binary is when davy has started it to do what may hang.
//
// Serves requests until its parent is gone: run a probe once, look up a name, find and read files.
// Whatever hangs here is killed from outside; see base/helpers.h. Threading: one thread, and the
// watchdog's.
#pragma once

#include <optional>

namespace davy::app {

/// Call first in main: its exit code when this process is a helper, else nothing.
std::optional<int> run_if_helper(int argc, char** argv);

}  // namespace davy::app
