// Means: what makes blocking calls come back in time. One for the whole program; see davy/call.h.
//
// Threading: thread-safe. Shutdown: helpers.stop() makes calls that wait for a helper return.
#pragma once

#include <utility>

#include "base/helpers.h"
#include "net/resolver.h"
#include "net/watchdog.h"

namespace davy::net {

struct Means {
  Watchdog watchdog;
  Helpers helpers;
  Resolver resolver;

  Means() : resolver(look_up_by(helpers)) {}
  /// Names are looked up in another way: a helper itself asks in its own process.
  explicit Means(LookUp look_up) : resolver(std::move(look_up)) {}
};

}  // namespace davy::net
