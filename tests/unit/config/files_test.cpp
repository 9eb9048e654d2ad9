// The files in tests/data/config: what is expected of them stands in them.

#include <doctest/doctest.h>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "config/sections.h"
#include "unit/config/fakes.h"

using namespace davy;
using namespace davy::config;

namespace {

const std::filesystem::path kData = DAVY_SOURCE_DIR "/tests/data/config";

std::vector<std::filesystem::path> files_in(const std::string& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(kData / folder))
    files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

std::string content(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream all;
  all << in.rdbuf();
  return all.str();
}

/// The lines "# expect: LINE: text" at the top.
std::vector<std::string> expectations(const std::filesystem::path& file) {
  constexpr std::string_view kMark = "# expect: ";
  std::vector<std::string> expected;
  std::istringstream lines(content(file));
  for (std::string line; std::getline(lines, line) && line.starts_with(kMark);) {
    expected.push_back(line.substr(kMark.size()));
  }
  return expected;
}

}  // namespace

TEST_CASE("every bad config is refused with exactly the problems it says") {
  for (const auto& file : files_in("bad")) {
    CAPTURE(file.filename().string());
    std::vector<std::string> expected = expectations(file);
    CHECK_FALSE(expected.empty());
    Loaded loaded = load_file(file.string(), fakes::kinds());
    CHECK_FALSE(loaded.config);
    std::string found;
    for (const Problem& problem : loaded.problems)
      found += std::to_string(problem.line) + ": " + problem.what + "\n";
    CAPTURE(found);
    REQUIRE(loaded.problems.size() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      std::string problem =
          std::to_string(loaded.problems[i].line) + ": " + loaded.problems[i].what;
      // What follows are the words of yaml-cpp, or a list that grows.
      if (expected[i].ends_with("...")) expected[i].resize(expected[i].size() - 3);
      bool is_prefix = expected[i].ends_with(' ');
      CHECK((is_prefix ? problem.substr(0, expected[i].size()) : problem) == expected[i]);
    }
  }
}

TEST_CASE("every good config is loaded without a problem") {
  for (const auto& file : files_in("good")) {
    CAPTURE(file.filename().string());
    Loaded loaded = load_file(file.string(), fakes::kinds());
    for (const Problem& problem : loaded.problems) MESSAGE(problem.text());
    CHECK(loaded.config);
  }
}

TEST_CASE("the shipped config is right with no variable set at all") {
  Loaded loaded = load_file(DAVY_SOURCE_DIR "/config/davy.yaml", fakes::kinds());
  for (const Problem& problem : loaded.problems) MESSAGE(problem.text());
  REQUIRE(loaded.config);
  const Deployment& deployment = loaded.config->deployments[0];
  CHECK(deployment.policy == Policy{});
  CHECK(deployment.revision == "");
}

TEST_CASE("two exporters can be judged from the shipped config by variables alone") {
  setenv("DAVY_BASELINE", "http://old:9100/metrics", 1);
  setenv("DAVY_CANARY", "http://new:9100/metrics", 1);
  setenv("DAVY_PRESET", "promhttp", 1);
  Loaded loaded = load_file(DAVY_SOURCE_DIR "/config/davy.yaml", fakes::kinds());
  unsetenv("DAVY_BASELINE");
  unsetenv("DAVY_CANARY");
  unsetenv("DAVY_PRESET");
  REQUIRE(loaded.config);
  const Deployment& deployment = loaded.config->deployments[0];
  CHECK(deployment.source_options.list("baseline") ==
        std::vector<std::string>{"http://old:9100/metrics"});
  CHECK(deployment.source_options.list("canary") ==
        std::vector<std::string>{"http://new:9100/metrics"});
  CHECK(deployment.requests.counter ==
        std::vector<std::string>{"promhttp_metric_handler_requests_total"});
}

TEST_CASE("every preset is right and says what it is for") {
  for (const Problem& problem : preset_problems()) FAIL_CHECK(problem.text());
  CHECK(presets().size() >= 5);
  for (const Preset& preset : presets()) {
    CAPTURE(preset.name);
    CHECK_FALSE(preset.description.empty());
    CHECK_FALSE(preset.requests.counter.empty());
    CHECK_FALSE((preset.requests.error_when.empty() && preset.requests.errors.empty()));
  }
}
