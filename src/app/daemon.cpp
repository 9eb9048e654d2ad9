#include "app/daemon.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <thread>

#include "app/check_keeper.h"
#include "app/deployment_watch.h"
#include "app/noticeboard.h"
#include "app/peers.h"
#include "app/publisher_watch.h"
#include "base/log.h"
#include "base/run_in_helper.h"
#include "base/units.h"
#include "base/workers.h"
#include "net/means.h"
#include "net/signature.h"
#include "schedule/scheduler.h"
#include "serve/api_routes.h"
#include "serve/front.h"
#include "serve/health_routes.h"
#include "telemetry/metrics.h"

namespace davy::app {
namespace {

constexpr std::size_t kProbeThreads = 512;  // one per check suffices; started when needed
constexpr std::size_t kScrapeThreads = 16;
constexpr std::size_t kWaitingScrapes = 1024;
constexpr Duration kLastWait = std::chrono::seconds(2);  // for probes that do not come back
constexpr unsigned kLastSeconds = 4;                     // for all of the end together

/// As many connections as the descriptors allow beside probes and scrapes; raises the soft limit.
serve::ConnectionLimits connection_limits() {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  getrlimit(RLIMIT_NOFILE, &files);
  serve::ConnectionLimits limits;
  limits.connections = std::clamp<std::size_t>(files.rlim_cur / 4, 8, limits.connections);
  return limits;
}

config::Kinds kinds() {
  return {probe_kinds(), source_kinds()};
}

log::Format format_of(const config::Config& c) {
  return c.log.format == config::LogFormat::Json ? log::Format::Json : log::Format::Text;
}

log::Level level_of(const config::Config& c) {
  switch (c.log.level) {
    case config::LogLevel::Debug: return log::Level::Debug;
    case config::LogLevel::Info: return log::Level::Info;
    case config::LogLevel::Warn: return log::Level::Warn;
    case config::LogLevel::Error: return log::Level::Error;
  }
  return log::Level::Info;
}

/// The signals that main waits for; blocked in every thread.
sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int s : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, s);
  return set;
}

class Daemon {
 public:
  Daemon(const DaemonOptions& options, config::Config config)
      : options_(options),
        config_(std::move(config)),
        noticeboard_(config_.service, machine_clock()) {
    metrics_.read_means([this] {
      return telemetry::Metrics::Means{.resolver_timeouts = net_.resolver.timeouts(),
                                       .stale_answers = net_.resolver.stale_answers(),
                                       .helpers = net_.helpers.alive(),
                                       .helpers_killed = net_.helpers.killed()};
    });
  }

  int run();

 private:
  using Watches = std::vector<std::shared_ptr<DeploymentWatch>>;
  using Publishers = std::vector<std::shared_ptr<PublisherWatch>>;

  Result<Done> listen();
  serve::ApiRoutes::Orders orders();
  void restore();
  void pin(std::vector<CheckView> checks);
  void apply(const config::Config& config);
  void apply(const std::vector<config::Publication>& publications);
  void reload();
  int shut_down(const sigset_t& signals);

  const DaemonOptions options_;
  config::Config config_;
  const Clock& clock_ = machine_clock();
  telemetry::Metrics metrics_;
  Noticeboard noticeboard_;
  net::Means net_;
  Workers probe_workers_{"davy-probe", kProbeThreads, 0};
  Workers scrape_workers_{"davy-scrape", kScrapeThreads, kWaitingScrapes};
  Heartbeats heartbeats_;
  schedule::Scheduler scheduler_{{.clock = clock_,
                                  .workers = probe_workers_,
                                  .net = net_,
                                  .heartbeats = heartbeats_,
                                  .metrics = metrics_,
                                  .run_in_helper =
                                      [this](const config::Check& check, const ProbeContext& ctx) {
                                        return run_in_helper(net_.helpers, *check.kind,
                                                             check.options, ctx);
                                      },
                                  .seed = std::hash<std::string>()(net::random_word())},
                                 [this](std::vector<CheckView> checks) { pin(std::move(checks)); }};
  std::unique_ptr<CheckKeeper> check_keeper_;
  std::unique_ptr<Peers> peers_;
  Guarded<Watches> deployments_;
  Publishers publishers_;  // of main's thread
  std::unique_ptr<serve::HealthRoutes> health_routes_;
  std::unique_ptr<serve::ApiRoutes> api_routes_;
  std::unique_ptr<serve::Front> health_;
  std::unique_ptr<serve::Front> api_;
};

