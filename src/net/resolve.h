// Name resolution.
//
// Why: getaddrinfo is the one call that no guard can end. It is made in one place only, so that one
// place can be improved; callers run on worker threads and the scheduler answers in their stead.
// main() sets RES_OPTIONS so that a dead resolver costs seconds, not tens of them.
// Threading: pure; blocks.
#pragma once

#include <string>
#include <vector>

#include "davy/result.h"

namespace davy::net {

/// The numeric addresses of `host`, in the system's order without duplicates. A numeric host is
/// returned as it is, without a query.
Result<std::vector<std::string>> resolve(const std::string& host);

}  // namespace davy::net
