#include "telemetry/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <cmath>
#include <unordered_map>

#include "base/guarded.h"
#include "base/log.h"

namespace davy::telemetry {
namespace {

using Labels = std::map<std::string, std::string>;

const prometheus::Histogram::BucketBoundaries kSeconds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                       0.25,  0.5,    1,     2.5,  5,     10};
const prometheus::Histogram::BucketBoundaries kDelays{0.0001, 0.00025, 0.0005, 0.001, 0.002,
                                                      0.0025, 0.005,   0.01,   0.025, 0.05,
                                                      0.1,    0.25,    0.5,    1,     2.5};

prometheus::Family<prometheus::Gauge>& gauge(prometheus::Registry& to, const char* name,
                                             const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(to);
}
prometheus::Family<prometheus::Counter>& counter(prometheus::Registry& to, const char* name,
                                                 const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(to);
}
prometheus::Family<prometheus::Histogram>& histogram(prometheus::Registry& to, const char* name,
                                                     const char* help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(to);
}

constexpr auto kOutcomes = static_cast<std::size_t>(Outcome::Kind::Error) + 1;

/// prometheus-cpp prints NaN as "Nan", which nobody parses; such values are left at 0.
double finite(double x) {
  return std::isfinite(x) ? x : 0;
}

void add_means(prometheus::Registry& registry, const Metrics::Means& means) {
  gauge(registry, "davy_helpers", "Helper processes that run.")
      .Add({})
      .Set(static_cast<double>(means.helpers));
  counter(registry, "davy_helpers_killed_total", "Helper processes killed at their deadline.")
      .Add({})
      .Increment(static_cast<double>(means.helpers_killed));
  counter(registry, "davy_resolver_timeouts_total", "Names that were not answered in time.")
      .Add({})
      .Increment(static_cast<double>(means.resolver_timeouts));
  counter(registry, "davy_resolver_stale_answers_total",
          "Times an old answer was used because the resolver did not answer.")
      .Add({})
      .Increment(static_cast<double>(means.stale_answers));
}

/// Everything that is true now, as a page of gauges.
void add_gauges(prometheus::Registry& registry, const Board& board, Time now) {
  gauge(registry, "davy_build_info", "The running version.")
      .Add({{"version", DAVY_VERSION}})
      .Set(1);
  gauge(registry, "davy_draining", "1 while draining.").Add({}).Set(board.draining ? 1 : 0);
  gauge(registry, "davy_board_age_seconds", "Age of what is being answered from.")
      .Add({})
      .Set(seconds(now - board.made_at));
  gauge(registry, "davy_log_lines_dropped", "Log lines dropped because stderr did not take them.")
      .Add({})
      .Set(static_cast<double>(log::dropped()));

  auto& status = gauge(registry, "davy_check_status", "1 for the status that the check has.");
  auto& age = gauge(registry, "davy_check_age_seconds", "Age of the last result.");
  auto& stuck =
      gauge(registry, "davy_check_stuck", "1 while a run has not come back since its deadline.");
  auto& stale =
      gauge(registry, "davy_check_stale", "1 while there has been no result for too long.");
  auto& flapping = gauge(registry, "davy_check_flapping", "1 while the check alternates.");
  auto& muted = gauge(registry, "davy_check_muted", "1 while the check does not count.");
  auto& open = gauge(registry, "davy_check_fail_open",
                     "1 while the check fails and readiness does not count it.");
  auto& failures =
      gauge(registry, "davy_check_consecutive_failures", "Failed runs since the last pass.");
  auto& value = gauge(registry, "davy_check_value", "What the check measured last, in its unit.");
  gauge(registry, "davy_liveness_suppressed",
        "1 while liveness passes although it fails, because restarts did not help.")
      .Add({})
      .Set(board.liveness_suppressed ? 1 : 0);
  for (const CheckView& check : board.checks) {
    for (CheckStatus s :
         {CheckStatus::Pending, CheckStatus::Pass, CheckStatus::Warn, CheckStatus::Fail}) {
      status.Add({{"check", check.name}, {"status", std::string(word(s))}})
          .Set(check.status == s ? 1 : 0);
    }
    age.Add({{"check", check.name}}).Set(seconds(now - check.last_result));
    stuck.Add({{"check", check.name}}).Set(check.stuck ? 1 : 0);
    stale.Add({{"check", check.name}}).Set(check.stale ? 1 : 0);
    flapping.Add({{"check", check.name}}).Set(check.flapping ? 1 : 0);
    muted.Add({{"check", check.name}}).Set(check.muted ? 1 : 0);
    open.Add({{"check", check.name}}).Set(check.fail_open ? 1 : 0);
    failures.Add({{"check", check.name}}).Set(check.consecutive_failures);
    if (!check.unit.empty())
      value.Add({{"check", check.name}, {"measured", ""}, {"unit", check.unit}})
          .Set(finite(check.value));
    for (const Measurement& m : check.also)
      value.Add({{"check", check.name}, {"measured", m.name}, {"unit", m.unit}})
          .Set(finite(m.value));
  }
  auto& role = gauge(registry, "davy_role_ok", "1 when the role answers 200.");
  for (const RoleView& view : board.roles)
    role.Add({{"role", std::string(word(view.role))}}).Set(view.ok ? 1 : 0);

  auto& verdict = gauge(registry, "davy_verdict", "1 for the verdict that stands.");
  auto& score = gauge(registry, "davy_score",
                      "0 = evidence to roll back complete, 100 = to promote complete.");
  auto& requests = gauge(registry, "davy_judged_requests", "Requests seen since the run began.");
  auto& log_e = gauge(registry, "davy_evidence_nats", "log e of each test of each metric.");
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
      if (m.hold) {
        log_e.Add({{"deployment", d.name}, {"metric", m.name}, {"test", "hold"}})
            .Set(finite(m.hold->log_e));
      }
      log_e.Add({{"deployment", d.name}, {"metric", m.name}, {"test", "warn"}})
          .Set(finite(m.warn.log_e));
      log_e.Add({{"deployment", d.name}, {"metric", m.name}, {"test", "pass"}})
          .Set(finite(m.pass.log_e));
    }
  }
}

}  // namespace

