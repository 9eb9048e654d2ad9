// Resolver: names to addresses.
//
// Why: getaddrinfo is the one call that no guard can end. It is made in one place only.
// Threading: thread-safe; resolve() blocks.
#pragma once

#include <string>
#include <vector>

#include "davy/result.h"
#include "davy/time.h"

namespace davy::net {

/// Whether `host` needs no looking up.
bool is_numeric_address(const std::string& host);

class Resolver {
 public:
  /// The numeric addresses of `host`, in the system's order without duplicates. A numeric host is
  /// returned as it is, without a query.
  Result<std::vector<std::string>> resolve(const std::string& host, Deadline deadline);
};

}  // namespace davy::net
