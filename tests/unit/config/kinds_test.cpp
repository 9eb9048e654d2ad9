// The real kinds: what they say of themselves must be what the config accepts.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "base/embedded.h"
#include "config/config.h"

using namespace davy;
using namespace davy::config;

namespace {

const Kinds kKinds{probe_kinds(), source_kinds()};

void check_loads(const std::string& yaml) {
  CAPTURE(yaml);
  Loaded loaded = load_text(yaml, "example", kKinds);
  for (const Problem& problem : loaded.problems) FAIL_CHECK(problem.text());
  if (loaded.config) CHECK_FALSE(explain(*loaded.config).empty());
}

}  // namespace

TEST_CASE("the example of every probe kind is accepted") {
  for (const ProbeKind* kind : probe_kinds()) {
    check_loads(fmt::format("service: shop\nchecks:\n  - {{ name: x, {}: {} }}\n", kind->name,
                            kind->example));
  }
}

TEST_CASE("the example of every source kind is accepted") {
  for (const SourceKind* kind : source_kinds()) {
    check_loads(fmt::format(
        "service: shop\ndeployments:\n  - name: x\n    source: {{ {}: {} }}\n{}", kind->name,
        kind->example, kind->reads_series ? "    requests: { preset: prometheus-http }\n" : ""));
  }
}

TEST_CASE("the example of every way to publish is accepted") {
  for (const SourceKind* kind : source_kinds()) {
    if (kind->publisher == nullptr) continue;
    check_loads(
        fmt::format("service: shop\npublish:\n  - deployment: x\n    version: v2\n"
                    "    source: {{ scrape: {{ targets: \"http://127.0.0.1:9100/metrics\" "
                    "}} }}\n    requests: {{ preset: prometheus-http }}\n"
                    "    to: {{ {}: {} }}\n",
                    kind->name, kind->publisher->example));
  }
}

TEST_CASE("every option of every kind says what it is for") {
  auto check_options = [](std::string_view kind, const std::vector<OptionSpec>& options) {
    for (const OptionSpec& option : options) {
      CAPTURE(kind);
      CAPTURE(option.name);
      CHECK_FALSE(option.help.empty());
    }
  };
  for (const ProbeKind* kind : probe_kinds()) check_options(kind->name, kind->options);
  for (const SourceKind* kind : source_kinds()) {
    check_options(kind->name, kind->options);
    if (kind->publisher != nullptr) check_options(kind->name, kind->publisher->options);
  }
}

TEST_CASE("every preset is accepted by every source kind") {
  for (const SourceKind* kind : source_kinds()) {
    if (!kind->reads_series) continue;
    for (const embedded::File& preset : embedded::presets()) {
      check_loads(
          fmt::format("service: shop\ndeployments:\n  - name: x\n    source: {{ {}: {} }}\n    "
                      "requests: {{ preset: {} }}\n",
                      kind->name, kind->example, preset.name));
    }
  }
}

TEST_CASE("the shipped config is accepted with the real kinds") {
  Loaded loaded = load_file(DAVY_SOURCE_DIR "/config/davy.yaml", kKinds);
  for (const Problem& problem : loaded.problems) FAIL_CHECK(problem.text());
}
