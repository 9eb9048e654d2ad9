// The daemon: start-up and shutdown of `davy agent`, as two numbered lists.
#pragma once

#include <string>

#include "config/config.h"

namespace davy::app {

struct DaemonOptions {
  std::string config_file;
};

/// Runs until SIGTERM or SIGINT; returns the exit code. SIGHUP reloads.
/// REQUIRES: called on the main thread, before any other thread exists.
int run_daemon(const DaemonOptions& options);

}  // namespace davy::app
