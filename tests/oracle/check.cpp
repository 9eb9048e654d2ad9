// davy_oracle: compares davy's statistics with the numbers that oracle.py made from the formulae.
//
//   oracle.py 1000 SEED | davy_oracle
//
// Exit codes: 0 all agree, 1 some differ (the first are printed), 2 the input is no list of cases.
// Agreement: to 1e-9, relative or near 0 absolute, and what a case says that rounding may lose.

#include <fmt/format.h>
#include <cmath>
#include <functional>
#include <iostream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "canary/error_rate.h"
#include "canary/gate.h"
#include "canary/latency.h"
#include "canary/open_block.h"
#include "canary/traffic_share.h"
#include "davy/sequential.h"
#include "stats/buckets.h"
#include "stats/ratio_interval.h"
#include "stats/robust.h"

using namespace davy;
using namespace davy::stats;
using nlohmann::json;

namespace {

constexpr double kTolerance = 1e-9;
constexpr int kMostPrinted = 10;

/// The case in hand, and what has differed so far.
class Comparison {
 public:
  void begin(const json& c) {
    case_ = fmt::format("case {} ({})", c.at("number").get<int>(), c.at("kind").get<std::string>());
    good_ = true;
    ++cases_;
  }
  void end() { differing_ += good_ ? 0 : 1; }

  /// `wanted` null = infinity.
  void number(const std::string& what, double seen, const json& wanted, double slack = 0) {
    double w = wanted.is_null() ? std::numeric_limits<double>::infinity() : wanted.get<double>();
    ++numbers_;
    bool same = std::isinf(w) || std::isinf(seen)
                    ? w == seen
                    : std::abs(seen - w) <= kTolerance * std::max(1.0, std::abs(w)) + slack;
    if (!same) tell(what, fmt::format("{:.17g}", seen), fmt::format("{:.17g}", w));
  }
  template <typename T>
  void equal(const std::string& what, const T& seen, const T& wanted) {
    ++numbers_;
    if (seen != wanted) tell(what, fmt::format("{}", seen), fmt::format("{}", wanted));
  }

  int finish() const {
    fmt::print("{} cases, {} numbers, {} cases differ\n", cases_, numbers_, differing_);
    return differing_ == 0 && cases_ > 0 ? 0 : 1;
  }

 private:
  void tell(const std::string& what, const std::string& seen, const std::string& wanted) {
    good_ = false;
    if (++told_ <= kMostPrinted) fmt::print("{}: {} is {}, not {}\n", case_, what, seen, wanted);
  }

