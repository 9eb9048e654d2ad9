// Recorded cases on which rank tests over per-minute points go wrong (tests/data/replay/cases.json
// says which and why), each with the verdict that an SRE would want; and the numbers that every
// compiler and every Debian must reach again.

#include <doctest/doctest.h>
#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "canary/judge.h"
#include "config/config.h"
#include "sources/recording.h"

using namespace davy;
using nlohmann::json;

namespace {

const std::string kFolder = DAVY_SOURCE_DIR "/tests/data/replay/";

std::vector<Block> blocks_of(const std::string& name) {
  std::ifstream in(kFolder + name + ".ndjson");
  Result<std::vector<Block>> blocks = source::read_recording(in, name);
  REQUIRE(blocks);
  return *blocks;
}

config::Policy policy_of(const json& c) {
  if (!c.contains("policy")) return {};
  config::LoadedPolicy loaded = config::load_policy_text(c["policy"].get<std::string>(), "policy");
  REQUIRE(loaded.policy);
  return *loaded.policy;
}

/// The block at which a verdict came to stand, and the evidence then and at the end.
struct Numbers {
  std::vector<std::pair<double, std::string>> changes;
  std::vector<double> evidence;
};

Numbers judge_all(canary::Judge& judge, const std::vector<Block>& blocks) {
  Numbers n;
  for (const Block& block : blocks) {
    judge.see(block);
    std::string kind(word(judge.kind()));
    if (n.changes.empty() || n.changes.back().second != kind) n.changes.emplace_back(block.t, kind);
  }
  const Verdict& v = judge.verdict();
  n.evidence = {v.rollback.log_e, v.hold.log_e, v.score};
  for (const MetricVerdict& m : v.metrics) {
    for (double x : {m.fail.log_e, m.hold ? m.hold->log_e : 0, m.warn.log_e, m.pass.log_e,
                     m.discount, m.overdispersion})
      n.evidence.push_back(x);
  }
  return n;
}

}  // namespace

TEST_CASE("recorded cases get the verdict that an SRE would want, the same numbers everywhere") {
  std::ifstream cases_file(kFolder + "cases.json");
  const json cases = json::parse(cases_file);
  std::ifstream numbers_file(kFolder + "numbers.json");
  json numbers = numbers_file ? json::parse(numbers_file) : json::object();
  std::map<std::string, double> decided;
  for (const json& c : cases) {
    std::string name = c["case"];
    CAPTURE(name);
    canary::Judge judge(policy_of(c), {});
    Numbers seen = judge_all(judge, blocks_of(name));
    const Verdict& v = judge.verdict();
    CAPTURE(v.reason);
    CHECK(word(v.kind) == c["verdict"].get<std::string>());
    CHECK(v.reason.find(c["says"].get<std::string>()) != std::string::npos);
    decided[name] = v.t;
    if (c.contains("before")) CHECK(v.t <= c["before"].get<double>());
    if (c.contains("after")) CHECK(v.t >= c["after"].get<double>());
    if (c.contains("same_block_as")) CHECK(v.t == decided.at(c["same_block_as"]));

    if (std::getenv("DAVY_WRITE_NUMBERS") != nullptr) {
      numbers[name] = {{"changes", seen.changes}, {"evidence", seen.evidence}};
      continue;
    }
    const json& wanted = numbers.at(name);
    CHECK(json(seen.changes) == wanted["changes"]);
    REQUIRE(seen.evidence.size() == wanted["evidence"].size());
    for (std::size_t i = 0; i < seen.evidence.size(); ++i) {
      CAPTURE(i);
      CHECK(seen.evidence[i] ==
            doctest::Approx(wanted["evidence"][i].get<double>()).epsilon(1e-12));
    }
  }
  if (std::getenv("DAVY_WRITE_NUMBERS") != nullptr)
    std::ofstream(kFolder + "numbers.json") << numbers.dump(1) << "\n";
}
