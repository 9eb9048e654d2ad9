// The `requests:` part of a deployment, and the presets that fill it.

#include <fmt/format.h>
#include <algorithm>

#include "base/embedded.h"
#include "base/text.h"
#include "config/sections.h"

namespace davy::config {
namespace {

/// The keys that a preset and a deployment share.
void read_series(Settings& settings, RequestSeries& series) {
  settings.read("counter", series.counter);
  settings.read("error_when", series.error_when);
  settings.read("errors", series.errors);
  settings.read("histogram", series.histogram);
  if (auto unit = settings.choice(settings.find("unit"), {"seconds", "milliseconds"})) {
    series.latency_unit = *unit == 0 ? 1.0 : 1e-3;
  }
}

Preset read_preset(const embedded::File& file, Problems& problems) {
  Preset preset;
  preset.name = file.name;
  if (std::optional<Node> node = read_yaml(file.content, problems)) {
    Settings settings(*node, "", problems);
    settings.require("description", "one line");
    settings.read("description", preset.description);
    settings.read("checked", preset.checked);
    settings.read("versions_by", preset.versions_by);
    settings.read("signs", preset.signs);
    settings.read("last_resort", preset.last_resort, {"false", "true"});
    read_series(settings, preset.requests);
    settings.finish();
  }
  return preset;
}

void use_preset(Settings& settings, const Node& named, RequestSeries& series) {
  std::vector<std::string_view> names;
  for (const Preset& preset : presets()) names.push_back(preset.name);
  if (auto chosen = settings.choice(&named, names)) series = presets()[*chosen].requests;
}

}  // namespace

const std::vector<Preset>& presets() {
  static const std::vector<Preset> all = [] {
    std::vector<Preset> read;
    Problems ignored("presets");
    for (const embedded::File& file : embedded::presets())
      read.push_back(read_preset(file, ignored));
    // As files, haproxy-servers.yaml stands before haproxy.yaml.
    std::sort(read.begin(), read.end(),
              [](const Preset& a, const Preset& b) { return a.name < b.name; });
    return read;
  }();
  return all;
}

std::vector<Problem> preset_problems() {
  std::vector<Problem> all;
  for (const embedded::File& file : embedded::presets()) {
    Problems problems("config/presets/" + std::string(file.name) + ".yaml");
    read_preset(file, problems);
    for (Problem& problem : problems.sorted()) all.push_back(std::move(problem));
  }
  return all;
}

RequestSeries read_requests(const Node& map, const std::string& where, Problems& problems) {
  RequestSeries series;
  Settings settings(map, where, problems);
  std::size_t before = problems.count();
  if (const Node* preset = settings.find("preset")) use_preset(settings, *preset, series);
  read_series(settings, series);
  settings.finish();
  if (problems.count() > before || is_broken(map)) return series;
  if (series.counter.empty()) {
    settings.problem_at(map,
                        "names no counter of requests (write preset: prometheus-http, or "
                        "counter: your_requests_total)");
  } else if (series.error_when.empty() && series.errors.empty()) {
    settings.problem_at(map,
                        "does not say what an error is (add error_when: 'code=~\"5..\"', or "
                        "errors: your_errors_total)");
  }
  return series;
}

}  // namespace davy::config
