// Sections: the parts of a config file, each raw mapping -> the final type.
//
// Why: load.cpp reads as the outline of the file; each section has a .cpp of its own.
// Threading: pure, except that a kind's `make` is called once, so that it can refuse its settings.
// Failure: problems; then what is returned is incomplete and must not be used.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/settings.h"

namespace davy::config {

std::vector<Check> read_checks(const Node& list, const Kinds& kinds, Problems& problems);

std::vector<Deployment> read_deployments(const Node& list, const Kinds& kinds, Problems& problems);

std::vector<Publication> read_publications(const Node& list, const Kinds& kinds,
                                           Problems& problems);

/// The one kind that a mapping names: `{ scrape: {...} }`.
struct ChosenSource {
  const SourceKind* kind;
  const Node* node;   // its options
  std::string where;  // for messages about them
};
/// Nothing when it names none of `kinds`, and that is told as "not a `what`".
std::optional<ChosenSource> choose_source(Settings& settings,
                                          const std::vector<const SourceKind*>& kinds,
                                          std::string_view what);
/// Whether an Error of a kind's `make` is about the part `requests`.
bool is_of_requests(std::string_view setting);

/// `where` names what the policy belongs to, for messages.
Policy read_policy(const Node& map, const std::string& where, Problems& problems);

/// Its part `metrics:`.
std::vector<ValuePolicy> read_own_metrics(const Node& list, const std::string& where,
                                          Problems& problems);
/// `name`, and which series it is, of one metric.
void read_value_series(Settings& settings, ValueSeries& out);
/// Such metrics without a policy, as they are published.
std::vector<ValueSeries> read_published_metrics(const Node& list, const std::string& where,
                                                Problems& problems);
/// `severity`, `trust` and `muted` of one metric.
void read_standing(Settings& settings, Standing& out);

RequestSeries read_requests(const Node& map, const std::string& where, Problems& problems);

/// One of config/presets/*.yaml: `requests:` keys, and what is known of whoever shows such series.
struct Preset {
  std::string name;
  std::string description;
  std::string checked;      // what its names were checked against; "" = nothing, they may be wrong
  std::string versions_by;  // the label that tells versions apart, where one target has both
  std::vector<std::string> signs;  // names of other series by which its target is known
  bool last_resort = false;        // fits what hardly anybody wants to judge by
  RequestSeries requests;
};
/// Every preset, in the order of their names. REQUIRES: they are right; a test sees to that.
const std::vector<Preset>& presets();

/// What is wrong with the presets: for the test.
std::vector<Problem> preset_problems();

/// As in Check::settings: what was written, and a mark of what the ${...} in it came out as, so
/// that a rotated secret makes a difference and is not stored.
std::string fingerprint(const Node& node);

}  // namespace davy::config
