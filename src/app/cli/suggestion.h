// Suggestion: a config for what a target shows, and the table that says why it is this one.
//
// Why: which preset fits is a question that the target's own pages answer. What comes out is a
// whole config that loads as it is; what nobody but its reader can know is marked with CHANGE.
// Threading: pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "app/cli/look.h"
#include "sources/suggest/fit.h"
#include "sources/suggest/guess.h"

namespace davy::app {

/// What was seen of V1's target, or of the one that serves both, and of V2's.
struct Seen {
  std::string url;
  std::string canary;                  // "" = not given
  std::string name;                    // of the service
  std::vector<source::Fit> fits;       // best first
  std::vector<source::Fit> of_canary;  // in any order; empty without one
  std::optional<source::Guess> guess;  // that is among them
};

struct Suggestion {
  std::string table;  // every preset, with why and why not
  std::string yaml;   // "" when nothing fits
  std::vector<std::string> remarks;
};

Suggestion suggest(const Seen& seen, const Look& look);

/// A name for the service behind a URL: its host's first part, or "shop" for an address.
std::string name_by_url(const std::string& url);

}  // namespace davy::app
