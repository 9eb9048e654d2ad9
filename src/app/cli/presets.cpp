// davy presets: the presets that a deployment may name; also makes their table in docs/config.md.

#include <fmt/format.h>

#include "app/cli/commands.h"
#include "app/cli/reference.h"
#include "base/embedded.h"
#include "base/text.h"
#include "config/sections.h"

namespace davy::app {

int presets(const PresetsOptions& options) {
  if (options.markdown) {
    fmt::print("{}", preset_table());
    return kExitPass;
  }
  for (const embedded::File& file : embedded::presets()) {
    if (file.name != options.name) continue;
    fmt::print("{}", file.content);
    return kExitPass;
  }
  std::vector<std::string> names;
  for (const config::Preset& preset : config::presets()) names.push_back(preset.name);
  if (!options.name.empty()) {
    std::string near = text::nearest(options.name, names);
    fmt::print(stderr, "there is no preset {}{} (known: {})\n", text::quoted(options.name),
               near.empty() ? "" : ", did you mean " + near + "?", text::join(names, ", "));
    return kExitUsage;
  }
  for (const config::Preset& preset : config::presets())
    fmt::print("{:<26} {}\n", preset.name, preset.description);
  fmt::print("\ndavy presets NAME shows what it says. Which one fits: davy config suggest URL\n");
  return kExitPass;
}

}  // namespace davy::app
