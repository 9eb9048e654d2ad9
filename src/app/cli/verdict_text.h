// Verdict text: a verdict with all its evidence, drawn with characters for a terminal.
//
// Why: from the verdict's JSON, so that a running agent's and a recording's look the same, and an
// older agent's can be read, too: what a verdict does not say is left out. Threading: pure.
// Failure: an Error when the text is no verdict.
#pragma once

#include <string>

#include "app/cli/look.h"
#include "davy/result.h"

namespace davy::app {

Result<std::string> verdict_text(const std::string& verdict_json, const Look& look);

}  // namespace davy::app
