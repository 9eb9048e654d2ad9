// Reference: what a kind of probe says of itself, for a terminal and as Markdown.
//
// Why: a kind is described in one place, its own file; config, messages, `davy probes` and
// docs/probes.md all read it. Threading: pure.
#pragma once

#include <string>

#include "davy/probe.h"

namespace davy::app {

std::string describe(const ProbeKind& kind);
/// All of docs/probes.md. A test compares; `davy probes --markdown` writes it anew.
std::string probe_reference();

}  // namespace davy::app
