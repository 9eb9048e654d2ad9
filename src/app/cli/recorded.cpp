#include "app/cli/recorded.h"

#include <fmt/format.h>
#include <fstream>
#include <iostream>

#include "base/text.h"
#include "config/config.h"
#include "sources/recording.h"

namespace davy::app {
namespace {

Result<std::vector<Block>> read_blocks(const std::string& file) {
  if (file == "-") return source::read_recording(std::cin, "stdin");
  std::ifstream in(file);
  if (!in) return Error{fmt::format("{}: cannot be opened", file)};
  return source::read_recording(in, file);
}

Result<config::Policy> read_policy(const std::string& file) {
  if (file.empty()) return config::Policy{};
  config::LoadedPolicy loaded = config::load_policy_file(file);
  if (loaded.policy) return *loaded.policy;
  std::vector<std::string> lines;
  for (const config::Problem& problem : loaded.problems) lines.push_back(problem.text());
  return Error{text::join(lines, "\n")};
}

Result<std::vector<double>> read_stages(const std::string& list) {
  std::vector<double> stages;
  if (list.empty()) return stages;
  for (std::string_view one : text::split(list, ',')) {
    Result<double> stage = config::parse_stage(text::trim(one), stages);
    if (!stage) return stage.error().prefix("--stages: ");
    stages.push_back(*stage);
  }
  return stages;
}

}  // namespace

Result<Recorded> read_recorded(const std::string& file, const std::string& policy_file,
                               const std::string& stages) {
  Recorded out;
  Result<std::vector<double>> shares = read_stages(stages);
  if (!shares) return shares.error();
  out.stages = std::move(*shares);
  Result<config::Policy> policy = read_policy(policy_file);
  if (!policy) return policy.error();
  out.policy = std::move(*policy);
  Result<std::vector<Block>> blocks = read_blocks(file);
  if (!blocks) return blocks.error();
  out.blocks = std::move(*blocks);
  return out;
}

}  // namespace davy::app
