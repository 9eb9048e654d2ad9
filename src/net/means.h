// Means: what makes blocking calls come back in time. One for the whole program; see davy/call.h.
//
// Threading: thread-safe.
#pragma once

#include "net/resolver.h"
#include "net/watchdog.h"

namespace davy::net {

struct Means {
  Watchdog watchdog;
  Resolver resolver;
};

}  // namespace davy::net
