// davy probes: the kinds of probes, from their own descriptions; also makes docs/probes.md.

#include <fmt/format.h>

#include "app/cli/commands.h"
#include "app/cli/reference.h"
#include "base/text.h"
#include "davy/probe.h"

namespace davy::app {

int probes(const ProbesOptions& options) {
  if (options.markdown) {
    fmt::print("{}", probe_reference());
    return kExitPass;
  }
  std::vector<std::string> names;
  for (const ProbeKind* kind : probe_kinds()) {
    if (kind->name == options.kind) {
      fmt::print("{}", describe(*kind));
      return kExitPass;
    }
    names.emplace_back(kind->name);
  }
  if (!options.kind.empty()) {
    std::string near = text::nearest(options.kind, names);
    fmt::print(stderr, "there is no kind of probe {}{} (known: {})\n", text::quoted(options.kind),
               near.empty() ? "" : ", did you mean " + near + "?", text::join(names, ", "));
    return kExitUsage;
  }
  for (const ProbeKind* kind : probe_kinds()) fmt::print("{:<20} {}\n", kind->name, kind->summary);
  fmt::print(
      "\ndavy probes KIND shows its settings and reasons. Try one: davy check --kind KIND "
      "SETTING=VALUE ...\n");
  return kExitPass;
}

}  // namespace davy::app
