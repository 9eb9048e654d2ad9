#include <doctest/doctest.h>
#include <unistd.h>
#include <cstdlib>

#include "unit/config/fakes.h"

using namespace davy;
using namespace davy::config;
using namespace std::chrono_literals;
using fakes::problems_of;
using fakes::with_check;

namespace {

Config config_of(const std::string& yaml) {
  Loaded loaded = load_text(yaml, "f", fakes::kinds());
  for (const Problem& problem : loaded.problems) MESSAGE(problem.text());
  REQUIRE(loaded.config);
  return std::move(*loaded.config);
}

Check check_of(const std::string& lines) {
  return config_of(with_check(lines)).checks.at(0);
}

}  // namespace

TEST_CASE("a check that says little has the documented defaults") {
  Check check = check_of("file: { path: /a }");
  CHECK(check.kind->name == "file");
  CHECK(check.options.text("path") == "/a");
  CHECK(check.roles == std::vector<Role>{Role::Readiness});
  CHECK(check.severity == Severity::Critical);
  CHECK(check.scope == Scope::Local);
  CHECK(check.schedule == Schedule{.stale_after = 32s});
  CHECK(check.line == 3);
}

TEST_CASE("a check that says everything has it all") {
  Check check = check_of(
      "file: { path: /a }\nroles: [startup, deploy]\nseverity: degrading\nscope: "
      "shared\ninitial_delay: 1s\n"
      "period: 4s\ntimeout: 1s\njitter: 0\nfailure_threshold: 5\nstale_after: 1m\non_stale: hold");
  CHECK(check.roles == std::vector<Role>{Role::Startup, Role::Deploy});
  CHECK(check.severity == Severity::Degrading);
  CHECK(check.scope == Scope::Shared);
  CHECK(check.schedule == Schedule{.initial_delay = 1s,
                                   .period = 4s,
                                   .period_down = 4s,
                                   .timeout = 1s,
                                   .jitter = 0,
                                   .failure_threshold = 5,
                                   .success_threshold = 1,
                                   .stale_after = 60s,
                                   .when_stale = WhenStale::Hold});
}

TEST_CASE("a short period shortens the default timeout, and staleness waits 15 s at least") {
  Check check = check_of("file: { path: /a }\nperiod: 1s");
  CHECK(check.schedule.timeout == 1s);
  CHECK(check.schedule.stale_after == 15s);
}

TEST_CASE("options have their types, and fallbacks are read as if written") {
  Check check = check_of(
      "all_types: { bytes: 1KiB, amount: 5%, ratio: 0.5, number: 7, choice: standby, list: [a, b], "
      "address: '[::1]:80' }");
  CHECK(check.options.text("text") == "fallen back");
  CHECK(check.options.duration("duration") == 3s);
  CHECK(check.options.flag("flag"));
  CHECK(check.options.number("bytes") == 1024);
  CHECK(check.options.amount("amount").is_ratio);
  CHECK(check.options.number("ratio") == 0.5);
  CHECK(check.options.number("number") == 7);
  CHECK(check.options.text("choice") == "standby");
  CHECK(check.options.list("list") == std::vector<std::string>{"a", "b"});
  CHECK(check.options.text("address") == "[::1]:80");
  CHECK_FALSE(check.options.has("url"));
}

TEST_CASE("a kind without a value has all its options left out") {
  CHECK(check_of("all_types:").options.text("text") == "fallen back");
}

TEST_CASE("plain YAML words stay words") {
  CHECK(check_of("all_types: { text: no }").options.text("text") == "no");
  CHECK(check_of("all_types: { text: 017 }").options.text("text") == "017");
}

TEST_CASE("the app in the same pod may decide liveness over the network") {
  for (const char* url :
       {"http://127.0.0.1:3000/up", "http://localhost/", "http://[::1]:80/", "http://127.9.9.9"}) {
    CAPTURE(url);
    CHECK(problems_of(with_check("http: { url: '" + std::string(url) + "' }\nroles: [liveness]")) ==
          "");
  }
  for (const char* url :
       {"http://db/", "http://127.evil.example/", "http://localhost.evil/", "http://[::2]/"}) {
    CAPTURE(url);
    CHECK(problems_of(with_check("http: { url: '" + std::string(url) + "' }\nroles: [liveness]")) !=
          "");
  }
}

TEST_CASE("problems are told all at once in the order of their lines") {
  CHECK(problems_of("checks:\n  - { name: a, file: { path: b } }\nservice: shop\nlog: { level: "
                    "loud }\nlisten: 7\n") ==
        "f:2: check a: file.path: \"b\" is not an absolute path (it must start with /)\n"
        "f:4: log.level: \"loud\" is not one of debug, info, warn, error\n"
        "f:5: listen: is not a mapping (lines of `key: value`)\n");
}

