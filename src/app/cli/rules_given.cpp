#include "app/cli/rules_given.h"

#include <fmt/format.h>
#include <algorithm>

#include "base/text.h"
#include "config/config.h"
#include "config/sections.h"

namespace davy::app {
namespace {

Result<const config::Preset*> preset_named(const std::string& name) {
  std::vector<std::string> names;
  for (const config::Preset& preset : config::presets()) {
    if (preset.name == name) return &preset;
    names.push_back(preset.name);
  }
  std::string near = text::nearest(name, names);
  return Error{fmt::format("--preset: there is no preset {}{} (davy presets lists them)",
                           text::quoted(name), near.empty() ? "" : ", did you mean " + near + "?")};
}

Result<const config::Deployment*> deployment_of(const config::Config& config,
                                                const ScrapeOptions& options) {
  std::vector<std::string> names;
  for (const config::Deployment& deployment : config.deployments) {
    if (deployment.name == options.deployment) return &deployment;
    names.push_back(deployment.name);
  }
  if (options.deployment.empty() && names.size() == 1) return &config.deployments.front();
  if (names.empty()) return Error{options.config_file + ": has no deployments"};
  if (options.deployment.empty()) {
    return Error{fmt::format("{}: say which of its deployments: --deployment NAME (known: {})",
                             options.config_file, text::join(names, ", "))};
  }
  return Error{fmt::format("{}: there is no deployment {} (known: {})", options.config_file,
                           text::quoted(options.deployment), text::join(names, ", "))};
}

/// Of a deployment's source, what matters for reading one target.
Result<Done> take_source(const config::Deployment& deployment, RulesGiven& given) {
  const Options& source = deployment.source_options;
  if (deployment.source->name != "scrape") return Done{};
  if (source.has("max_body")) given.max_body = static_cast<std::size_t>(source.number("max_body"));
  if (source.has("max_series"))
    given.max_series = static_cast<std::size_t>(source.number("max_series"));
  if (!source.has("baseline_when") || !source.has("canary_when")) return Done{};
  given.shares.clear();
  for (source::Side side : source::kSides) {
    Result<source::Matchers> when =
        source::Matchers::parse(source.text(fmt::format("{}_when", word(side))));
    if (!when) return when.error();
    given.shares.push_back({side, std::move(*when)});
  }
  return Done{};
}

Result<RulesGiven> from_config(const ScrapeOptions& options) {
  config::Loaded loaded = config::load_file(options.config_file, {probe_kinds(), source_kinds()});
  if (!loaded.config) {
    std::vector<std::string> lines;
    for (const config::Problem& problem : loaded.problems) lines.push_back(problem.text());
    return Error{text::join(lines, "\n")};
  }
  Result<const config::Deployment*> found = deployment_of(*loaded.config, options);
  if (!found) return found.error();
  const config::Deployment& deployment = **found;
  RulesGiven given{.from = fmt::format("deployment {} of {}", deployment.name, options.config_file),
                   .requests = deployment.requests,
                   .values = deployment.policy.value_series()};
  if (auto done = take_source(deployment, given); !done) return done.error();
  return given;
}

/// The options replace single parts of a preset, as in a config.
Result<Done> take_options(const ScrapeOptions& options, RequestSeries& series) {
  auto take = [](const std::vector<std::string>& from, std::vector<std::string>& to) {
    if (!from.empty()) to = from;
  };
  take(options.counter, series.counter);
  take(options.error_when, series.error_when);
  take(options.errors, series.errors);
  take(options.histogram, series.histogram);
  if (!options.unit.empty()) series.latency_unit = options.unit == "milliseconds" ? 1e-3 : 1;
  if (series.counter.empty())
    return Error{"say which series count requests: --counter http_requests_total, or --preset"};
  if (series.error_when.empty() && series.errors.empty()) {
    return Error{
        "say what an error is: --error-when 'code=~\"5..\"', or --errors your_errors_total"};
  }
  return Done{};
}

}  // namespace

Result<std::optional<RulesGiven>> rules_given(const ScrapeOptions& options) {
  bool has_series = !options.counter.empty() || !options.error_when.empty() ||
                    !options.errors.empty() || !options.histogram.empty() || !options.unit.empty();
  if (!options.deployment.empty() && options.config_file.empty())
    return Error{"--deployment needs the config that it is in: --config FILE"};
  if (!options.config_file.empty()) {
    if (has_series || !options.preset.empty()) {
      return Error{
          "--config says which series count already: leave out --preset, --counter, "
          "--error-when, --errors, --histogram and --unit"};
    }
    Result<RulesGiven> given = from_config(options);
    if (!given) return given.error();
    return std::optional(std::move(*given));
  }
  if (!has_series && options.preset.empty()) return std::optional<RulesGiven>();
  RulesGiven given{.from = "the command line's", .requests = {}};
  if (!options.preset.empty()) {
    Result<const config::Preset*> preset = preset_named(options.preset);
    if (!preset) return preset.error();
    given.from = "the preset " + options.preset + (has_series ? ", with the command line's" : "");
    given.requests = (*preset)->requests;
  }
  if (auto done = take_options(options, given.requests); !done) return done.error();
  return std::optional(std::move(given));
}

std::vector<source::Candidate> preset_candidates() {
  std::vector<source::Candidate> all;
  for (const config::Preset& preset : config::presets()) {
    all.push_back({.name = preset.name,
                   .requests = preset.requests,
                   .signs = preset.signs,
                   .versions_by = preset.versions_by,
                   .resort = preset.last_resort ? source::Candidate::Resort::Last
                                                : source::Candidate::Resort::First});
  }
  return all;
}

source::Candidate guess_candidate(const source::Guess& guess) {
  return {.name = std::string(kGuessed),
          .requests = guess.requests,
          .resort = source::Candidate::Resort::Guess};
}

bool fits_well(const source::Fit& best) {
  return best.grade >= source::Fit::Grade::NoLatency &&
         best.candidate.resort != source::Candidate::Resort::Last;
}

}  // namespace davy::app
