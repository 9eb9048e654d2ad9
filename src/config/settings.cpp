#include "config/settings.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "base/units.h"

namespace davy::config {
namespace {

/// A variable that is empty is the same as a key left out.
bool is_emptied(const Node& node) {
  return node.kind == Node::Kind::Scalar && node.text.empty() && !node.written.empty() &&
         !node.is_broken;
}

}  // namespace

Settings::Settings(const Node& node, std::string where, Problems& problems)
    : node_(node), where_(std::move(where)), problems_(problems) {
  if (node.kind != Node::Kind::Map) problem_at(node, "is not a mapping (lines of `key: value`)");
}

void Settings::know(std::string_view key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.emplace_back(key);
}

const Node* Settings::find(std::string_view key) {
  know(key);
  const Node* found = node_.find(key);
  if (found != nullptr && found->kind == Node::Kind::Null) {
    problem(key, "has no value (give it one, or leave the key out)");
    return nullptr;
  }
  return found != nullptr && is_emptied(*found) ? nullptr : found;
}

const Node* Settings::require(std::string_view key, std::string_view what_for) {
  const Node* found = find(key);
  if (found != nullptr || node_.kind != Node::Kind::Map) return found;
  const Node* there = node_.find(key);
  if (there == nullptr) {
    problem_at(node_, fmt::format("{} is missing ({})", key, what_for));
  } else if (is_emptied(*there)) {
    problem(key, fmt::format("{} is empty ({})", there->written, what_for));
  }
  return nullptr;
}

void Settings::read(std::string_view key, std::string& out) {
  if (std::optional<std::string> text = text_of(find(key))) out = std::move(*text);
}

template <typename T>
void Settings::read_as(std::string_view key, T& out, Result<T> (*parse)(std::string_view)) {
  const Node* node = find(key);
  std::optional<std::string> text = text_of(node);
  if (!text) return;
  Result<T> value = parse(*text);
  if (value) {
    out = *value;
  } else if (node->is_secret) {
    problem(key, shown(*node) + " does not hold a value of the right form");
  } else {
    problem(key, value.error().what);
  }
}

void Settings::read(std::string_view key, Duration& out) {
  read_as(key, out, units::parse_duration);
}
void Settings::read_ratio(std::string_view key, double& out) {
  read_as(key, out, units::parse_ratio);
}
void Settings::read_number(std::string_view key, double& out) {
  read_as(key, out, units::parse_number);
}

void Settings::read(std::string_view key, int& out, int least) {
  constexpr int kMost = 1'000'000;
  double number = out;
  read_as(key, number, units::parse_number);
  if (number != std::floor(number) || number < least || number > kMost) {
    problem(key, fmt::format("{:g} is not possible (a whole number, {} or more)", number, least));
    return;
  }
  out = static_cast<int>(number);
}

void Settings::read(std::string_view key, std::vector<std::string>& out) {
  const Node* node = find(key);
  if (node == nullptr || is_broken(*node)) return;
  std::vector<std::string> texts;
  std::span<const Node> nodes(node, 1);
  if (node->kind == Node::Kind::List) nodes = node->items;
  if (nodes.empty()) problem(key, "is an empty list (name at least one, or leave the key out)");
  for (const Node& item : nodes) {
    if (item.kind != Node::Kind::Scalar) {
      problems_.add(item.line, inside(key) + ": is not a list of strings, nor one string");
    } else if (item.text.empty()) {
      problems_.add(item.line, inside(key) + ": holds an empty string (give it a value)");
    } else {
      texts.push_back(item.text);
    }
  }
  out = std::move(texts);
}

std::optional<std::string> Settings::text_of(const Node* node) {
  if (node == nullptr || node->is_broken) return std::nullopt;
  if (node->kind != Node::Kind::Scalar) {
    problem_at(*node, fmt::format("is a {} (one value would be right)",
                                  node->kind == Node::Kind::List ? "list" : "mapping"));
    return std::nullopt;
  }
  if (node->text.empty()) {
    problem_at(*node, "is empty (give it a value, or leave the key out)");
    return std::nullopt;
  }
  return node->text;
}

std::optional<std::size_t> Settings::choice(const Node* node,
                                            std::span<const std::string_view> words) {
  std::optional<std::string> text = text_of(node);
  if (!text) return std::nullopt;
  auto found = std::find(words.begin(), words.end(), *text);
  if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
  std::vector<std::string> known(words.begin(), words.end());
  std::string near = text::nearest(*text, known);
  problem_at(*node, fmt::format("{} is not one of {}{}", shown(*node), text::join(known, ", "),
                                near.empty() ? "" : " (did you mean " + near + "?)"));
  return std::nullopt;
}

std::vector<const Node*> Settings::rest() const {
  std::vector<const Node*> rest;
  if (node_.kind != Node::Kind::Map) return rest;
  for (const Node& item : node_.items) {
    if (std::find(known_.begin(), known_.end(), item.key) == known_.end()) rest.push_back(&item);
  }
  return rest;
}

void Settings::finish() {
  for (const Node* unknown : rest()) {
    std::string near = text::nearest(unknown->key, known_);
    std::string hint =
        near.empty() ? "known here: " + text::join(known_, ", ") : "did you mean " + near + "?";
    std::string before = where_.empty() ? "" : where_ + ": ";
    problems_.add(unknown->line,
                  fmt::format("{}unknown key {} ({})", before, text::quoted(unknown->key), hint));
  }
}

void Settings::problem(std::string_view key, std::string_view what) {
  const Node* found = node_.find(key);
  problems_.add(found != nullptr ? found->line : node_.line,
                fmt::format("{}: {}", inside(key), what));
}

void Settings::problem_at(const Node& node, std::string_view what) {
  bool is_member = &node != &node_ && !node.key.empty();
  std::string where = is_member ? inside(node.key) : where_;
  problems_.add(node.line, where.empty() ? std::string(what) : fmt::format("{}: {}", where, what));
}

std::string Settings::shown(const Node& node) {
  return node.is_secret ? node.written : text::quoted(node.text);
}

std::string Settings::inside(std::string_view key) const {
  if (where_.empty()) return std::string(key);
  // "check db" + "postgres" is "check db: postgres"; "check db: postgres" + "dsn" is
  // "...postgres.dsn".
  bool is_named = where_.find(' ') != std::string::npos && where_.find(": ") == std::string::npos;
  return fmt::format("{}{}{}", where_, is_named ? ": " : ".", key);
}

std::optional<std::string> wrong_name(std::string_view name) {
  auto is_alnum = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  bool good = name.size() <= 63 && !name.empty() && is_alnum(name[0]) &&
              std::all_of(name.begin(), name.end(),
                          [&](char c) { return is_alnum(c) || c == '_' || c == '.' || c == '-'; });
  if (good) return std::nullopt;
  return fmt::format(
      "{} is not a name (letters, digits, _ . - only, a letter or digit first, 63 at "
      "most: it appears in URLs)",
      text::quoted(name));
}

}  // namespace davy::config
