// Rules given: by which rules `davy scrape` is to read a target, as the command line says.
//
// Threading: pure, but reads the config's file. Failure: an Error with all that is wrong, a line
// for each.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/cli/commands.h"
#include "davy/result.h"
#include "davy/source.h"
#include "sources/rules.h"
#include "sources/suggest/fit.h"
#include "sources/suggest/guess.h"

namespace davy::app {

inline constexpr std::size_t kMaxBody = 32 << 20;
inline constexpr std::size_t kMaxSeries = 10'000;

struct RulesGiven {
  std::string from;  // "the preset haproxy", for a person
  RequestSeries requests;
  std::vector<ValueSeries> values{};
  std::vector<source::Share> shares{{source::Side::Canary, {}}};
  std::size_t max_body = kMaxBody;
  std::size_t max_series = kMaxSeries;
};

/// Nothing when the command line says nothing of rules.
Result<std::optional<RulesGiven>> rules_given(const ScrapeOptions& options);

/// Every preset, to be held against a target.
std::vector<source::Candidate> preset_candidates();
/// Among them, a guess for what no preset knows.
inline constexpr std::string_view kGuessed{};
source::Candidate guess_candidate(const source::Guess& guess);
/// What to know of a preset of last resort.
inline constexpr std::string_view kOnlyScrapes =
    "it counts scrapes of the target, not what it serves: good for trying davy out, not more";
/// Whether there is no need to guess.
bool fits_well(const source::Fit& best);

}  // namespace davy::app
