// davy config check: reads a config as the agent would, and prints what it means, how long its
// policies will take, and what they can never do.

#include <fmt/format.h>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "app/cli/commands.h"
#include "canary/forecast.h"
#include "config/config.h"

namespace davy::app {
namespace {

void print_forecast(const config::Deployment& deployment) {
  std::vector<std::string> lines = canary::forecast_lines(deployment);
  if (lines.empty()) return;
  fmt::print("\nforecast for {}, at {:g} requests/s and {:g}% errors\n", deployment.name,
             deployment.expect->requests_per_second, deployment.expect->error_rate * 100);
  for (const std::string& line : lines) fmt::print("  {}\n", line);
}

/// What is allowed and cannot be meant.
std::vector<config::Problem> warnings(const config::Loaded& loaded, const std::string& file) {
  std::vector<config::Problem> all;
  if (!loaded.config) return all;
  all = config::doubts(*loaded.config, file);
  for (const config::Deployment& deployment : loaded.config->deployments) {
    for (const std::string& doubt : canary::doubts(deployment))
      all.push_back({file, deployment.line, "deployment " + deployment.name + ": " + doubt});
  }
  return all;
}

nlohmann::ordered_json json_of(const std::vector<config::Problem>& all, const char* what) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const config::Problem& p : all)
    list.push_back({{"file", p.file}, {"line", p.line}, {what, p.what}});
  return list;
}

}  // namespace

int config_check(const ConfigCheckOptions& options) {
  config::Loaded loaded = config::load_file(options.file, {probe_kinds(), source_kinds()});
  std::vector<config::Problem> warned = warnings(loaded, options.file);
  if (options.json) {
    nlohmann::ordered_json out{{"ok", loaded.config.has_value()},
                               {"problems", json_of(loaded.problems, "problem")},
                               {"warnings", json_of(warned, "warning")}};
    fmt::print("{}\n", out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  } else {
    for (const config::Problem& p : loaded.problems) fmt::print(stderr, "{}\n", p.text());
    if (loaded.config) {
      fmt::print("{}", config::explain(*loaded.config));
      for (const config::Deployment& deployment : loaded.config->deployments)
        print_forecast(deployment);
    }
    std::fflush(stdout);
    for (const config::Problem& p : warned)
      fmt::print(stderr, "{}\n", config::Problem{p.file, p.line, "warning: " + p.what}.text());
  }
  return loaded.config ? kExitPass : kExitUsage;
}

}  // namespace davy::app
