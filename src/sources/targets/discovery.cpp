#include "sources/targets/discovery.h"

#include <fmt/format.h>
#include <algorithm>

#include "base/text.h"
#include "yaml/read.h"

namespace davy::source {
namespace {

constexpr std::size_t kMostTargets = 2000;

}  // namespace

Discovery::Discovery(std::vector<std::string> patterns, std::vector<Version> versions)
    : patterns_(std::move(patterns)),
      versions_(std::move(versions)),
      files_(patterns_, yaml::kMaxFile) {}

Result<Done> Discovery::check_pattern(const std::string& pattern) {
  if (!pattern.starts_with('/'))
    return Error{text::quoted(pattern) + " is not an absolute path (it must start with /)"};
  std::string folder = pattern.substr(0, pattern.rfind('/'));
  if (files::is_pattern(folder))
    return Error{text::quoted(pattern) + " has a * in the name of a folder (only a file's may)"};
  constexpr std::string_view kEndings[] = {".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML"};
  bool ends_well = std::any_of(std::begin(kEndings), std::end(kEndings),
                               [&](std::string_view ending) { return pattern.ends_with(ending); });
  if (!ends_well) return Error{text::quoted(pattern) + " does not end in .json, .yml or .yaml"};
  return Done{};
}

void Discovery::refresh(Workers& workers, net::Means& net, Deadline deadline) {
  if (patterns_.empty()) return;
  files_.look(workers, net, deadline);
  troubles_.clear();
  for (const std::string& trouble : files_.troubles()) troubles_.push_back({trouble});
  take_files();
  choose_targets();
}

void Discovery::take_files() {
  std::erase_if(known_, [&](const auto& item) { return files_.files().count(item.first) == 0; });
  for (const auto& [path, file] : files_.files()) {
    Known& known = known_[path];
    if (file.text && file.version != known.version) {
      known.version = file.version;
      Result<std::vector<GroupTarget>> read = read_target_groups(path, *file.text);
      known.trouble = read ? "" : read.error().what;
      if (read) known.targets = std::move(*read);
    }
    const std::string& trouble = file.trouble.empty() ? known.trouble : file.trouble;
    if (!trouble.empty()) {
      troubles_.push_back({fmt::format(
          "{} (its {} are kept)", trouble,
          text::counted(static_cast<double>(known.targets.size()), "target", "targets"))});
    }
  }
}

void Discovery::choose_targets() {
  targets_.clear();
  std::map<std::string, Side> chosen;  // by URL
  std::map<Side, std::size_t> found;
  std::size_t total = 0;
  for (const auto& [path, known] : known_) {
    for (const GroupTarget& target : known.targets) {
      ++total;
      std::optional<Side> side = side_of(target);
      if (!side) continue;
      auto [first, is_new] = chosen.try_emplace(target.url.text, *side);
      if (first->second != *side) {
        troubles_.push_back(
            {fmt::format("{}:{}: {} belongs to both versions, here to the {}; it counts for the {}",
                         path, target.line, target.url.shown(), word(*side), word(first->second)),
             false});
      }
      if (!is_new) continue;
      ++found[*side];
      if (targets_.size() == kMostTargets) continue;
      targets_.push_back(target.url);
      targets_.back().shares = {{*side}};
    }
  }
  std::size_t wanted = found[Side::Baseline] + found[Side::Canary];
  if (wanted > kMostTargets) {
    troubles_.push_back(
        {fmt::format("{} targets are too many; {} are asked", wanted, kMostTargets), false});
  }
  for (const Version& version : versions_) {
    if (found[version.side] > 0) continue;
    troubles_.push_back({fmt::format("{}: none of {} matches {}_when {}", describe(),
                                     text::counted(static_cast<double>(total), "target", "targets"),
                                     word(version.side), version.when),
                         false});
  }
}

/// Nothing for a target of neither version, or of both.
std::optional<Side> Discovery::side_of(const GroupTarget& target) {
  std::vector<Label> labels;
  for (const auto& [name, value] : target.labels) labels.push_back({name, value});
  std::optional<Side> side;
  for (const Version& version : versions_) {
    if (!version.matchers.match(labels)) continue;
    if (side) {
      troubles_.push_back(
          {fmt::format("{}:{}: {} matches both versions, so it counts for neither",
                       target.labels.at("__meta_filepath"), target.line, target.url.shown()),
           false});
      return std::nullopt;
    }
    side = version.side;
  }
  return side;
}

std::string Discovery::describe() const {
  return text::join(patterns_, ", ");
}

}  // namespace davy::source