int Daemon::run() {
  // 1. Signals: run_daemon has blocked them, so that only sigwait below sees them.
  const sigset_t signals = handled_signals();
  // 2. The log: everything after this may want to say something.
  log::start(format_of(config_), level_of(config_));
  // 3. The listeners: a taken port must stop us before anything is probed. Until a check has passed
  //    they answer "not ready", which is the truth.
  if (Result<Done> listening = listen(); !listening) {
    log::error(listening.error().what);
    log::stop();
    return 3;
  }
  // 4. What a davy before us knew: a restart must not empty a load balancer.
  restore();
  // 5. Checks, deployments and what is published: from here on the Board changes.
  apply(config_);
  peers_->start();
  scheduler_.start();
  log::info("davy is up", {{"service", config_.service},
                           {"health", fmt::format("{}:{}", config_.health.host, health_->port())},
                           {"api", fmt::format("{}:{}", config_.api.host, api_->port())},
                           {"checks", std::to_string(config_.checks.size())},
                           {"deployments", std::to_string(config_.deployments.size())},
                           {"publications", std::to_string(config_.publications.size())}});
  // 6. Wait. As process 1 of a container we are also given the orphans of others, once a second.
  const bool is_first = getpid() == 1;
  while (true) {
    timespec second{1, 0};
    int signal =
        is_first ? sigtimedwait(&signals, nullptr, &second) : sigwaitinfo(&signals, nullptr);
    if (is_first) net_.helpers.reap_adopted();
    if (signal == SIGHUP) {
      reload();
    } else if (signal > 0) {
      return shut_down(signals);
    }
  }
}

Result<Done> Daemon::listen() {
  serve::ReadBoard board = [this] { return noticeboard_.board(); };
  health_routes_ = std::make_unique<serve::HealthRoutes>(board, clock_, false, config_.answers);
  api_routes_ =
      std::make_unique<serve::ApiRoutes>(board, clock_, metrics_, orders(), config_.answers);
  peers_ = std::make_unique<Peers>(
      config_.service, clock_, scrape_workers_, net_, metrics_,
      [this](health::Census census) { noticeboard_.pin_census(std::move(census)); });
  auto counted = [this](std::string_view listener, auto answer) {
    return [this, listener, answer](const serve::Request& request) {
      serve::Response response = answer(request);
      metrics_.request(listener, response.status);
      return response;
    };
  };
  auto health = [this](const serve::Request& request) {
    return request.path == "/peerz" ? peers_->answer(request, *noticeboard_.board())
                                    : health_routes_->answer(request);
  };
  auto api = [this](const serve::Request& request) { return api_routes_->answer(request); };
  serve::ConnectionLimits limits = connection_limits();
  health_ = std::make_unique<serve::Front>("health", limits, counted("health", health),
                                           [this] { metrics_.shed("health"); });
  api_ = std::make_unique<serve::Front>("api", limits, counted("api", api),
                                        [this] { metrics_.shed("api"); });
  if (Result<Done> ok = health_->start(config_.health); !ok) return ok;
  return api_->start(config_.api);
}

/// What the API may change.
serve::ApiRoutes::Orders Daemon::orders() {
  auto with = [this](const std::string& name, auto order) {
    auto all = deployments_.lock();
    for (const auto& watch : *all) {
      if (watch->deployment().name == name) order(*watch);
    }
  };
  return {.open_run =
              [with](const std::string& name, const std::string& revision) {
                with(name, [&](DeploymentWatch& watch) { watch.open_run(revision); });
              },
          .enter_stage =
              [with](const std::string& name, double weight) {
                with(name, [&](DeploymentWatch& watch) { watch.enter_stage(weight); });
              },
          .checks =
              {
                  .run_now = [this](const std::string& check) { scheduler_.run_now(check); },
                  .mute =
                      [this](const std::string& check, const serve::MuteRequest& mute) {
                        noticeboard_.mute(check, mute.length, mute.by, mute.why);
                      },
                  .unmute =
                      [this](const std::string& check) {
                        noticeboard_.mute(check, Duration::zero(), "", "");
                      },
                  .report =
                      [this](const std::string& check, Heartbeats::Report report) {
                        heartbeats_.report(check, std::move(report));
                        scheduler_.run_now(check);
                      },
              }};
}

void Daemon::restore() {
  check_keeper_ = std::make_unique<CheckKeeper>(config_.state_dir, scrape_workers_, metrics_);
  Remembered before = check_keeper_->load(config_, clock_.now());
  if (before.has_started) noticeboard_.restore_started(before.instance);
  scheduler_.restore(std::move(before.checks));
}

/// The scheduler's news, for everyone who follows them.
void Daemon::pin(std::vector<CheckView> checks) {
  noticeboard_.pin_checks(std::move(checks));
  std::shared_ptr<const Board> board = noticeboard_.board();
  peers_->look(*board);
  check_keeper_->keep(*board, clock_.now());
}

