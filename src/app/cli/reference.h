// Reference: what a kind of probe and a preset say of themselves, for a terminal and as Markdown.
//
// Why: each is described in one place, its own file; config, messages, `davy probes`, `davy
// presets` and docs all read it. Threading: pure.
#pragma once

#include <string>

#include "davy/probe.h"

namespace davy::app {

std::string describe(const ProbeKind& kind);
/// All of docs/probes.md. A test compares; `davy probes --markdown` writes it anew.
std::string probe_reference();

/// The table of presets in docs/config.md. A test compares; `davy presets --markdown` prints it.
std::string preset_table();

}  // namespace davy::app