struct Metrics::Impl {
  /// The series of a check, at hand: finding them by their labels costs more than counting.
  struct OfCheck {
    prometheus::Histogram* took = nullptr;
    prometheus::Counter* runs[kOutcomes]{};
  };

  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& runs =
      counter(registry, "davy_check_runs_total", "Runs of a check by what they saw.");
  prometheus::Family<prometheus::Histogram>& took =
      histogram(registry, "davy_check_duration_seconds", "How long runs took.");
  Guarded<std::unordered_map<std::string, OfCheck>> of_check;
  prometheus::Family<prometheus::Counter>& given_up =
      counter(registry, "davy_check_deadline_exceeded_total", "Runs given up at their deadline.");
  prometheus::Counter& no_worker = counter(registry, "davy_check_no_worker_total",
                                           "Runs not started because every worker was busy.")
                                       .Add({});
  prometheus::Histogram& late = histogram(registry, "davy_check_start_delay_seconds",
                                          "How long after they were due runs began.")
                                    .Add({}, kDelays);
  prometheus::Family<prometheus::Counter>& checks_kept = counter(
      registry, "davy_check_states_saves_total", "Times check states were written to disk.");
  prometheus::Family<prometheus::Counter>& checks_restored =
      counter(registry, "davy_check_states_restored_total",
              "Check states from before a restart, taken up or refused.");
  prometheus::Gauge& peers =
      gauge(registry, "davy_peers_answering", "Peers that answered properly when last asked.")
          .Add({});
  std::function<Means()> read_means;
  prometheus::Family<prometheus::Counter>& source_events =
      counter(registry, "davy_source_events_total", "What befell a deployment's source.");
  prometheus::Family<prometheus::Counter>& published_blocks =
      counter(registry, "davy_published_blocks_total",
              "Blocks made to be published, since the publisher's memory began.");
  prometheus::Family<prometheus::Counter>& published_requests =
      counter(registry, "davy_published_requests_total", "Requests in those blocks.");
  prometheus::Family<prometheus::Gauge>& publish_waiting =
      gauge(registry, "davy_publish_waiting_blocks", "Blocks that have not arrived at Redis yet.");
  prometheus::Family<prometheus::Counter>& publish_events =
      counter(registry, "davy_publish_events_total", "What befell a publisher.");
  prometheus::Family<prometheus::Counter>& publish_saves =
      counter(registry, "davy_publish_saves_total",
              "Times a publisher's memory was written to disk, by result.");
  prometheus::Family<prometheus::Counter>& rounds =
      counter(registry, "davy_source_rounds_total", "Rounds of a deployment's source.");
  prometheus::Family<prometheus::Counter>& saves =
      counter(registry, "davy_run_saves_total", "Times a run was written to disk, by result.");
  prometheus::Family<prometheus::Counter>& resumes =
      counter(registry, "davy_run_resumes_total", "Saved runs found at the start, by result.");
  prometheus::Family<prometheus::Counter>& requests =
      counter(registry, "davy_http_requests_total", "Answers given.");
  prometheus::Family<prometheus::Counter>& shed =
      counter(registry, "davy_http_shed_total",
              "Connections closed unanswered because too many were open.");
  prometheus::Family<prometheus::Counter>& reloads =
      counter(registry, "davy_config_reloads_total", "Config reloads by result.");
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

void Metrics::check_ran(const std::string& check, Outcome::Kind outcome, Duration took,
                        Duration late) {
  impl_->late.Observe(seconds(late));
  auto kind = static_cast<std::size_t>(outcome);
  auto of_check = impl_->of_check.lock();
  Impl::OfCheck& series = (*of_check)[check];
  if (series.took == nullptr) series.took = &impl_->took.Add({{"check", check}}, kSeconds);
  if (series.runs[kind] == nullptr) {
    series.runs[kind] =
        &impl_->runs.Add({{"check", check}, {"outcome", std::string(word(outcome))}});
  }
  series.took->Observe(seconds(took));
  series.runs[kind]->Increment();
}

void Metrics::check_given_up(const std::string& check) {
  impl_->given_up.Add({{"check", check}}).Increment();
}

void Metrics::no_worker() {
  impl_->no_worker.Increment();
}

void Metrics::checks_kept(bool ok) {
  impl_->checks_kept.Add({{"result", ok ? "ok" : "failed"}}).Increment();
}

void Metrics::checks_restored(const std::string& result, std::size_t checks) {
  impl_->checks_restored.Add({{"result", result}}).Increment(static_cast<double>(checks));
}

void Metrics::peers_answered(std::size_t peers) {
  impl_->peers.Set(static_cast<double>(peers));
}

void Metrics::read_means(std::function<Means()> read) {
  impl_->read_means = std::move(read);
}

void Metrics::collected(const std::string& deployment, bool block, bool trouble) {
  impl_->rounds
      .Add({{"deployment", deployment},
            {"block", block ? "yes" : "no"},
            {"trouble", trouble ? "yes" : "no"}})
      .Increment();
}

void Metrics::source_event(const std::string& deployment, std::string_view event, double times) {
  impl_->source_events.Add({{"deployment", deployment}, {"event", std::string(event)}})
      .Increment(times);
}

void Metrics::published(const std::string& deployment, const std::string& version, double blocks,
                        double requests) {
  Labels labels{{"deployment", deployment}, {"version", version}};
  impl_->published_blocks.Add(labels).Increment(blocks);
  impl_->published_requests.Add(labels).Increment(requests);
}

void Metrics::publish_waiting(const std::string& deployment, const std::string& version,
                              std::size_t blocks) {
  impl_->publish_waiting.Add({{"deployment", deployment}, {"version", version}})
      .Set(static_cast<double>(blocks));
}

void Metrics::publish_event(const std::string& deployment, const std::string& version,
                            std::string_view event, double times) {
  impl_->publish_events
      .Add({{"deployment", deployment}, {"version", version}, {"event", std::string(event)}})
      .Increment(times);
}

void Metrics::publish_saved(const std::string& deployment, const std::string& version, bool ok) {
  impl_->publish_saves
      .Add({{"deployment", deployment}, {"version", version}, {"result", ok ? "ok" : "failed"}})
      .Increment();
}

void Metrics::saved(const std::string& deployment, bool ok) {
  impl_->saves.Add({{"deployment", deployment}, {"result", ok ? "ok" : "failed"}}).Increment();
}

void Metrics::resumed(const std::string& deployment, bool ok) {
  impl_->resumes.Add({{"deployment", deployment}, {"result", ok ? "ok" : "refused"}}).Increment();
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
  if (impl_->read_means) add_means(gauges, impl_->read_means());
  prometheus::TextSerializer serializer;
  return serializer.Serialize(gauges.Collect()) + serializer.Serialize(impl_->registry.Collect());
}

}  // namespace davy::telemetry
