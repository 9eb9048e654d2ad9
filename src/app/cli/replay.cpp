// davy replay: judges recorded blocks; no network, no clock.

#include <fmt/format.h>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <optional>

#include "app/cli/commands.h"
#include "base/text.h"
#include "canary/judge.h"
#include "config/config.h"
#include "serve/json.h"
#include "sources/recording.h"

namespace davy::app {
namespace {

Result<std::vector<Block>> read(const std::string& file) {
  if (file == "-") return source::read_recording(std::cin, "stdin");
  std::ifstream in(file);
  if (!in) return Error{fmt::format("{}: cannot be opened", file)};
  return source::read_recording(in, file);
}

void print_change(const Verdict& v, double t) {
  fmt::print("{:>9.1f} s  {:<12}  {}\n", t, word(v.kind), v.reason);
}

}  // namespace

int replay(const ReplayOptions& options) {
  config::Policy policy;
  if (!options.policy_file.empty()) {
    config::LoadedPolicy loaded = config::load_policy_file(options.policy_file);
    if (!loaded.policy) {
      for (const config::Problem& problem : loaded.problems)
        fmt::print(stderr, "{}\n", problem.text());
      return kExitUsage;
    }
    policy = *loaded.policy;
  }
  Result<std::vector<Block>> blocks = read(options.file);
  if (!blocks) {
    fmt::print(stderr, "{}\n", blocks.error().what);
    return kExitUsage;
  }
  canary::Judge judge(policy, {});
  std::optional<VerdictKind> told;
  for (const Block& block : *blocks) {
    judge.see(block);
    const Verdict& v = judge.verdict();
    if (!options.json && told != v.kind) print_change(v, block.t);
    told = v.kind;
  }
  const Verdict& last = judge.verdict();
  if (options.json) {
    fmt::print("{}", serve::verdict_json(last));
  } else {
    fmt::print("\nFinal verdict: {} (score {:.0f}, {}). {}\n", word(last.kind), last.score,
               text::counted(static_cast<double>(blocks->size()), "block", "blocks"), last.reason);
    for (const MetricVerdict& m : last.metrics)
      fmt::print("  {:<14} {:<12} {}\n", m.name, word(m.kind), m.sentence);
    fmt::print("Next: {}\n", last.next);
  }
  return exit_code(word(last.kind));
}

}  // namespace davy::app