  std::string case_;
  bool good_ = true;
  int cases_ = 0, numbers_ = 0, differing_ = 0, told_ = 0;
};

Null null_of(const json& n) {
  std::string kind = n.at("kind");
  return {.kind = kind == "eq"    ? Null::Kind::Equal
                  : kind == "one" ? Null::Kind::Single
                                  : Null::Kind::Linear,
          .ratio = n.at("r"),
          .absolute = n.at("d")};
}

Sample sample(const json& b) {
  return {b.at(0), b.at(1), b.at(2), b.at(3)};
}

Tempering tempering(const json& c) {
  Tempering t{.phi = c.at("phi")};
  if (!c.at("cap").is_null()) t.cap = c.at("cap");
  return t;
}

std::string at(std::size_t row, const char* what) {
  return fmt::format("row {}: {}", row, what);
}

void block(const json& c, Comparison& is) {
  Sample s = sample(c.at("block"));
  Bet bet = bet_on(null_of(c.at("null")), s.n1, s.n2, c.at("p1"), c.at("p2"));
  is.number("log e", bet.log_e(s), c.at("log_e"), c.at("slack"));
}

void worse(const json& c, Comparison& is) {
  WorseTest test(null_of(c.at("null")));
  for (std::size_t i = 0; i < c.at("rows").size(); ++i) {
    const json& row = c.at("rows")[i];
    if (row.at("stage")) test.begin_stage();
    test.see(sample(row.at("block")), row.at("p1"), row.at("dt"), tempering(c), row.at("widen"));
    is.number(at(i, "log M"), test.log_e(), c.at("expect")[i][0], c.at("expect")[i][1]);
  }
}

void pass(const json& c, Comparison& is) {
  NotWorseTest test(null_of(c.at("null")));
  for (std::size_t i = 0; i < c.at("rows").size(); ++i) {
    const json& row = c.at("rows")[i];
    if (row.at("stage")) test.restart();
    test.see(sample(row.at("block")), row.at("p1"), row.at("equal"), tempering(c));
    is.number(at(i, "log M"), test.log_e(), c.at("expect")[i][0], c.at("expect")[i][1]);
  }
}

void interval(const json& c, Comparison& is) {
  RatioIntervalEstimate estimate;
  for (const json& b : c.at("blocks")) estimate.see(sample(b), c.at("phi"));
  is.number("low", estimate.interval().low, c.at("low"));
  is.number("high", estimate.interval().high, c.at("high"));
}

void bursts(const json& c, Comparison& is) {
  BurstLimit limit(c.at("usual").get<double>());
  for (std::size_t i = 0; i < c.at("rows").size(); ++i) {
    const json& row = c.at("rows")[i];
    is.number(at(i, "share"), limit.share(row[0], row[1]), c.at("expect")[i][0]);
    limit.see(row[0], row[1]);
    is.number(at(i, "usual"), limit.usual(), c.at("expect")[i][1]);
  }
}

void haar(const json& c, Comparison& is) {
  Overdispersion phi(c.at("prior"));
  for (std::size_t i = 0; i < c.at("rows").size(); ++i) {
    phi.see(sample(c.at("rows")[i][0]), c.at("rows")[i][1]);
    is.number(at(i, "phi"), phi.factor(), c.at("expect")[i]);
  }
}

void noise(const json& c, Comparison& is) {
  InformationRate information;
  NoiseFloor floor;
  for (std::size_t i = 0; i < c.at("rows").size(); ++i) {
    const json& row = c.at("rows")[i];
    information.see(sample(row[0]), row[2], row[1]);
    floor.learn(sample(row[0]), row[1]);
    is.number(at(i, "information"), information.per_minute(), c.at("expect")[i][0]);
    is.number(at(i, "sigma"), floor.sigma(), c.at("expect")[i][1]);
  }
}

void pods(const json& c, Comparison& is) {
  std::vector<Pod> all;
  for (const json& pod : c.at("pods")) all.push_back({pod[0], pod[1]});
  is.number("margin", pod_margin(all, c.at("m2"), c.at("phi")), c.at("margin"));
}

Block block_of(const json& row, std::size_t canary_pods) {
  Sample s = sample(row.at("block"));
  Block b;
  b.dt = row.at("dt");
  b.baseline.requests = s.n1;
  b.baseline.errors = s.k1;
  b.canary.requests = s.n2;
  b.canary.errors = s.k2;
  for (const json& pod : row.at("pods")) {
    PodCounts counts;
    counts.id = pod[0];
    counts.requests = pod[1];
    counts.errors = pod[2];
    b.baseline.pods.push_back(counts);
  }
  for (std::size_t i = 0; i < canary_pods; ++i) {
    b.canary.pods.emplace_back();
    b.canary.pods.back().id = fmt::format("v2-{}", i);
  }
  return b;
}

void error_metric(const json& c, Comparison& is) {
  config::Policy policy;
  policy.robustness.on = c.at("robust");
  if (!c.at("hold").is_null())
    policy.error_rate.warn = config::Margin{c.at("hold")[0], c.at("hold")[1]};
  canary::ErrorRate metric(policy);
  if (const json& history = c.at("history"); !history.is_null()) {
    Block past;
    past.baseline.requests = history[0];
    past.baseline.errors = history[1];
    past.dt = history[2];
    metric.learn(past);
  }
  canary::OpenBlock open;
  for (std::size_t i = 0; i < c.at("rows").size(); ++i) {
    const json& row = c.at("rows")[i];
    const json& wanted = c.at("expect")[i];
    if (row.at("stage")) metric.begin_stage();
    std::optional<Block> closed = open.add(block_of(row, c.at("m2")));
    is.equal(at(i, "closes"), closed.has_value(), !wanted.is_null());
    if (!closed || wanted.is_null()) return;
    metric.see(*closed, {});
    std::vector<canary::MetricReport> reports;
    metric.report(reports);
    const MetricVerdict& m = reports.front().verdict;
    double slack = wanted.at("slack");
    is.number(at(i, "FAIL"), m.fail.log_e, wanted.at("fail"), slack);
    if (wanted.contains("hold")) is.number(at(i, "HOLD"), m.hold->log_e, wanted.at("hold"), slack);
    is.number(at(i, "WARN"), m.warn.log_e, wanted.at("warn"), slack);
    is.number(at(i, "PASS"), m.pass.log_e, wanted.at("pass"), slack);
    is.number(at(i, "phi"), m.discount, wanted.at("phi"));
    if (!wanted.contains("low")) continue;
    is.number(at(i, "low"), m.ratio.low, wanted.at("low"));
    is.number(at(i, "high"), m.ratio.high, wanted.at("high"));
  }
}

void thresholds(const json& c, Comparison& is) {
  Histogram h{c.at("bounds"), c.at("counts")};
  std::size_t t1 = quantile_bound(Tails(h), c.at("u"));
  is.equal("t1", t1, c.at("t1").get<std::size_t>());
  is.number("above", above(h, t1), c.at("above"));
  std::optional<Threshold> up = rounded_up(h.bounds, t1, c.at("tolerance"));
  is.equal("there is a bound to round up to", up.has_value(), !c.at("up").is_null());
  if (up && !c.at("up").is_null()) is.equal("rounded up", up->bound, c.at("up").get<std::size_t>());
  is.equal("rounded down", rounded_down(h.bounds, t1, c.at("tolerance")).bound,
           c.at("down").get<std::size_t>());
}

void latency(const json& c, Comparison& is) {
  config::Policy policy;
  policy.robustness.on = c.at("robust");
  canary::LatencyQuantile metric(policy, c.at("quantile"), 1);
  auto histogram = [&](const json& counts) { return Histogram{c.at("bounds"), counts}; };
  for (std::size_t i = 0; i < c.at("rows").size(); ++i) {
    const json& row = c.at("rows")[i];
    Histogram history = histogram(row[0]);
    metric.see({history.bounds, Tails(history), Tails(histogram(row[1])), Tails(histogram(row[2]))},
               row[3]);
    canary::MetricEvidence e = metric.evidence();
    const json& wanted = c.at("expect")[i];
    is.number(at(i, "FAIL"), e.fail, wanted[0], wanted[4]);
    is.number(at(i, "HOLD"), e.hold.value_or(0), wanted[1], wanted[4]);
    is.number(at(i, "WARN"), e.warn, wanted[2], wanted[4]);
    is.number(at(i, "PASS"), e.pass, wanted[3], wanted[4]);
  }
}

void share(const json& c, Comparison& is) {
  config::Policy policy;
  policy.robustness.on = c.at("robust");
  policy.traffic_share = {.tolerance = c.at("tolerance"), .stickiness = c.at("stickiness")};
  canary::TrafficShare test(policy, c.at("w"));
  for (std::size_t i = 0; i < c.at("rows").size(); ++i) {
    const json& row = c.at("rows")[i];
    Block b;
    b.baseline.requests = row[0];
    b.canary.requests = row[1];
    b.dt = row[2];
    test.see(b);
    is.number(at(i, "log M"), test.evidence().log_e, c.at("expect")[i][0], c.at("expect")[i][1]);
  }
}

void gate(const json& c, Comparison& is) {
  std::vector<canary::GateMetric> metrics;
  for (const json& m : c.at("metrics")) metrics.push_back({m[0], m[1], m[2], m[3]});
  canary::GateResult seen = canary::gate(metrics, c.at("alpha"), c.at("beta"));
  const json& wanted = c.at("expect");
  is.number("average", seen.log_average, wanted.at("log_average"));
  is.equal("fail", seen.fail, wanted.at("fail").get<bool>());
  is.equal("pass", seen.pass, wanted.at("pass").get<bool>());
  is.number("score", seen.score, wanted.at("score"));
  std::vector<bool> alone = canary::proven_alone(metrics, c.at("alpha"));
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    is.number(at(i, "score"), seen.scores[i], wanted.at("scores")[i]);
    is.equal(at(i, "proven alone"), static_cast<bool>(alone[i]), wanted.at("alone")[i].get<bool>());
  }
}

const std::map<std::string, std::function<void(const json&, Comparison&)>> kKinds{
    {"block", block},
    {"worse", worse},
    {"pass", pass},
    {"interval", interval},
    {"bursts", bursts},
    {"haar", haar},
    {"noise", noise},
    {"pods", pods},
    {"error_metric", error_metric},
    {"thresholds", thresholds},
    {"latency", latency},
    {"share", share},
    {"gate", gate}};

}  // namespace

int main() {
  try {
    json all = json::parse(std::cin);
    Comparison is;
    for (const json& c : all.at("cases")) {
      is.begin(c);
      kKinds.at(c.at("kind"))(c, is);
      is.end();
    }
    return is.finish();
  } catch (const std::exception& e) {
    fmt::print("the cases cannot be read: {}\n", e.what());
    return 2;
  }
}
