// The command line's exit codes and words.

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lab/agent.h"
#include "lab/recording.h"
#include "lab/server.h"

using namespace davy;

TEST_CASE("replay ends with the verdict's exit code and prints its changes") {
  lab::TempDir dir;
  lab::write_file(dir / "bad.ndjson", lab::recording(40, 10));
  lab::write_file(dir / "good.ndjson", lab::recording(200, 0));
  lab::write_file(dir / "short.ndjson", lab::recording(2, 0));
  lab::Finished bad = lab::davy({"replay", dir / "bad.ndjson"});
  CHECK(bad.code == 1);
  CHECK(bad.output.find("Final verdict: fail") != std::string::npos);
  CHECK(lab::davy({"replay", dir / "good.ndjson"}).code == 0);
  CHECK(lab::davy({"replay", dir / "short.ndjson"}).code == 75);
}

TEST_CASE("replay --json prints the final verdict object alone") {
  lab::TempDir dir;
  lab::write_file(dir / "bad.ndjson", lab::recording(40, 10));
  nlohmann::json verdict =
      nlohmann::json::parse(lab::davy({"replay", "--json", dir / "bad.ndjson"}).output);
  CHECK(verdict.at("verdict") == "fail");
  CHECK(verdict.at("t").get<double>() > 0);
  CHECK(verdict.at("t").get<double>() < 200);
  CHECK(verdict.at("score") == 0.0);
  CHECK(verdict.at("reason").get<std::string>().find("error rate") != std::string::npos);
  CHECK(verdict.at("metrics").at(0).at("name") == "error_rate");
}

TEST_CASE("replay takes a policy") {
  lab::TempDir dir;
  lab::write_file(dir / "bad.ndjson", lab::recording(40, 10));
  lab::write_file(dir / "lenient.yaml", "policy:\n  error_rate: { max_increase: 10pp }\n");
  lab::write_file(dir / "broken.yaml", "policy:\n  error_rate: { max_increse: 10pp }\n");
  CHECK(lab::davy({"replay", dir / "bad.ndjson", "--policy", dir / "lenient.yaml"}).code == 0);
  lab::Finished broken = lab::davy({"replay", dir / "bad.ndjson", "--policy", dir / "broken.yaml"});
  CHECK(broken.code == 2);
  CHECK(broken.output.find("broken.yaml:2") != std::string::npos);
  CHECK(broken.output.find("max_increase") != std::string::npos);
}

TEST_CASE("replay names the line that is wrong and ends with 2") {
  lab::TempDir dir;
  lab::write_file(dir / "x.ndjson",
                  lab::recording(3, 0) +
                      "{\"t\":20,\"dt\":5,\"baseline\":{\"requests\":1,\"errors\":2},\"canary\":{"
                      "\"requests\":1,\"errors\":0}}\n");
  lab::Finished wrong = lab::davy({"replay", dir / "x.ndjson"});
  CHECK(wrong.code == 2);
  CHECK(wrong.output.find("x.ndjson:4: ") != std::string::npos);
  CHECK(lab::davy({"replay", dir / "absent.ndjson"}).code == 2);
}

TEST_CASE("config check explains a good config and lists everything wrong with a bad one") {
  lab::TempDir dir;
  lab::write_file(dir / "good.yaml",
                  "service: x\nchecks:\n  - { name: root, disk: { path: / } }\n");
  lab::write_file(dir / "bad.yaml",
                  "service: x\nchecks:\n  - { name: root, disk: { path: / }, perod: 5s }\n  - { "
                  "name: root, disk: { path: / } }\n");
  lab::Finished good = lab::davy({"config", "check", dir / "good.yaml"});
  CHECK(good.code == 0);
  CHECK(good.output.find("root") != std::string::npos);
  lab::Finished bad = lab::davy({"config", "check", dir / "bad.yaml"});
  CHECK(bad.code == 2);
  CHECK(bad.output.find("bad.yaml:3: ") != std::string::npos);
  CHECK(bad.output.find("period") != std::string::npos);
  CHECK(bad.output.find("bad.yaml:4: ") != std::string::npos);
  CHECK(lab::davy({"agent", "--config", dir / "bad.yaml"}).code == 2);
}

TEST_CASE("config check forecasts, and warns of a policy that cannot decide, with exit code 0") {
  lab::TempDir dir;
  lab::write_file(dir / "slow.yaml",
                  "service: x\ndeployments:\n  - name: shop\n    stages: [5%, 50%]\n    expect: { "
                  "requests_per_second: 4, error_rate: 0.1% }\n    source: { scrape: { baseline: "
                  "\"http://a\", canary: \"http://b\" } }\n    requests: { preset: "
                  "prometheus-http }\n");
  lab::Finished checked = lab::davy({"config", "check", dir / "slow.yaml"});
  CAPTURE(checked.output);
  CHECK(checked.code == 0);
  CHECK(checked.output.find("forecast for shop, at 4 requests/s and 0.1% errors") !=
        std::string::npos);
  CHECK(checked.output.find("  at 50%: a good canary passes in about ") != std::string::npos);
  CHECK(checked.output.find("slow.yaml:3: warning: deployment shop: a good canary does not pass: "
                            "at 4 requests/s and 5% the error rate needs ") != std::string::npos);
  lab::Finished as_json = lab::davy({"config", "check", dir / "slow.yaml", "--json"});
  CHECK(as_json.code == 0);
  nlohmann::json parsed = nlohmann::json::parse(as_json.output);
  CHECK(parsed.at("ok") == true);
  CHECK(parsed.at("problems").empty());
  CHECK(parsed.at("warnings").at(0).at("line") == 3);
}

TEST_CASE("the shipped config and every preset are good") {
  lab::Finished shipped = lab::davy({"config", "check", DAVY_SOURCE_DIR "/config/davy.yaml"});
  CHECK_MESSAGE(shipped.code == 0, shipped.output);
  CHECK_MESSAGE(shipped.output.find("warning:") == std::string::npos, shipped.output);
}

TEST_CASE("healthcheck answers 0 and 1 and nothing else") {
  lab::Server app(lab::http(200, "ok"));
  lab::Agent agent("checks:\n  - { name: app, http: { url: \"" + app.url() +
                   "\" } }\n  - { name: gone, tcp: { address: \"127.0.0.1:1\" }, roles: [deploy], "
                   "failure_threshold: 1 }\n");
  CHECK(lab::eventually([&] {
    return lab::davy({"healthcheck", "--url", agent.health_url()}).code == 0;
  }));
  CHECK(lab::davy({"healthcheck", "--url", agent.health_url(), "--role", "deploy"}).code == 1);
  CHECK(lab::davy({"healthcheck", "--url", "http://127.0.0.1:1"}).code == 1);
}

TEST_CASE("a misspelt command or option ends with 2 and help with 0") {
  CHECK(lab::davy({"agnt"}).code == 2);
  CHECK(lab::davy({}).code == 2);
  CHECK(lab::davy({"gate", "wait"}).code == 2);
  CHECK(lab::davy({"gate", "wait", "x", "--timeout", "5"}).code == 2);
  CHECK(lab::davy({"--help"}).code == 0);
  CHECK(lab::davy({"version"}).output.starts_with("davy 0."));
}
