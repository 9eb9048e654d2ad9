#include "telemetry/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <cmath>

#include "base/log.h"

namespace davy::telemetry {
namespace {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;
using Labels = std::map<std::string, std::string>;

const prometheus::Histogram::BucketBoundaries kSeconds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                       0.25,  0.5,    1,     2.5,  5,     10};

constexpr std::string_view kOutcomes[] = {"pass", "warn", "fail", "error"};

/// prometheus-cpp prints NaN as "Nan", which nobody parses; such values are left at 0.
double finite(double x) {
  return std::isfinite(x) ? x : 0;
}

/// Everything that is true now, as a page of gauges.
void add_gauges(prometheus::Registry& registry, const Board& board, Time now) {
  BuildGauge()
      .Name("davy_build_info")
      .Help("The running version.")
      .Register(registry)
      .Add({{"version", DAVY_VERSION}})
      .Set(1);
  BuildGauge()
      .Name("davy_draining")
      .Help("1 while draining.")
      .Register(registry)
      .Add({})
      .Set(board.draining ? 1 : 0);
  BuildGauge()
      .Name("davy_board_age_seconds")
      .Help("Age of what is being answered from.")
      .Register(registry)
      .Add({})
      .Set(seconds(now - board.made_at));
  BuildGauge()
      .Name("davy_log_lines_dropped")
      .Help("Log lines dropped because stderr did not take them.")
      .Register(registry)
      .Add({})
      .Set(static_cast<double>(log::dropped()));

  auto& status = BuildGauge()
                     .Name("davy_check_status")
                     .Help("1 for the status that the check has.")
                     .Register(registry);
  auto& age = BuildGauge()
                  .Name("davy_check_age_seconds")
                  .Help("Age of the last result.")
                  .Register(registry);
  auto& stuck = BuildGauge()
                    .Name("davy_check_stuck")
                    .Help("1 while a run has not come back since its deadline.")
                    .Register(registry);
  auto& stale = BuildGauge()
                    .Name("davy_check_stale")
                    .Help("1 while there has been no result for too long.")
                    .Register(registry);
  for (const CheckView& check : board.checks) {
    for (CheckStatus s :
         {CheckStatus::Pending, CheckStatus::Pass, CheckStatus::Warn, CheckStatus::Fail}) {
      status.Add({{"check", check.name}, {"status", std::string(word(s))}})
          .Set(check.status == s ? 1 : 0);
    }
    age.Add({{"check", check.name}}).Set(seconds(now - check.last_result));
    stuck.Add({{"check", check.name}}).Set(check.stuck ? 1 : 0);
    stale.Add({{"check", check.name}}).Set(check.stale ? 1 : 0);
  }
  auto& role =
      BuildGauge().Name("davy_role_ok").Help("1 when the role answers 200.").Register(registry);
  for (const RoleView& view : board.roles)
    role.Add({{"role", std::string(word(view.role))}}).Set(view.ok ? 1 : 0);

  auto& verdict =
      BuildGauge().Name("davy_verdict").Help("1 for the verdict that stands.").Register(registry);
  auto& score = BuildGauge()
                    .Name("davy_score")
                    .Help("0 = evidence to roll back complete, 100 = to promote complete.")
                    .Register(registry);
  auto& requests = BuildGauge()
                       .Name("davy_judged_requests")
                       .Help("Requests seen since the run began.")
                       .Register(registry);
  auto& log_e = BuildGauge()
                    .Name("davy_evidence_nats")
                    .Help("log e of each test of each metric.")
                    .Register(registry);
  for (const DeploymentView& d : board.deployments) {
    for (VerdictKind kind : {VerdictKind::Pass, VerdictKind::Marginal, VerdictKind::Inconclusive,
                             VerdictKind::Fail, VerdictKind::Error}) {
      verdict.Add({{"deployment", d.name}, {"verdict", std::string(word(kind))}})
          .Set(d.verdict.kind == kind ? 1 : 0);
    }
    score.Add({{"deployment", d.name}}).Set(finite(d.verdict.score));
    requests.Add({{"deployment", d.name}, {"version", "baseline"}})
        .Set(finite(d.verdict.baseline_requests));
    requests.Add({{"deployment", d.name}, {"version", "canary"}})
        .Set(finite(d.verdict.canary_requests));
    for (const MetricVerdict& m : d.verdict.metrics) {
      log_e.Add({{"deployment", d.name}, {"metric", m.name}, {"test", "fail"}})
          .Set(finite(m.fail.log_e));
      log_e.Add({{"deployment", d.name}, {"metric", m.name}, {"test", "warn"}})
          .Set(finite(m.warn.log_e));
      log_e.Add({{"deployment", d.name}, {"metric", m.name}, {"test", "pass"}})
          .Set(finite(m.pass.log_e));
    }
  }
}

}  // namespace

