// Numbers made elsewhere: tests/data/vectors/statistics.json was produced by an independent Python
// implementation of the same formulae. Agreement to 1e-9, absolute or relative.

#include <doctest/doctest.h>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "canary/error_rate.h"
#include "canary/gate.h"
#include "canary/open_block.h"
#include "davy/sequential.h"
#include "stats/buckets.h"
#include "stats/counter.h"
#include "stats/ratio_interval.h"
#include "stats/robust.h"

using namespace davy;
using namespace davy::stats;
using nlohmann::json;

namespace {

struct Close {
  double wanted;
};
bool operator==(double seen, Close close) {
  return std::abs(seen - close.wanted) <= 1e-9 * std::max(1.0, std::abs(close.wanted));
}
doctest::String toString(const Close& close) {
  return doctest::toString(close.wanted);
}

std::map<std::string, std::vector<json>> read_vectors() {
  std::ifstream file(DAVY_SOURCE_DIR "/tests/data/vectors/statistics.json");
  std::map<std::string, std::vector<json>> by_kind;
  json all = json::parse(file);
  for (const json& v : all["vectors"]) by_kind[v["kind"]].push_back(v);
  return by_kind;
}

std::map<std::string, std::vector<json>>& vectors() {
  static std::map<std::string, std::vector<json>> all = read_vectors();
  return all;
}

Null null_of(const json& v) {
  std::string kind = v.value("e_kind", v["kind"] == "block_eq"    ? "eq"
                                       : v["kind"] == "block_one" ? "one"
                                                                  : "lin");
  return {.kind = kind == "eq"    ? Null::Kind::Equal
                  : kind == "one" ? Null::Kind::Single
                                  : Null::Kind::Linear,
          .ratio = v.value("r", 1.0),
          .absolute = v.value("d", 0.0)};
}

Sample sample(const json& b) {
  return {b[0], b[1], b[2], b[3]};
}

}  // namespace

TEST_CASE("the vectors are all there") {
  std::size_t count = 0;
  for (const auto& [kind, list] : vectors()) count += list.size();
  CHECK(count == 53);
}

TEST_CASE("block e-variables agree with the vectors") {
  auto& all = vectors();
  for (const char* kind : {"block_lin", "block_eq"}) {
    for (const json& v : all[kind]) {
      CAPTURE(v["name"].get<std::string>());
      Sample s{v["n1"], v["k1"], v["n2"], v["k2"]};
      Bet bet = bet_on(null_of(v), s.n1, s.n2, v["p1"], v["p2"]);
      CHECK(bet.log_e(s) == Close{v["logE"]});
    }
  }
  for (const json& v : all["block_one"]) {
    Sample s{0, 0, v["n"], v["k"]};
    CHECK(bet_on(null_of(v), 0, s.n2, 0, v["p2"]).log_e(s) == Close{v["logE"]});
  }
}

TEST_CASE("the worse process agrees with the vectors, block by block") {
  for (const json& v : vectors()["fail_process"]) {
    CAPTURE(v["name"].get<std::string>());
    WorseTest test(null_of(v));
    const json& stages = v["stage_before_block"];
    for (std::size_t i = 0; i < v["blocks"].size(); ++i) {
      if (std::find(stages.begin(), stages.end(), i) != stages.end()) test.begin_stage();
      const json& b = v["blocks"][i];
      test.see(sample(b), b[4], v["dt"], {v["phi"], v["cap"]}, v["rmul"]);
      CHECK(test.log_e() == Close{v["logM"][i]});
      CHECK((test.log_e() >= std::log(100.0)) == v["fail_at_alpha_0_01"][i].get<bool>());
    }
  }
}

TEST_CASE("the not-worse process agrees with the vectors, block by block") {
  for (const json& v : vectors()["pass_process"]) {
    CAPTURE(v["name"].get<std::string>());
    NotWorseTest test(null_of(v));
    for (std::size_t i = 0; i < v["blocks"].size(); ++i) {
      const json& b = v["blocks"][i];
      test.see(sample(b), b[4], b[5], {.phi = v["phi"]});
      CHECK(test.log_e() == Close{v["logM"][i]});
    }
  }
}

TEST_CASE("the ratio interval agrees with the vectors") {
  for (const json& v : vectors()["ratio_cs"]) {
    CAPTURE(v["name"].get<std::string>());
    RatioIntervalEstimate estimate;
    for (const json& b : v["blocks"]) estimate.see(sample(b));
    RatioInterval interval = estimate.interval(v["alpha"]);
    CHECK(interval.low == Close{v["lo"]});
    if (v["hi"].is_number()) {
      CHECK(interval.high == Close{v["hi"]});
    } else {
      CHECK(std::isinf(interval.high));
    }
  }
}

TEST_CASE("overdispersion agrees with the vectors, block by block") {
  for (const json& v : vectors()["overdispersion"]) {
    CAPTURE(v["name"].get<std::string>());
    Overdispersion phi;
    for (std::size_t i = 0; i < v["blocks"].size(); ++i) {
      phi.see(sample(v["blocks"][i]));
      CHECK(phi.factor() == Close{v["phi"][i]});
    }
  }
}

