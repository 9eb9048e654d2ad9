// Kind options: the settings of one probe kind or metric source, by the kind's own description.
//
// Threading: pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/settings.h"
#include "davy/options.h"

namespace davy::config {

/// Reads every option that `specs` describes out of `settings`, fallbacks as if they were written.
/// Nothing when anything is wrong with them, which is then a problem already.
std::optional<Options> read_options(Settings& settings, const std::vector<OptionSpec>& specs);

/// An option for people: "5s", "***" for secrets, user info in URLs hidden.
std::string show_option(const Options& options, const OptionSpec& spec);

/// What a kind said about its settings, at the line of the one to blame.
void blame(Settings& settings, const Error& error);

}  // namespace davy::config