TEST_CASE("JSON is a config too") {
  CHECK(config_of(R"({"service": "shop", "checks": [{"name": "x", "file": {"path": "/a"}}]})")
            .checks.size() == 1);
}

TEST_CASE("aliases copy what they point at") {
  Config config = config_of(
      "service: shop\nchecks:\n  - { name: x, file: &place { path: /a } }\n  - { name: y, file: "
      "*place }\n");
  CHECK(config.checks[1].options.text("path") == "/a");
}

TEST_CASE("an alias bomb is refused before it unfolds") {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    std::string before = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int j = 0; j < 9; ++j) bomb += ", " + before;
    bomb += "]\n";
  }
  CHECK(problems_of(bomb).find("the aliases (*) copy out to more than 64 MiB") !=
        std::string::npos);
}

TEST_CASE("a file that is too deep, too wide or too large is refused") {
  std::string deep = "a: " + std::string(70, '[') + std::string(70, ']');
  CHECK(problems_of(deep) == "f:1: nested deeper than 64 levels (a config needs 8)\n");
  CHECK(problems_of("a: " + std::string(100000, '[')) ==
        "f:1: nested deeper than 64 levels (a config needs 8)\n");
  std::string wide;
  for (int i = 0; i < 2000; ++i) wide += "k" + std::to_string(i) + ": 1\n";
  CHECK(problems_of(wide) == "f:1001: more than 1000 keys in one mapping (a config needs 20)\n");
  CHECK(problems_of("# " + std::string(2 << 20, 'x')) ==
        "f: is larger than 1 MiB (a config is a few pages)\n");
}

TEST_CASE("a variable is a value and never more YAML") {
  setenv("DAVY_TEST_VALUE", "a, b: ${HOME} 'c'", 1);
  CHECK(check_of("all_types: { text: \"<${DAVY_TEST_VALUE}>\" }").options.text("text") ==
        "<a, b: ${HOME} 'c'>");
  setenv("DAVY_TEST_VALUE", "", 1);
  CHECK(check_of("all_types: { text: \"${DAVY_TEST_VALUE:-x}\" }").options.text("text") == "x");
  CHECK(check_of("all_types: { text: \"${DAVY_TEST_VALUE}\" }").options.text("text") ==
        "fallen back");
  CHECK(check_of("all_types: { text: \"$${DAVY_TEST_VALUE} $5\" }").options.text("text") ==
        "${DAVY_TEST_VALUE} $5");
  setenv("DAVY_TEST_VALUE", "\xff", 1);
  CHECK(problems_of(with_check("all_types: { text: \"${DAVY_TEST_VALUE}\" }")).find("not UTF-8") !=
        std::string::npos);
  unsetenv("DAVY_TEST_VALUE");
}

TEST_CASE("a required setting whose variable is empty is missing") {
  setenv("DAVY_TEST_VALUE", "", 1);
  CHECK(problems_of(with_check("file: { path: \"${DAVY_TEST_VALUE}\" }")) ==
        "f:4: check x: file.path: ${DAVY_TEST_VALUE} is empty (an absolute path)\n");
  unsetenv("DAVY_TEST_VALUE");
}

TEST_CASE("a file stands for its content without the last line break") {
  CHECK(check_of("all_types: { text: \"${file:/proc/sys/kernel/ostype}\" }").options.text("text") ==
        "Linux");
  CHECK(problems_of(with_check("all_types: { text: \"${file:/proc}\" }"))
            .find("${file:/proc} cannot be read") != std::string::npos);
}

TEST_CASE("a check's settings differ when what was written or meant differs, and hold no secret") {
  setenv("DAVY_TEST_VALUE", "hunter2", 1);
  std::string lines = "db: { dsn: \"${DAVY_TEST_VALUE}\" }";
  std::string first = check_of(lines).settings;
  CHECK(check_of(lines + "\nperiod: 5s").settings == first);
  CHECK(first.find("hunter2") == std::string::npos);
  setenv("DAVY_TEST_VALUE", "hunter3", 1);
  CHECK(check_of(lines).settings != first);
  CHECK(check_of("db: { dsn: hunter3 }").settings != check_of(lines).settings);
  unsetenv("DAVY_TEST_VALUE");
}

