// The whole way from two exporters to the gate's answer and the command line's exit code.

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <thread>

#include "lab/agent.h"
#include "lab/exporter.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

std::string deployment(const std::string& name, const std::string& baseline,
                       const std::string& canary, const std::string& more_policy = "") {
  return fmt::format(R"(  - name: {}
    source: {{ scrape: {{ baseline: ["{}"], canary: ["{}"], every: 500ms, timeout: 400ms }} }}
    requests: {{ counter: http_requests_total, error_when: 'code=~"5.."' }}
    policy: {{ latency: off, min_stage: 1s, warm_up: 0s{} }}
)",
                     name, baseline, canary, more_policy);
}

}  // namespace

TEST_CASE("the gate follows the verdict for a good, a bad, a silent and an unreachable canary") {
  lab::Exporter v1(2000, 0.002), good(2000, 0.002), bad(2000, 0.05), silent(0, 0);
  lab::Agent agent("deployments:\n" + deployment("good", v1.url(), good.url()) +
                   deployment("bad", v1.url(), bad.url()) +
                   deployment("silent", v1.url(), silent.url()) +
                   deployment("gone", v1.url(), "http://127.0.0.1:1/metrics"));

  lab::Finished silent_wait =
      lab::davy({"gate", "wait", "silent", "--url", agent.api_url(), "--timeout", "3s"});
  CHECK(silent_wait.code == 75);
  CHECK(silent_wait.output.find("inconclusive") != std::string::npos);

  lab::Finished good_wait =
      lab::davy({"gate", "wait", "good", "--url", agent.api_url(), "--timeout", "90s"});
  CHECK(good_wait.code == 0);
  CHECK(good_wait.output.find("pass: Safe to promote") != std::string::npos);
  lab::Finished bad_wait =
      lab::davy({"gate", "wait", "bad", "--url", agent.api_url(), "--timeout", "90s", "--json"});
  CHECK(bad_wait.code == 1);
  CHECK(bad_wait.output.find("\"verdict\": \"fail\"") != std::string::npos);

  CHECK(agent.get("/v1/gate/good").status == 200);
  CHECK(agent.get("/v1/gate/bad").status == 403);
  CHECK(agent.get("/v1/gate/bad").body.starts_with("fail: Roll back (error rate): V2 fails 5.0"));
  CHECK(agent.get("/v1/gate/silent").status == 425);
  CHECK(agent.get("/v1/gate/gone").status == 503);
  CHECK(agent.get("/v1/gate/nobody").status == 404);
  CHECK(lab::run({{"curl", "-sf", "-o", "/dev/null", agent.api_url() + "/v1/gate/good"}}).code ==
        0);
  CHECK(lab::run({{"curl", "-sf", "-o", "/dev/null", agent.api_url() + "/v1/gate/bad"}}).code ==
        22);

  CHECK(lab::davy({"gate", "check", "good", "--url", agent.api_url()}).code == 0);
  CHECK(lab::davy({"gate", "check", "bad", "--url", agent.api_url()}).code == 1);
  CHECK(lab::davy({"gate", "check", "silent", "--url", agent.api_url()}).code == 75);
  CHECK(lab::davy({"gate", "check", "gone", "--url", agent.api_url()}).code == 3);
  lab::Finished nobody = lab::davy({"gate", "wait", "nobody", "--url", agent.api_url()});
  CHECK(nobody.code == 3);
  CHECK(nobody.output.find("known: good, bad, silent, gone") != std::string::npos);
  CHECK(agent.get("/v1/deployments").body.find("\"verdict\": \"fail\"") != std::string::npos);
  CHECK(agent.get("/metrics").body.find("davy_verdict{deployment=\"bad\",verdict=\"fail\"} 1") !=
        std::string::npos);

  // A fail is sticky until a new run is opened.
  bad.set(2000, 0);
  std::this_thread::sleep_for(1s);
  CHECK(agent.get("/v1/gate/bad").status == 403);
  CHECK(agent.post("/v1/deployments/bad/runs", "{\"revision\": 3}").status == 400);
  CHECK(agent.post("/v1/deployments/bad/runs", "{\"revision\": \"v3\"}").status == 202);
  CHECK(lab::eventually([&] { return agent.get("/v1/gate/bad").status == 425; }));
  CHECK(agent.get("/v1/deployments/bad/verdict").body.find("\"revision\": \"v3\"") !=
        std::string::npos);
}

