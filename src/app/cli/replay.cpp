// davy replay: judges recorded blocks; no network, no clock.

#include <fmt/format.h>
#include <cstdio>
#include <optional>

#include "app/cli/commands.h"
#include "app/cli/recorded.h"
#include "base/text.h"
#include "canary/judge.h"
#include "serve/json.h"

namespace davy::app {
namespace {

void print_change(const Verdict& v, double t) {
  fmt::print("{:>9.1f} s  {:<12}  {}\n", t, word(v.kind), v.reason);
}

}  // namespace

int replay(const ReplayOptions& options) {
  Result<Recorded> run = read_recorded(options.file, options.policy_file, options.stages);
  if (!run) {
    fmt::print(stderr, "{}\n", run.error().what);
    return kExitUsage;
  }
  canary::Judge judge(run->policy, run->stages);
  std::optional<VerdictKind> told;
  for (const Block& block : run->blocks) {
    judge.see(block);
    if (!options.json && told != judge.kind()) print_change(judge.verdict(), block.t);
    told = judge.kind();
  }
  const Verdict& last = judge.verdict();
  if (options.json) {
    fmt::print("{}", serve::verdict_json(last));
  } else {
    fmt::print("\nFinal verdict: {} (score {:.0f}, {}). {}\n", word(last.kind), last.score,
               text::counted(static_cast<double>(run->blocks.size()), "block", "blocks"),
               last.reason);
    for (const MetricVerdict& m : last.metrics)
      fmt::print("  {:<14} {:<12} {}\n", m.name, word(m.kind), m.sentence);
    fmt::print("Next: {}\n", last.next);
  }
  return exit_code(word(last.kind));
}

}  // namespace davy::app