/// Checks and deployments whose settings did not change keep their state.
void Daemon::apply(const config::Config& config) {
  noticeboard_.configure(config.fail_open, config.liveness_budget);
  peers_->configure(config.peers);
  check_keeper_->follow(config.checks);
  scheduler_.set_checks(config.checks);
  Watches old = *deployments_.lock();
  Watches next;
  std::vector<std::string> names;
  for (const config::Deployment& d : config.deployments) {
    names.push_back(d.name);
    auto same = std::find_if(old.begin(), old.end(), [&](const auto& watch) {
      return watch->deployment().settings == d.settings;
    });
    if (same != old.end()) {
      next.push_back(*same);
      continue;
    }
    for (const auto& watch : old) {  // one of its name must not pin its verdict over the new one's
      if (watch->deployment().name == d.name) watch->stop();
    }
    next.push_back(std::make_shared<DeploymentWatch>(
        d, DeploymentWatch::Means{
               clock_, scrape_workers_, net_, metrics_, heartbeats_,
               [this](DeploymentView view) { noticeboard_.pin_deployment(std::move(view)); },
               config_.state_dir}));
    next.back()->start();
  }
  *deployments_.lock() = next;
  for (const auto& watch : old) {
    if (std::find(next.begin(), next.end(), watch) == next.end()) watch->stop();
  }
  noticeboard_.keep_deployments(names);
  apply(config.publications);
}

/// Those whose settings did not change go on. The others leave before anybody takes their place.
void Daemon::apply(const std::vector<config::Publication>& publications) {
  Publishers leaving = std::exchange(publishers_, {});
  auto is_of = [](const config::Publication& publication) {
    return [&publication](const std::shared_ptr<PublisherWatch>& watch) {
      return watch->publication().settings == publication.settings;
    };
  };
  std::vector<const config::Publication*> fresh;
  for (const config::Publication& publication : publications) {
    auto same = std::find_if(leaving.begin(), leaving.end(), is_of(publication));
    if (same == leaving.end()) {
      fresh.push_back(&publication);
    } else {
      publishers_.push_back(std::move(*same));
      leaving.erase(same);
    }
  }
  for (const auto& watch : leaving) watch->ask_to_stop();
  leaving.clear();
  for (const config::Publication* publication : fresh) {
    publishers_.push_back(std::make_shared<PublisherWatch>(
        *publication, PublisherWatch::Means{clock_, scrape_workers_, net_, metrics_, heartbeats_,
                                            config_.state_dir}));
    publishers_.back()->start();
  }
}

void Daemon::reload() {
  config::Loaded loaded = config::load_file(options_.config_file, kinds());
  metrics_.reloaded(loaded.config.has_value());
  if (!loaded.config) {
    for (const config::Problem& problem : loaded.problems) log::error(problem.text());
    log::error("reload refused: the running config stays", {{"file", options_.config_file}});
    return;
  }
  if (loaded.config->health != config_.health || loaded.config->api != config_.api) {
    log::warn("listen addresses change only with a restart; the old ones stay");
  }
  if (loaded.config->service != config_.service || loaded.config->log != config_.log ||
      loaded.config->state_dir != config_.state_dir || loaded.config->answers != config_.answers) {
    log::warn("service, log, state_dir and answers change only with a restart; the old ones stay");
  }
  config_ = *std::move(loaded.config);
  apply(config_);
  log::info("config reloaded", {{"file", options_.config_file}});
}

int Daemon::shut_down(const sigset_t& signals) {
  // 1. Not ready, at once: whoever polls us must send nothing more here. Everything still answers.
  noticeboard_.start_draining();
  log::info("draining", {{"for", units::show(config_.drain_delay)}});
  // 2. The delay, in which load balancers notice. A second signal cuts it short.
  timespec delay{};
  delay.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(config_.drain_delay).count();
  delay.tv_nsec = (config_.drain_delay % std::chrono::seconds(1)).count();
  while (sigtimedwait(&signals, nullptr, &delay) == SIGHUP) {
  }
  // 3. Whatever below hangs must not keep us: a clock runs beside it. The kernel's, as there may be
  //    no thread to be had any more.
  std::signal(SIGALRM, [](int) { _exit(0); });
  alarm(kLastSeconds);
  // 4. Nobody asks any more; nothing new starts.
  api_->stop();
  health_->stop();
  for (const auto& publisher : publishers_) publisher->ask_to_stop();
  scheduler_.stop();
  peers_->stop();
  deployments_.lock()->clear();
  publishers_.clear();
  // 5. Probes that do not come back are left behind, and so are helpers that cannot die.
  net_.helpers.stop();
  for (int i = 0; i < 20 && probe_workers_.busy() > 0; ++i)
    std::this_thread::sleep_for(kLastWait / 20);
  std::size_t left = probe_workers_.busy();
  log::info("stopped", {{"probes_left", std::to_string(left)}});
  log::stop();
  if (left > 0) _exit(0);
  return 0;
}

}  // namespace

int run_daemon(const DaemonOptions& options) {
  config::Loaded loaded = config::load_file(options.config_file, kinds());
  if (!loaded.config) {
    for (const config::Problem& problem : loaded.problems)
      fmt::print(stderr, "{}\n", problem.text());
    return 2;
  }
  // Before any thread starts, and the Daemon's members start some: one that does not block them
  // would take a signal that main is not waiting for yet, and end the process.
  sigset_t signals = handled_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return Daemon(options, *std::move(loaded.config)).run();
}

}  // namespace davy::app
