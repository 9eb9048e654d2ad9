// Kinds of probes and sources for tests of the config: no sockets behind them.
#pragma once

#include <string>

#include "config/config.h"

namespace davy::config::fakes {

/// db (remote), file (local, needs a path), http (remote, has a url), and every type of option in
/// `all_types`; the sources `scrape` with every and baseline, `exchange`, to which `publish` can
/// publish, and `own`, which it can count by.
const Kinds& kinds();

/// The problems of a config, one per line.
std::string problems_of(std::string_view yaml);

/// A check: `service`, and one check with these lines (each is indented).
std::string with_check(std::string_view lines);

}  // namespace davy::config::fakes
