#include "app/cli/reference.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <fstream>
#include <set>
#include <sstream>

#include "config/config.h"

using namespace davy;

TEST_CASE("docs/probes.md says what the kinds say of themselves") {
  std::ifstream file(DAVY_SOURCE_DIR "/docs/probes.md");
  std::stringstream page;
  page << file.rdbuf();
  // Write it anew with: davy probes --markdown > docs/probes.md
  CHECK(page.str() == app::probe_reference());
}

TEST_CASE("docs/config.md has the presets' own table") {
  std::ifstream file(DAVY_SOURCE_DIR "/docs/config.md");
  std::stringstream page;
  page << file.rdbuf();
  std::string text = page.str();
  std::size_t begin = text.find("| preset |");
  REQUIRE(begin != std::string::npos);
  // Write it anew with what this prints: davy presets --markdown
  CHECK(text.substr(begin, text.find("\n\n", begin) + 1 - begin) == app::preset_table());
}

TEST_CASE("every kind has an example that config check accepts, and says its reasons once each") {
  for (const ProbeKind* kind : probe_kinds()) {
    CAPTURE(std::string(kind->name));
    std::string yaml =
        fmt::format("service: a\nchecks:\n  - {{ name: it, {}: {} }}\n", kind->name, kind->example);
    config::Loaded loaded = config::load_text(yaml, "example", {probe_kinds(), source_kinds()});
    for (const config::Problem& problem : loaded.problems) FAIL_CHECK(problem.text());
    CHECK_FALSE(kind->reasons.empty());
    std::set<std::string_view> words;
    for (const ProbeKind::Reason& reason : kind->reasons) {
      CHECK(words.insert(reason.word).second);
      CHECK_FALSE(reason.meaning.empty());
    }
    for (const OptionSpec& option : kind->options) CHECK_FALSE(option.help.empty());
  }
}
