// davy explain: a verdict with all its evidence, of a running agent or of a recording.

#include <fmt/format.h>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "app/cli/commands.h"
#include "app/cli/look.h"
#include "app/cli/picture.h"
#include "app/cli/recorded.h"
#include "app/cli/verdict_call.h"
#include "app/cli/verdict_text.h"
#include "canary/judge.h"
#include "serve/json.h"

namespace davy::app {
namespace {

int show(const std::string& verdict_json) {
  Result<std::string> drawn = verdict_text(verdict_json, look_of_stdout());
  if (!drawn) {
    fmt::print(stderr, "error: {}\n", drawn.error().what);
    return kExitError;
  }
  fmt::print("{}", *drawn);
  return exit_code(nlohmann::json::parse(verdict_json).at("verdict").get<std::string>());
}

int explain_deployment(const ExplainOptions& options) {
  Result<net::Url> url = net::parse_url(options.url);
  if (!url) {
    fmt::print(stderr, "{}\n", url.error().what);
    return kExitUsage;
  }
  auto answer = VerdictCall(*url, options.what).ask();
  if (const NoAnswer* none = std::get_if<NoAnswer>(&answer)) {
    print_no_answer(*none, options.url);
    return kExitError;
  }
  return show(std::get<std::string>(answer));
}

bool write(const std::string& file, const std::string& content) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << content;
  out.close();
  return !out.fail();
}

int explain_recording(const ExplainOptions& options) {
  Result<Recorded> run = read_recorded(options.what, options.policy_file, options.stages);
  if (!run) {
    fmt::print(stderr, "{}\n", run.error().what);
    return kExitUsage;
  }
  canary::Judge judge(run->policy, run->stages);
  Picture picture(options.what);
  for (const Block& block : run->blocks) {
    judge.see(block);
    if (!options.svg_file.empty()) picture.add(block, judge.verdict());
  }
  if (!options.svg_file.empty() && !write(options.svg_file, picture.svg())) {
    fmt::print(stderr, "{}: cannot be written\n", options.svg_file);
    return kExitUsage;
  }
  return show(serve::verdict_json(judge.verdict()));
}

/// Names have no slash and recordings end in .ndjson; what is there on disk plays no part.
bool is_file(const ExplainOptions& options) {
  const std::string& what = options.what;
  return what == "-" || what.ends_with(".ndjson") || what.find('/') != std::string::npos;
}

}  // namespace

int explain(const ExplainOptions& options) {
  if (is_file(options)) return explain_recording(options);
  if (!options.policy_file.empty() || !options.stages.empty() || !options.svg_file.empty()) {
    fmt::print(stderr,
               "--policy, --stages and --svg are for recordings, and {} is a deployment's name (a "
               "recording ends in .ndjson or has a / in its path)\n",
               options.what);
    return kExitUsage;
  }
  return explain_deployment(options);
}

}  // namespace davy::app
