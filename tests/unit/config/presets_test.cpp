// Every preset against a page of metrics as its target shows them: tests/data/expositions. Who made
// each page, or after what it was written, stands on its first lines.

#include <doctest/doctest.h>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <numeric>
#include <sstream>

#include "config/sections.h"
#include "sources/reading.h"
#include "stats/buckets.h"

using namespace davy;

namespace {

namespace fs = std::filesystem;

const fs::path kPages = DAVY_SOURCE_DIR "/tests/data/expositions";

std::string content(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream all;
  all << in.rdbuf();
  return all.str();
}

/// What a page must come to under its preset: 120 requests of which 3 failed, and of the latencies
/// 20 above 50 ms, unless something else is said here.
struct Page {
  std::string preset = "";  // "" = the page's own name
  double requests = 120;
  double errors = 3;
  double timed = 120;  // requests in the histograms; 0 = there are none
  double slow = 20;    // of them above
  double bound = 0.05;
};
const std::map<std::string, Page> kOthers{
    {"haproxy", {.timed = 0}},
    {"haproxy-servers", {.timed = 0}},
    {"prom-client", {.bound = 0.03}},
    {"prom-client-fastify", {.preset = "prom-client"}},
    {"prometheus-net", {.bound = 0.064}},
    {"prometheus-server", {.requests = 24, .errors = 0, .timed = 24, .slow = 0, .bound = 120}},
    {"promhttp", {.requests = 1, .errors = 0, .timed = 0}},
    {"spring", {.bound = 0.050331646}},
    {"traefik", {.bound = 0.3}},
};

Page expected_of(const std::string& name) {
  auto other = kOthers.find(name);
  Page page = other == kOthers.end() ? Page{} : other->second;
  if (page.preset.empty()) page.preset = name;
  return page;
}

const config::Preset* preset_named(const std::string& name) {
  for (const config::Preset& preset : config::presets()) {
    if (preset.name == name) return &preset;
  }
  return nullptr;
}

source::Reading read(const config::Preset& preset, const std::string& page) {
  Result<source::Rules> rules = source::Rules::compile(preset.requests);
  REQUIRE(rules);
  Result<source::Reading> reading =
      source::read_metrics(page, *rules, {{source::Side::Canary, {}}}, 10000);
  REQUIRE(reading);
  return *reading;
}

}  // namespace

TEST_CASE("every page comes to the right requests, errors and latencies under its preset") {
  std::size_t pages = 0;
  for (const auto& file : fs::directory_iterator(kPages)) {
    std::string name = file.path().stem().string();
    CAPTURE(name);
    ++pages;
    Page expected = expected_of(name);
    const config::Preset* preset = preset_named(expected.preset);
    REQUIRE(preset);
    source::Reading reading = read(*preset, content(file.path()));

    for (const std::string& remark : reading.remarks) FAIL_CHECK(remark);
    CHECK(reading.seen[source::index(source::Side::Canary)].errors);
    double requests = 0;
    double errors = 0;
    for (const source::Reading::Counter& counter : reading.counters) {
      if (counter.is_request) requests += counter.value;
      if (counter.is_error) errors += counter.value;
    }
    CHECK(requests == expected.requests);
    CHECK(errors == expected.errors);
    double timed = 0;
    double slow = 0;
    for (const source::Reading::Buckets& histogram : reading.histograms) {
      auto at = std::find_if(histogram.bounds.begin(), histogram.bounds.end(), [&](double bound) {
        return bound > expected.bound * (1 - 1e-9) && bound < expected.bound * (1 + 1e-9);
      });
      REQUIRE(at != histogram.bounds.end());
      double below = histogram.cumulative[static_cast<std::size_t>(at - histogram.bounds.begin())];
      timed += histogram.cumulative.back();
      slow += histogram.cumulative.back() - below;
    }
    CHECK(timed == expected.timed);
    CHECK(slow == (expected.timed == 0 ? 0 : expected.slow));
  }
  CHECK(pages == 26);
}

TEST_CASE("every preset of something that is scraped has a page to show for itself") {
  for (const config::Preset& preset : config::presets()) {
    CAPTURE(preset.name);
    if (preset.name.starts_with("statsd-")) continue;  // nothing to scrape
    CHECK(fs::exists(kPages / (preset.name + ".txt")));
    CHECK_FALSE(preset.checked.empty());
  }
}

TEST_CASE("what a preset leaves out on purpose is there and does not count") {
  // Another listener, the pod's own requests, the kubelet's probes and scrapes.
  struct Case {
    const char* preset;
    double on_the_page;
  };
  for (const Case& is : {Case{"envoy", 129}, Case{"istio", 160}, Case{"linkerd", 200}}) {
    CAPTURE(is.preset);
    config::Preset all = *preset_named(is.preset);
    for (std::string& counter : all.requests.counter)
      counter = counter.substr(0, counter.find('{'));
    double requests = 0;
    for (const auto& counter :
         read(all, content(kPages / (std::string(is.preset) + ".txt"))).counters)
      requests += counter.is_request ? counter.value : 0;
    CHECK(requests == is.on_the_page);
  }
}