struct Metrics::Impl {
  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& runs = BuildCounter()
                                                      .Name("davy_check_runs_total")
                                                      .Help("Runs of a check by what they saw.")
                                                      .Register(registry);
  prometheus::Family<prometheus::Histogram>& took = BuildHistogram()
                                                        .Name("davy_check_duration_seconds")
                                                        .Help("How long runs took.")
                                                        .Register(registry);
  prometheus::Family<prometheus::Counter>& given_up =
      BuildCounter()
          .Name("davy_check_deadline_exceeded_total")
          .Help("Runs given up at their deadline.")
          .Register(registry);
  prometheus::Counter& no_worker = BuildCounter()
                                       .Name("davy_check_no_worker_total")
                                       .Help("Runs not started because every worker was busy.")
                                       .Register(registry)
                                       .Add({});
  prometheus::Family<prometheus::Counter>& rounds = BuildCounter()
                                                        .Name("davy_source_rounds_total")
                                                        .Help("Rounds of a deployment's source.")
                                                        .Register(registry);
  prometheus::Family<prometheus::Counter>& requests =
      BuildCounter().Name("davy_http_requests_total").Help("Answers given.").Register(registry);
  prometheus::Family<prometheus::Counter>& shed =
      BuildCounter()
          .Name("davy_http_shed_total")
          .Help("Connections closed unanswered because too many were open.")
          .Register(registry);
  prometheus::Family<prometheus::Counter>& reloads = BuildCounter()
                                                         .Name("davy_config_reloads_total")
                                                         .Help("Config reloads by result.")
                                                         .Register(registry);
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

void Metrics::check_ran(const std::string& check, Outcome::Kind outcome, Duration took) {
  impl_->runs
      .Add({{"check", check}, {"outcome", std::string(kOutcomes[static_cast<int>(outcome)])}})
      .Increment();
  impl_->took.Add({{"check", check}}, kSeconds).Observe(seconds(took));
}

void Metrics::check_given_up(const std::string& check) {
  impl_->given_up.Add({{"check", check}}).Increment();
}

void Metrics::no_worker() {
  impl_->no_worker.Increment();
}

void Metrics::collected(const std::string& deployment, bool block, bool trouble) {
  impl_->rounds
      .Add({{"deployment", deployment},
            {"block", block ? "yes" : "no"},
            {"trouble", trouble ? "yes" : "no"}})
      .Increment();
}

void Metrics::request(std::string_view listener, int status) {
  impl_->requests.Add({{"listener", std::string(listener)}, {"code", std::to_string(status)}})
      .Increment();
}

void Metrics::shed(std::string_view listener) {
  impl_->shed.Add({{"listener", std::string(listener)}}).Increment();
}

void Metrics::reloaded(bool ok) {
  impl_->reloads.Add({{"result", ok ? "ok" : "refused"}}).Increment();
}

std::string Metrics::render(const Board& board, Time now) {
  prometheus::Registry gauges;
  add_gauges(gauges, board, now);
  prometheus::TextSerializer serializer;
  return serializer.Serialize(gauges.Collect()) + serializer.Serialize(impl_->registry.Collect());
}

}  // namespace davy::telemetry
