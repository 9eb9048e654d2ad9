// davy config check: reads a config as the agent would, and prints what it means.

#include <fmt/format.h>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "app/cli/commands.h"
#include "config/config.h"

namespace davy::app {

int config_check(const ConfigCheckOptions& options) {
  config::Loaded loaded = config::load_file(options.file, {probe_kinds(), source_kinds()});
  if (options.json) {
    nlohmann::ordered_json problems = nlohmann::ordered_json::array();
    for (const config::Problem& p : loaded.problems) {
      problems.push_back({{"file", p.file}, {"line", p.line}, {"problem", p.what}});
    }
    nlohmann::ordered_json out{{"ok", loaded.config.has_value()}, {"problems", problems}};
    fmt::print("{}\n", out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  } else {
    for (const config::Problem& p : loaded.problems) fmt::print(stderr, "{}\n", p.text());
    if (loaded.config) fmt::print("{}", config::explain(*loaded.config));
  }
  return loaded.config ? kExitPass : kExitUsage;
}

}  // namespace davy::app
