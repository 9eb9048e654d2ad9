// What deployments and publications say of their sources alike.

#include <fmt/format.h>
#include <algorithm>

#include "base/text.h"
#include "config/sections.h"

namespace davy::config {

std::optional<ChosenSource> choose_source(Settings& settings,
                                          const std::vector<const SourceKind*>& kinds,
                                          std::string_view what) {
  const Node& node = settings.node();
  if (node.kind != Node::Kind::Map) return std::nullopt;
  std::vector<std::string> names;
  for (const SourceKind* kind : kinds) names.emplace_back(kind->name);
  if (node.items.size() != 1) {
    settings.problem_at(node, fmt::format("must name one {}, not {} (known: {})", what,
                                          node.items.size(), text::join(names, ", ")));
    return std::nullopt;
  }
  const Node& chosen = node.items.front();
  auto kind = std::find(names.begin(), names.end(), chosen.key);
  if (kind == names.end()) {
    std::string near = text::nearest(chosen.key, names);
    settings.problem_at(chosen, fmt::format("is not a {} ({}known: {})", what,
                                            near.empty() ? "" : "did you mean " + near + "? ",
                                            text::join(names, ", ")));
    return std::nullopt;
  }
  return ChosenSource{kinds[static_cast<std::size_t>(kind - names.begin())], &chosen,
                      settings.inside(chosen.key)};
}

bool is_of_requests(std::string_view setting) {
  constexpr std::string_view kOwn[] = {"counter", "error_when", "errors", "histogram", "unit"};
  return std::find(std::begin(kOwn), std::end(kOwn), setting) != std::end(kOwn);
}

}  // namespace davy::config
