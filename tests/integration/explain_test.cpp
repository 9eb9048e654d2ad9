// davy explain: of a running agent and of recordings; and the stages of a replay.

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <fstream>
#include <sstream>

#include "lab/agent.h"
#include "lab/exporter.h"
#include "lab/recording.h"

using namespace davy;

namespace {

std::string read(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream all;
  all << in.rdbuf();
  return all.str();
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("explain shows a recording's verdict and ends with its exit code") {
  lab::TempDir dir;
  lab::write_file(dir / "bad.ndjson", lab::recording(40, 10));
  lab::write_file(dir / "good.ndjson", lab::recording(200, 0));
  lab::write_file(dir / "short.ndjson", lab::recording(2, 0));
  lab::Finished bad = lab::davy({"explain", dir / "bad.ndjson"});
  CHECK(bad.code == 1);
  CHECK(bad.output.starts_with("fail, after "));
  CHECK(has(bad.output, "error rate: fail  << decided by this, proven on its own"));
  CHECK(has(bad.output, "All metrics together"));
  CHECK_FALSE(has(bad.output, "\033"));
  CHECK(lab::davy({"explain", dir / "good.ndjson"}).code == 0);
  CHECK(lab::davy({"explain", dir / "short.ndjson"}).code == 75);
  lab::write_file(dir / "lenient.yaml", "error_rate: { max_increase: 10pp }\n");
  CHECK(lab::davy({"explain", dir / "bad.ndjson", "--policy", dir / "lenient.yaml"}).code == 0);
}

TEST_CASE("explain says what is wrong with a file, at its line") {
  lab::TempDir dir;
  lab::write_file(dir / "x.ndjson", lab::recording(2, 0) + "hello\n");
  lab::Finished wrong = lab::davy({"explain", dir / "x.ndjson"});
  CHECK(wrong.code == 2);
  CHECK(has(wrong.output, "x.ndjson:3: "));
  lab::Finished absent = lab::davy({"explain", dir / "absent.ndjson"});
  CHECK(absent.code == 2);
  CHECK(has(absent.output, "absent.ndjson: cannot be opened"));
  lab::Finished named = lab::davy({"explain", "shop", "--svg", dir / "x.svg"});
  CHECK(named.code == 2);
  CHECK(has(named.output, "are for recordings"));
}

TEST_CASE("explain --svg draws a picture that is well-formed and needs nothing else") {
  lab::TempDir dir;
  lab::write_file(dir / "bad & <late>.ndjson", lab::recording(40, 10, R"("weight":0.25,)"));
  CHECK(lab::davy({"explain", dir / "bad & <late>.ndjson", "--svg", dir / "run.svg"}).code == 1);
  std::string svg = read(dir / "run.svg");
  CHECK(lab::run({{"python3", "-c", "import sys, xml.dom.minidom as m; m.parse(sys.argv[1])",
                   dir / "run.svg"}})
            .code == 0);
  CHECK(svg.starts_with("<svg "));
  CHECK(has(svg, "<title id=\"title\">"));
  CHECK(has(svg, "<desc id=\"desc\">"));
  CHECK(has(svg, ">fail at "));
  CHECK(has(svg, ">stage 25%<"));
  CHECK(has(svg, ">FAIL proven<"));
  CHECK(has(svg, "prefers-color-scheme: dark"));
  CHECK_FALSE(has(svg, "href"));
  CHECK_FALSE(has(svg, "url("));
  lab::Finished nowhere =
      lab::davy({"explain", dir / "bad & <late>.ndjson", "--svg", dir / "no/run.svg"});
  CHECK(nowhere.code == 2);
  CHECK(has(nowhere.output, "no/run.svg: cannot be written"));
}

TEST_CASE("explain asks a running agent, and says when there is nothing to hear") {
  lab::Exporter v1(2000, 0.002), bad(2000, 0.2);
  lab::Agent agent(fmt::format(R"(deployments:
  - name: shop
    revision: v7
    source: {{ scrape: {{ baseline: ["{}"], canary: ["{}"], every: 500ms, timeout: 400ms }} }}
    requests: {{ counter: http_requests_total, error_when: 'code=~"5.."' }}
    policy: {{ latency: off, min_stage: 1s, warm_up: 0s }}
)",
                               v1.url(), bad.url()));
  CHECK(lab::davy({"gate", "wait", "shop", "--url", agent.api_url(), "--timeout", "90s"}).code ==
        1);
  lab::Finished explained = lab::davy({"explain", "shop", "--url", agent.api_url()});
  CHECK(explained.code == 1);
  CHECK(explained.output.starts_with("shop v7: fail, after "));
  CHECK(has(explained.output, "error rate: fail  << decided by this"));

  lab::Finished nobody = lab::davy({"explain", "nobody", "--url", agent.api_url()});
  CHECK(nobody.code == 3);
  CHECK(has(nobody.output, "known: shop"));
  lab::Finished health = lab::davy({"explain", "shop", "--url", agent.health_url()});
  CHECK(health.code == 3);
  CHECK(has(health.output, "is this davy's API listener?"));
  lab::Finished gone = lab::davy({"explain", "shop", "--url", "http://127.0.0.1:1"});
  CHECK(gone.code == 3);
  CHECK(has(gone.output, "refused"));
  CHECK(has(gone.output, "is the agent running"));
  CHECK(lab::davy({"explain", "shop", "--url", "nonsense"}).code == 2);
}

TEST_CASE("replay names the next of the stages it is told") {
  lab::TempDir dir;
  lab::write_file(dir / "good.ndjson", lab::recording(200, 0, R"("weight":0.345,)"));
  lab::Finished next = lab::davy({"replay", dir / "good.ndjson", "--stages", "5%,34.5%, 60%"});
  CHECK(next.code == 0);
  CHECK(has(next.output, "Safe to advance to 60%"));
  CHECK(has(lab::davy({"replay", dir / "good.ndjson", "--stages", "34.5%"}).output, "Promote V2"));
  lab::Finished down = lab::davy({"replay", dir / "good.ndjson", "--stages", "25%,5%"});
  CHECK(down.code == 2);
  CHECK(has(down.output, "--stages: 5% does not go up"));
  CHECK(lab::davy({"replay", dir / "good.ndjson", "--stages", "5%,,25%"}).code == 2);
  CHECK(lab::davy({"replay", dir / "good.ndjson", "--stages", "0%"}).code == 2);
}
