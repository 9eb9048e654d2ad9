// Read: YAML text -> our own raw tree, where every node knows its line.
//
// Why: our own tree, so that yaml-cpp stays in one .cpp, and because YAML allows what a config must
// not: duplicate keys, merges, tags, several documents. Scalars stay text; whoever takes a setting
// gives it its type, so `no` is a string and `017` is not 15.
// Threading: pure.
// Failure: problems with their lines. Aliases are copied; a file that grows beyond 64 MiB by them,
// is deeper than 64 levels or larger than 1 MiB is refused.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "yaml/problems.h"

namespace davy::yaml {

struct Node {
  enum class Kind { Null, Scalar, List, Map };

  Kind kind = Kind::Null;
  int line = 0;            // of the value when it is a scalar, else of its key
  std::string text;        // of a scalar; after interpolation, what was meant
  std::string written;     // of a scalar, as it stands in the file
  bool quoted = false;     // "..." or '...'
  bool is_secret = false;  // came out of a ${file:...}: not to be printed
  bool is_broken = false;  // its ${...} had a problem, told already: say no more about it
  std::string key;         // the node's name in the mapping around it; an item has its list's
  std::vector<Node> items;

  /// The member of a mapping, or null.
  const Node* find(std::string_view name) const {
    for (const Node& item : items) {
      if (item.key == name) return kind == Kind::Map ? &item : nullptr;
    }
    return nullptr;
  }
};

/// Whether a ${...} in the node or below it had a problem: what it says is then not what was meant.
bool is_broken(const Node& node);

inline constexpr std::size_t kMaxFile = 1 << 20;

/// The document's root, or nothing when it cannot be read to its end. An empty document is a Null.
std::optional<Node> read(std::string_view yaml, Problems& problems);

/// The tree on one line, as written: equal lines, equal settings.
std::string written(const Node& node);

}  // namespace davy::yaml
