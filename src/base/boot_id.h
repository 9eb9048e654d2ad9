// Boot id: a name for the time since this machine started.
//
// Why: within it the steady clock goes on and pids mean what they meant; after it both begin anew.
// Threading: thread-safe; read once.
// Failure: "" where /proc does not tell it; then every start of the machine looks like the same.
#pragma once

#include <string>

namespace davy {

const std::string& boot_id();

}  // namespace davy
