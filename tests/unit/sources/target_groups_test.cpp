#include "sources/targets/groups.h"

#include <doctest/doctest.h>

using namespace davy;
using source::GroupTarget;

namespace {

std::vector<GroupTarget> read(const std::string& text) {
  auto groups = source::read_target_groups("/etc/sd/shop.yml", text);
  REQUIRE_MESSAGE(static_cast<bool>(groups), groups.error().what);
  return *groups;
}

std::string refusal(const std::string& text) {
  auto groups = source::read_target_groups("/etc/sd/shop.yml", text);
  return groups ? "" : groups.error().what;
}

}  // namespace

TEST_CASE("targets of YAML and of JSON are the same, with their labels") {
  const char* texts[] = {R"(
- targets: [10.0.0.5:9102, "[fd00::5]:9102"]
  labels:
    track: canary
    team: shop
- targets:
  - 10.0.0.7
)",
                         "[\n\t{\n\t\t\"targets\": [\"10.0.0.5:9102\", \"[fd00::5]:9102\"],\n"
                         "\t\t\"labels\": {\"track\": \"canary\", \"team\": \"shop\"}\n\t},\n"
                         "\t{\"targets\": [\"10.0.0.7\"], \"labels\": null}\n]\n"};
  for (const char* text : texts) {
    std::vector<GroupTarget> targets = read(text);
    REQUIRE(targets.size() == 3);
    CHECK(targets[0].url.text == "http://10.0.0.5:9102/metrics");
    CHECK(targets[0].labels ==
          std::map<std::string, std::string>{{"__address__", "10.0.0.5:9102"},
                                             {"__meta_filepath", "/etc/sd/shop.yml"},
                                             {"team", "shop"},
                                             {"track", "canary"}});
    CHECK(targets[1].url.url.host == "fd00::5");
    CHECK(targets[1].labels.at("track") == "canary");
    CHECK(targets[2].url.url.port == 80);
    CHECK(targets[2].labels.count("track") == 0);
  }
}

TEST_CASE("the labels with underscores make the URL") {
  auto targets = read(R"(
- targets: ["envoy:9901"]
  labels: { __scheme__: https, __metrics_path__: stats/prometheus, __param_filter: "^http a&b", __param_x: "" }
- targets: ["%2Frun%2Fapp.sock"]
  labels: { __scheme__: http+unix, __metrics_path__: "/m?a=b", __param_c: d }
)");
  CHECK(targets[0].url.text == "https://envoy:9901/stats/prometheus?filter=%5Ehttp%20a%26b&x=");
  CHECK(targets[1].url.unix_path == "/run/app.sock");
  CHECK(targets[1].url.url.target == "/m?a=b&c=d");
}

TEST_CASE("files without targets have none") {
  CHECK(read("").empty());
  CHECK(read("[]").empty());
  CHECK(read("- labels: {a: b}\n").empty());
  CHECK(read("- targets: []\n").empty());
}

TEST_CASE("a broken file is told with its line and what is wrong there") {
  CHECK(refusal("- targets: [a:1]\n- target: [b:1]\n") ==
        "/etc/sd/shop.yml:2: \"target\" means nothing here (did you mean targets? known: targets, "
        "labels)");
  CHECK(refusal("- targets: a:1\n").starts_with("/etc/sd/shop.yml:1: targets is not a list"));
  CHECK(refusal("a: 1\n").starts_with("/etc/sd/shop.yml:1: is not a list of {targets"));
  CHECK(refusal("- a:1\n").starts_with("/etc/sd/shop.yml:1: is not a group"));
  CHECK(refusal("- targets:\n  - a:1\n  - http://b:1/\n") ==
        "/etc/sd/shop.yml:3: \"http://b:1/\" is not host:port");
  CHECK(refusal("- targets: [a:1]\n  labels: [x]\n").starts_with("/etc/sd/shop.yml:2: labels is"));
  CHECK(refusal("- targets: [a:1]\n  labels: {x: [y]}\n") ==
        "/etc/sd/shop.yml:2: the label x is not a text");
  CHECK(refusal("- targets: [{a: 1}, [], ~]\n").ends_with("is not host:port (and 2 more)"));
  CHECK(refusal("- targets: ['a:1']\n  labels: {__scheme__: ftp}\n")
            .starts_with("/etc/sd/shop.yml:1: \"ftp://a:1/metrics\" is not a URL"));
  CHECK(refusal("- targets: ['a:99999']\n").starts_with("/etc/sd/shop.yml:1: "));
}

TEST_CASE("half of a file is not taken for the whole one") {
  std::string text = "[{\"targets\": [\"a:1\", \"b:1\"], \"labels\": {\"track\": \"x\"}}]";
  for (std::size_t size = 1; size < text.size(); ++size) CHECK(refusal(text.substr(0, size)) != "");
}

TEST_CASE("a password that stands where an address should is not repeated") {
  CHECK(refusal("- targets: ['user:hunter2@a:1']\n") ==
        "/etc/sd/shop.yml:1: a target is not "
        "host:port");
}
