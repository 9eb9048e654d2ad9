// davy version.

#include <fmt/format.h>
#include <cstdio>

#include "app/cli/commands.h"

namespace davy::app {

int version(bool json) {
  if (json) {
    fmt::print("{{\"name\": \"davy\", \"version\": \"{}\"}}\n", DAVY_VERSION);
  } else {
    fmt::print("davy {}\n", DAVY_VERSION);
  }
  return kExitPass;
}

}  // namespace davy::app
