// The command line: parses, calls the command, returns its exit code. CLI11 stays in cli.cpp.
#pragma once

namespace davy::app {

/// Exit codes: docs/cli.md. Never throws.
int run(int argc, char** argv);

}  // namespace davy::app