TEST_CASE("a deployment has its parts") {
  Config config = config_of(
      "service: shop\ndeployments:\n  - name: shop\n    revision: abc\n"
      "    source: { scrape: { baseline: [a, b], canary: c } }\n"
      "    requests: { preset: prometheus-http, counter: mine_total, unit: milliseconds }\n"
      "    stages: [5%, 25%, 100%]\n");
  const Deployment& deployment = config.deployments.at(0);
  CHECK(deployment.revision == "abc");
  CHECK(deployment.source->name == "scrape");
  CHECK(deployment.source_options.duration("every") == 5s);
  CHECK(deployment.requests.counter == std::vector<std::string>{"mine_total"});
  CHECK(deployment.requests.error_when.size() == 3);
  CHECK(deployment.requests.latency_unit == 1e-3);
  CHECK(deployment.stages == std::vector<double>{0.05, 0.25, 1});
}

TEST_CASE("a publication has its parts, and the host's name when it has none of its own") {
  Loaded loaded = load_file(DAVY_SOURCE_DIR "/tests/data/config/good/publish.yaml", fakes::kinds());
  REQUIRE(loaded.config);
  REQUIRE(loaded.config->publications.size() == 2);
  const Publication& one = loaded.config->publications[0];
  CHECK(one.deployment == "checkout");
  CHECK(one.version == "v2");
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  CHECK(one.instance == host);
  CHECK(one.source->name == "own");
  CHECK(one.exchange->name == "exchange");
  CHECK(one.exchange_options.number("length") == 100);
  CHECK(one.requests.counter == std::vector<std::string>{"http_requests_total"});
  REQUIRE(one.values.size() == 2);
  CHECK(one.values[1].kind == ValueSeries::Kind::Rate);
  CHECK(one.values[1].per == ValueSeries::Per::Request);
  CHECK(loaded.config->publications[1].instance == "other");
  CHECK(make_publisher_of(one));

  std::string said = explain(*loaded.config);
  CAPTURE(said);
  for (const char* part :
       {"publish checkout v2 as ", "to: exchange", "url: ***", "length: 100", "source: own",
        "memory: gauge process_resident_memory_bytes", "reads: rate of reads_total, per request",
        "a restart of davy loses what was served meanwhile (state_dir keeps it)"})
    CHECK(said.find(part) != std::string::npos);
}

TEST_CASE("what lies elsewhere is shared unless the config says otherwise") {
  CHECK(check_of("db: { dsn: 'postgresql://db.internal/shop' }").scope == Scope::Shared);
  CHECK(check_of("db: { dsn: 'host=10.0.0.5 dbname=shop' }").scope == Scope::Shared);
  CHECK(check_of("db: { dsn: 'postgresql://127.0.0.1/shop' }").scope == Scope::Local);
  CHECK(check_of("db: { dsn: 'host=/run/postgresql dbname=shop' }").scope == Scope::Local);
  CHECK(check_of("db: { dsn: 'postgresql://db.internal/shop' }\nscope: local").scope ==
        Scope::Local);
  CHECK(check_of("file: { path: /a }").scope == Scope::Local);
}

TEST_CASE("the explanation does the arithmetic and keeps secrets") {
  Config config = config_of(
      with_check(
          "db: { dsn: 'user=a password=hunter2' }\nroles: [readiness, deploy]\nscope: shared") +
      "  - { name: y, all_types: { url: 'http://me:hunter2@h/' }, jitter: 0, severity: degrading "
      "}\n");
  std::string text = explain(config);
  CAPTURE(text);
  CHECK(text.find("hunter2") == std::string::npos);
  CHECK(text.find("dsn: ***") != std::string::npos);
  CHECK(text.find("url: http://***@h/") != std::string::npos);
  CHECK(text.find("fails 16s after it dies at the latest (10s + 2 x 2s + 2s timeout)") !=
        std::string::npos);
  CHECK(text.find("fails 16s after it dies at the latest (10s + 2 x 2s + 2s timeout)") !=
        std::string::npos);
  CHECK(text.find("readiness  fails with any of x; warns with any of y") != std::string::npos);
  CHECK(text.find("liveness   always passes (no check has it)") != std::string::npos);
}

TEST_CASE("the explanation puts the policy into words") {
  Config config = config_of(
      "service: shop\ndeployments:\n  - { name: shop, source: { scrape: { baseline: a, canary: c } "
      "}, requests: { counter: n, errors: e } }\n");
  std::string text = explain(config);
  CAPTURE(text);
  CHECK(text.find("rolls back when the canary's error rate is proven above 1.2 x the baseline's "
                  "rate + 0.01 points of percent") != std::string::npos);
  CHECK(text.find("any of p95, p99 is proven more than 50% slower") != std::string::npos);
  CHECK(text.find("1 in 100 tolerable canaries rolled back") != std::string::npos);
}
