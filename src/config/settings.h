// Settings: takes one mapping of the config apart, key by key.
//
// Why: every section wants the same: known keys only (with a suggestion for others), each value of
// its type, and every problem told with its line and where it is: "check db: timeout: ...".
// Each reader leaves its target alone when the key is absent or wrong, so a section is a list of
// reads over a struct of defaults. finish() comes last: keys that no read asked for are problems.
// Threading: not thread-safe; lives as long as one load.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "davy/result.h"
#include "davy/time.h"
#include "yaml/problems.h"
#include "yaml/read.h"

namespace davy::config {

using yaml::Node;
using yaml::Problems;

class Settings {
 public:
  /// `where` goes before every problem: "check db", "" for the file's top. A node that is not a
  /// mapping is a problem at once, and has no keys.
  /// REQUIRES: `node` and `problems` outlive this.
  Settings(const Node& node, std::string where, Problems& problems);

  /// The key's value, or null; makes the key known. A key without a value is a problem, and null;
  /// one whose ${...} came out empty is as if it were not there.
  const Node* find(std::string_view key);
  /// Makes the key known, for whoever reads it by other means.
  void know(std::string_view key);
  /// As find(), and a problem when the key is absent. `what_for` says what it would be.
  const Node* require(std::string_view key, std::string_view what_for);

  void read(std::string_view key, std::string& out);
  void read(std::string_view key, Duration& out);
  void read(std::string_view key, int& out, int least);
  void read_ratio(std::string_view key, double& out);
  void read_number(std::string_view key, double& out);
  /// `out` becomes the place of the word in `words`, as the enumerators stand in their enum.
  template <typename Enum>
  void read(std::string_view key, Enum& out, std::initializer_list<std::string_view> words) {
    if (auto at = choice(find(key), words)) out = static_cast<Enum>(*at);
  }
  /// A list of strings, or one string.
  void read(std::string_view key, std::vector<std::string>& out);

  /// The text of a scalar, or nothing: a problem when it is no scalar or is empty.
  std::optional<std::string> text_of(const Node* node);
  /// The place of the node's word in `words`.
  std::optional<std::size_t> choice(const Node* node, std::span<const std::string_view> words);
  std::optional<std::size_t> choice(const Node* node,
                                    std::initializer_list<std::string_view> words) {
    return choice(node, std::span(words.begin(), words.size()));
  }

  /// The members that are not known so far.
  std::vector<const Node*> rest() const;
  /// Tells of them.
  void finish();

  /// A problem at a member's line, or at the mapping's own when it has none.
  void problem(std::string_view key, std::string_view what);
  void problem_at(const Node& node, std::string_view what);
  /// How a value is shown in a message: quoted, or as written when it came out of a ${file:...}.
  static std::string shown(const Node& node);

  /// The `where` of something inside of this one.
  std::string inside(std::string_view key) const;
  const Node& node() const { return node_; }
  Problems& problems() { return problems_; }

 private:
  template <typename T>
  void read_as(std::string_view key, T& out, Result<T> (*parse)(std::string_view));

  const Node& node_;
  const std::string where_;
  Problems& problems_;
  std::vector<std::string> known_;
};

/// Names of checks and deployments appear in URLs. Tells what is wrong, or nothing.
std::optional<std::string> wrong_name(std::string_view name);

}  // namespace davy::config