TEST_CASE("a pass belongs to its stage, and the pipeline says which stage it is in") {
  lab::Exporter v1(5000, 0.002), v2(5000, 0.002);
  lab::Agent agent("deployments:\n" + deployment("shop", v1.url(), v2.url()) +
                   "    stages: [25%, 50%]\n");
  lab::Finished first =
      lab::davy({"gate", "wait", "shop", "--url", agent.api_url(), "--timeout", "90s"});
  CHECK(first.code == 0);
  CHECK(first.output.find("Next: Advance to 50%") != std::string::npos);
  CHECK(agent.post("/v1/deployments/shop/stage", "{\"weight\": \"50 %\"}").status == 400);
  CHECK(agent.post("/v1/deployments/shop/stage", "{\"weight\": \"150%\"}").status == 400);
  CHECK(agent.post("/v1/deployments/shop/stage", "{}").status == 400);
  CHECK(agent.get("/v1/deployments/shop/stage").status == 405);
  CHECK(agent.post("/v1/deployments/shop/stage", "{\"weight\": \"50%\"}").status == 202);
  CHECK(lab::eventually([&] { return agent.get("/v1/gate/shop").status == 425; }));
  CHECK(agent.get("/v1/deployments/shop/verdict").body.find("\"stage\": \"50%\"") !=
        std::string::npos);
  lab::Finished second =
      lab::davy({"gate", "wait", "shop", "--url", agent.api_url(), "--timeout", "90s"});
  CHECK(second.code == 0);
  CHECK(second.output.find("Next: Promote V2") != std::string::npos);
}

TEST_CASE("an agent that cannot be reached is an error, not a verdict") {
  lab::Finished check = lab::davy({"gate", "check", "shop", "--url", "http://127.0.0.1:1"});
  CHECK(check.code == 3);
  CHECK(check.output.find("refused") != std::string::npos);
  CHECK(
      lab::davy({"gate", "wait", "shop", "--url", "http://127.0.0.1:1", "--timeout", "1s"}).code ==
      3);
  CHECK(lab::davy({"gate", "wait", "shop", "--url", "nonsense"}).code == 2);
}

TEST_CASE("once the canary has all the traffic V1 may be switched off") {
  std::optional<lab::Exporter> v1(std::in_place, 2000, 0.002);
  lab::Exporter v2(2000, 0.002);
  // Wide, because V1's past is short here.
  lab::Agent agent(
      "deployments:\n" +
      deployment("shop", v1->url(), v2.url(), ", error_rate: { pass_increase: 300% + 1pp }") +
      "    stages: [50%, 100%]\n");
  REQUIRE(lab::davy({"gate", "wait", "shop", "--url", agent.api_url(), "--timeout", "90s"}).code ==
          0);
  REQUIRE(agent.post("/v1/deployments/shop/stage", "{\"weight\": \"100%\"}").status == 202);
  CHECK(lab::eventually([&] {
    return agent.get("/v1/deployments/shop/verdict").body.find("\"stage\": \"100%\"") !=
           std::string::npos;
  }));
  v1.reset();
  lab::Finished last =
      lab::davy({"gate", "wait", "shop", "--url", agent.api_url(), "--timeout", "90s"});
  CAPTURE(last.output);
  CHECK(last.code == 0);
  CHECK(last.output.find("pass: Safe to promote") != std::string::npos);
  CHECK(agent.get("/v1/deployments/shop/verdict").body.find("not concurrent") != std::string::npos);
}