TEST_CASE("the burst limit agrees with the vectors") {
  for (const json& v : vectors()["winsor"]) {
    BurstLimit limit;
    double dt = v["dt"];
    for (std::size_t i = 0; i < v["K"].size(); ++i) {
      CHECK(limit.share(v["K"][i], dt) == Close{v["omega"][i]});
      limit.see(v["K"][i], dt);
    }
    CHECK(limit.usual() == Close{v["rate_final"]});
  }
}

TEST_CASE("the pod margin agrees with the vectors") {
  for (const json& v : vectors()["pod_margin"]) {
    std::vector<Pod> pods;
    for (std::size_t i = 0; i < v["n"].size(); ++i) pods.push_back({v["n"][i], v["k"][i]});
    CHECK(pod_margin(pods, v["m2"], v["phi"]) == Close{v["rmul"]});
  }
}

TEST_CASE("latency thresholds agree with the vectors") {
  for (const json& v : vectors()["thresholds"]) {
    CAPTURE(v["name"].get<std::string>());
    Histogram h;
    h.counts = v["counts"].get<std::vector<double>>();
    if (v.contains("bounds")) {
      h.bounds = v["bounds"].get<std::vector<double>>();
    } else {
      for (std::size_t i = 0; i + 1 < h.counts.size(); ++i) {
        h.bounds.push_back(std::pow(v["gamma"].get<double>(),
                                    v["first_power"].get<double>() + static_cast<double>(i)));
      }
    }
    std::size_t i = quantile_bound(stats::Tails(h), v["u"]);
    CHECK(i == v["t1_index"].get<std::size_t>());
    CHECK(h.bounds[i] == Close{v["t1"]});
    CHECK(above(h, i) == Close{v["tail"]});
    auto fail = rounded_up(h.bounds, i, 0.2);
    if (v["fail"].is_null()) {
      CHECK_FALSE(fail);
    } else {
      REQUIRE(fail);
      CHECK(fail->tolerance == Close{v["fail"][1]});
    }
    CHECK(rounded_down(h.bounds, i, 0.2).tolerance == Close{v["passing"][1]});
  }
}

TEST_CASE("the gate agrees with the vectors") {
  for (const json& v : vectors()["gate"]) {
    CAPTURE(v["name"].get<std::string>());
    std::vector<canary::GateMetric> metrics;
    for (const json& m : v["metrics"])
      metrics.push_back({m["w"], m["logF"], m["logP"], m["gating"]});
    canary::GateResult result = canary::gate(metrics, v["alpha"], v["beta"]);
    const json& wanted = v["expect"];
    CHECK(result.log_average == Close{wanted["log_avg"]});
    CHECK(result.score == Close{wanted["score"]});
    for (std::size_t i = 0; i < metrics.size(); ++i)
      CHECK(result.scores[i] == Close{wanted["metric_scores"][i]});
    std::string verdict = result.fail ? "FAIL" : result.pass ? "PASS" : "CONTINUE";
    CHECK(verdict == wanted["verdict"].get<std::string>());
  }
}

TEST_CASE("a whole error-rate metric agrees with the vectors, block by block") {
  for (const json& v : vectors()["error_metric"]) {
    CAPTURE(v["name"].get<std::string>());
    config::Policy policy;
    policy.robustness.on = v["robust"];
    canary::ErrorRate metric(policy);
    if (v.contains("history")) {
      Block past;
      past.dt = 1e-300;
      past.baseline.requests = v["history"][0];
      past.baseline.errors = v["history"][1];
      metric.learn(past);
    }
    canary::OpenBlock open;
    for (std::size_t i = 0; i < v["blocks"].size(); ++i) {
      const json& b = v["blocks"][i];
      Block block;
      block.dt = v["dt"];
      block.baseline.requests = b[0];
      block.baseline.errors = b[1];
      block.canary.requests = b[2];
      block.canary.errors = b[3];
      std::optional<Block> closed = open.add(block);
      const json& wanted = v["expect"][i];
      CHECK(closed.has_value() == !wanted.is_null());
      if (!closed) continue;
      metric.see(*closed, {});
      std::vector<canary::MetricReport> reports;
      metric.report(reports);
      const MetricVerdict& m = reports.front().verdict;
      CHECK(m.fail.log_e == Close{wanted["F"]});
      CHECK(m.warn.log_e == Close{wanted["W"]});
      CHECK(m.pass.log_e == Close{wanted["P"]});
      CHECK(m.discount == Close{wanted["phi"]});
    }
  }
}

TEST_CASE("a counter that went backwards was reset and counts from zero") {
  for (const json& v : vectors()["delta"]) {
    for (std::size_t i = 0; i < v["prev"].size(); ++i) {
      CHECK(stats::counter_delta(v["prev"][i], v["cur"][i]) == Close{v["delta"][i]});
    }
  }
}
