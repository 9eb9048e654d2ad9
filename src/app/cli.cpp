#include "app/cli.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <system_error>
#include <utility>

#include "app/cli/commands.h"
#include "app/daemon.h"
#include "base/units.h"

namespace davy::app {
namespace {

constexpr const char* kExitCodes =
    "Exit codes: 0 pass, 1 fail, 2 usage or config, 3 error (cannot judge, cannot reach), 75 "
    "inconclusive at the timeout.";

/// CLI11 wants to convert by itself; durations are ours ("30s", "10m").
CLI::Option* add_duration(CLI::App* command, const std::string& name, Duration& into,
                          const std::string& help) {
  return command
      ->add_option_function<std::string>(
          name,
          [&into](const std::string& text) {
            Result<Duration> parsed = units::parse_duration(text);
            if (!parsed) throw CLI::ValidationError(parsed.error().what);
            into = *parsed;
          },
          help)
      ->default_str(units::show(into))
      ->type_name("DURATION");
}

// One function per command: its options are written into `o`, which outlives the parse; what it
// ends with into `code`.

void add_agent(CLI::App& app, DaemonOptions& o, int& code) {
  CLI::App* command = app.add_subcommand("agent", "Run checks and judge deployments until SIGTERM");
  command->add_option("-c,--config", o.config_file, "The config file")
      ->envname("DAVY_CONFIG")
      ->required();
  command->footer(
      "SIGTERM drains and exits 0. SIGHUP reloads; a broken file changes nothing.\n"
      "Example: davy agent --config /etc/davy/davy.yaml");
  command->callback([&o, &code] { code = run_daemon(o); });
}

void add_gate_options(CLI::App* command, GateOptions& o) {
  command->add_option("deployment", o.deployment, "The deployment's name in the agent's config")
      ->required();
  command->add_option("--url", o.url, "The agent's API")
      ->envname("DAVY_URL")
      ->capture_default_str();
  command->add_flag("--json", o.json, "Print the verdict with its evidence as JSON");
  command->add_flag("--marginal-passes", o.marginal_passes,
                    "Take `marginal` for a pass (default: wait on)");
}

void add_gate(CLI::App& app, GateOptions& o, int& code) {
  CLI::App* command = app.add_subcommand("gate", "Ask a running agent for a deployment's verdict");
  command->require_subcommand(1);
  CLI::App* wait = command->add_subcommand("wait", "Wait for a verdict, showing how far it is");
  add_gate_options(wait, o);
  add_duration(wait, "--timeout", o.timeout, "Give up after this long");
  wait->footer(std::string(kExitCodes) + "\nExample: davy gate wait checkout --timeout 15m");
  wait->callback([&o, &code] { code = gate_wait(o); });
  CLI::App* check = command->add_subcommand("check", "Ask once");
  add_gate_options(check, o);
  check->footer(std::string(kExitCodes) + "\nExample: davy gate check checkout --json");
  check->callback([&o, &code] { code = gate_check(o); });
}

void add_healthcheck(CLI::App& app, HealthcheckOptions& o, int& code) {
  CLI::App* command = app.add_subcommand(
      "healthcheck", "Ask a running agent for a role; for HEALTHCHECK in images without curl");
  command->add_option("--url", o.url, "The agent's health listener")
      ->envname("DAVY_HEALTH_URL")
      ->capture_default_str();
  command->add_option("--role", o.role, "Which role")
      ->check(CLI::IsMember({"startup", "liveness", "readiness", "deploy"}))
      ->capture_default_str();
  add_duration(command, "--timeout", o.timeout, "Unhealthy after this long without an answer");
  add_duration(command, "--wait", o.wait,
               "Ask again for so long until it is healthy; for pipelines");
  command->add_flag("--json", o.json, "Print health+json");
  command->footer(
      "Exit codes: 0 healthy, 1 not.\nExample: HEALTHCHECK CMD [\"davy\", \"healthcheck\"]\n"
      "Example: davy healthcheck --role deploy --wait 60s");
  command->callback([&o, &code] { code = healthcheck(o); });
}

void add_config(CLI::App& app, ConfigCheckOptions& o, int& code) {
  CLI::App* command = app.add_subcommand("config", "Work with config files");
  command->require_subcommand(1);
  CLI::App* check =
      command->add_subcommand("check", "Say what is wrong with a config, or what it means");
  check->add_option("file", o.file, "The config file")->required();
  check->add_flag("--json", o.json, "Print the problems as JSON");
  check->footer("Exit codes: 0 good, 2 not.\nExample: davy config check davy.yaml");
  check->callback([&o, &code] { code = config_check(o); });
}

void add_check(CLI::App& app, CheckOptions& o, int& code) {
  CLI::App* command =
      app.add_subcommand("check", "Run one check once and explain it phase by phase");
  command->add_option("what", o.settings,
                      "A check's name in the config; with --kind: its settings, SETTING=VALUE");
  command->add_option("--kind", o.kind, "Instead of a name: a kind, see davy probes");
  command->add_option("-c,--config", o.config_file, "The config file")->envname("DAVY_CONFIG");
  add_duration(command, "--timeout", o.timeout, "Instead of the check's own; 0s = its own");
  command->add_flag("--json", o.json, "Print it as JSON");
  command->add_flag("--nagios", o.nagios,
                    "Print a Nagios plugin's line, and exit with its codes: 0, 1, 2, 3");
  command->footer(
      "Exit codes: 0 pass or warn, 1 fail, 2 usage or config, 3 davy itself could not ask.\n"
      "Example: davy check db --config davy.yaml\n"
      "Example: davy check --kind http url=http://127.0.0.1:3000/up");
  command->callback([&o, &code] {
    if (o.kind.empty() && o.settings.size() == 1) o.name = std::exchange(o.settings, {}).front();
    code = app::check(o);
  });
}

void add_probes(CLI::App& app, ProbesOptions& o, int& code) {
  CLI::App* command =
      app.add_subcommand("probes", "The kinds of probes, their settings and their reasons");
  command->add_option("kind", o.kind, "Show this one");
  command->add_flag("--markdown", o.markdown, "The reference page, docs/probes.md");
  command->footer("Example: davy probes postgres");
  command->callback([&o, &code] { code = probes(o); });
}

void add_target_options(CLI::App* command, TargetOptions& o) {
  add_duration(command, "--timeout", o.timeout, "For one page")->group("Target");
  command->add_option("--header", o.headers, "'Name: value', sent along")
      ->allow_extra_args(false)
      ->group("Target");
  command->add_option("--bearer-token-file", o.bearer_token_file, "A token, sent along")
      ->group("Target");
  command->add_option("--ca-file", o.ca_file, "The authorities to trust, as PEM")->group("Target");
  command->add_option("--cert-file", o.cert_file, "Our own certificate, for mTLS")->group("Target");
  command->add_option("--key-file", o.key_file, "Its key")->group("Target");
  command
      ->add_option("--server-name", o.server_name,
                   "The name in the target's certificate, if not the URL's")
      ->group("Target");
  command->add_flag("--no-verify-tls", o.no_verify_tls, "Trust any certificate")->group("Target");
}

void add_scrape(CLI::App& app, ScrapeOptions& o, int& code) {
  CLI::App* command = app.add_subcommand(
      "scrape", "Show what davy sees of a target: rates, latencies, by which series, what not");
  command->add_option("url", o.url, "The metrics URL: http://host:port/metrics")->required();
  add_duration(command, "--every", o.every, "From one page to the next");
  command->add_option("--rounds", o.rounds, "How many pages")->capture_default_str();
  constexpr const char* kRules = "Rules (default: the preset that fits best)";
  command->add_option("--preset", o.preset, "By this one, see davy presets")->group(kRules);
  command->add_option("-c,--config", o.config_file, "As a deployment of this config")
      ->group(kRules);
  command->add_option("--deployment", o.deployment, "Which one")->group(kRules);
  command->add_option("--counter", o.counter, "The series that count requests: selectors")
      ->allow_extra_args(false)
      ->group(kRules);
  command->add_option("--error-when", o.error_when, "Matchers of those that failed: code=~\"5..\"")
      ->allow_extra_args(false)
      ->group(kRules);
  command->add_option("--errors", o.errors, "Or counters of errors of their own")
      ->allow_extra_args(false)
      ->group(kRules);
  command->add_option("--histogram", o.histogram, "Latency histograms, without _bucket")
      ->allow_extra_args(false)
      ->group(kRules);
  command->add_option("--unit", o.unit, "Of their bounds")
      ->check(CLI::IsMember({"seconds", "milliseconds"}))
      ->group(kRules);
  command->add_flag("--json", o.json, "Print it as JSON");
  add_target_options(command, o.target);
  command->footer(
      "Exit codes: 0 davy could judge by it, 1 not (no requests, or no error would show), 2 usage "
      "or config, 3 cannot reach it.\n"
      "Example: davy scrape http://127.0.0.1:9102/metrics\n"
      "Example: davy scrape http://v1:15090/stats/prometheus --preset istio --every 10s\n"
      "Example: davy scrape http://v1:9102/metrics --counter shop_requests_total --error-when "
      "'status=~\"5..\"'");
  command->callback([&o, &code] { code = scrape(o); });
}

void add_config_suggest(CLI::App& app, ConfigSuggestOptions& o, int& code) {
  CLI::App* command = app.get_subcommand("config")->add_subcommand(
      "suggest", "Propose a config for what a target shows: the preset that fits, or a guess");
  command->add_option("url", o.url, "The metrics URL of V1, or of what serves both")->required();
  command->add_option("--canary", o.canary, "The metrics URL of V2");
  command->add_option("--name", o.name, "The service's name (default: by the URL)");
  add_duration(command, "--wait", o.wait, "Look again after so long, to see what moves");
  command->add_option("--write", o.file, "Write the config into this file, if there is none");
  command->add_flag("--force", o.force, "Even if there is one");
  add_target_options(command, o.target);
  command->footer(
      "Exit codes: 0 proposed, 1 nothing there to judge by, 2 usage, 3 cannot reach it.\n"
      "The config goes to stdout, why it is this one to stderr.\n"
      "Example: davy config suggest http://v1:9102/metrics --canary http://v2:9102/metrics\n"
      "Example: davy config suggest http://haproxy:8404/metrics --name shop --write davy.yaml");
  command->callback([&o, &code] { code = config_suggest(o); });
}

void add_presets(CLI::App& app, PresetsOptions& o, int& code) {
  CLI::App* command =
      app.add_subcommand("presets", "The presets: which series count, of common exporters");
  command->add_option("name", o.name, "Show this one");
  command->add_flag("--markdown", o.markdown, "Their table in docs/config.md");
  command->footer("Example: davy presets istio");
  command->callback([&o, &code] { code = presets(o); });
}

void add_marker(CLI::App& app, MarkerOptions& o, int& code) {
  CLI::App* command = app.add_subcommand(
      "marker", "Run a migration with its marker held, for checks of the kind migration_marker");
  command->add_option("path", o.path, "The marker file, as in the check")->required();
  command->add_option("--version", o.version, "What is migrated to; shown to people");
  add_duration(command, "--ttl", o.ttl, "When it counts as left behind; 0s = the check's max_age");
  command->add_option("command", o.command, "The migration, after --")->required();
  command->footer(
      "Exit codes: the command's; 3 when another migration holds the marker, or it cannot be "
      "made.\n"
      "Example: davy marker /run/app/migrating -- bin/rails db:migrate");
  command->callback([&o, &code] { code = marker(o); });
}

void add_replay(CLI::App& app, ReplayOptions& o, int& code) {
  CLI::App* command = app.add_subcommand("replay", "Judge recorded blocks again; no network");
  command->add_option("file", o.file, "NDJSON, one block per line; - for standard input")
      ->required();
  command->add_option("--policy", o.policy_file,
                      "The policy: part of a config (default: the default policy)");
  command->add_option("--stages", o.stages,
                      "The canary's shares of traffic, to name the next one: 5%,25%");
  command->add_flag("--json", o.json, "Print the final verdict alone, as JSON");
  command->footer(std::string(kExitCodes) +
                  "\nExample: davy replay run.ndjson --policy policy.yaml");
  command->callback([&o, &code] { code = replay(o); });
}

void add_simulate(CLI::App& app, SimulateOptions& o, int& code) {
  CLI::App* command = app.add_subcommand(
      "simulate", "Judge made-up canaries: how often is the verdict wrong, and how late right?");
  command->add_option("--rps", o.requests_per_second, "Requests per second, both versions")
      ->capture_default_str();
  command->add_option("--share", o.share, "V2's share of them")->capture_default_str();
  command->add_option("--base", o.base, "V1's error rate")->capture_default_str();
  command->add_option("--effect", o.effect, "V2's error rate: x2, +1pp, x1.2+0.01pp")
      ->capture_default_str();
  add_duration(command, "--onset", o.onset, "When the effect begins, from the canary's start");
  add_duration(command, "--horizon", o.horizon, "How long each canary runs");
  command->add_option("--latency", o.latency, "V1's median latency (default: errors only)");
  command->add_option("--slower", o.slower, "V2's latencies: x1.3; needs --latency")
      ->capture_default_str();
  command->add_option("--buckets", o.buckets, "Histogram bounds: sketch, native, prometheus")
      ->capture_default_str();
  command->add_option("--gauge", o.gauge, "A gauge (memory, ...) with this noise: 10%");
  command->add_option("--gauge-effect", o.gauge_effect, "V2's gauge: x1.5; needs --gauge")
      ->capture_default_str();
  command->add_option("--gauge-keep", o.gauge_keep, "Of its noise, what remains 5 s later: 0.95")
      ->capture_default_str();
  command->add_option("--routed", o.routed, "The share that V2 really gets, from the onset on");
  command->add_option("--bundle", o.bundle, "Requests that arrive together, at the same version")
      ->capture_default_str();
  add_duration(command, "--aa-period", o.aa_period,
               "So long before the canary both versions are the same (default: the policy's)");
  command->add_option("--runs", o.runs, "How many canaries")->capture_default_str();
  command->add_option("--seed", o.seed, "Same seed, same canaries")->capture_default_str();
  command->add_option("--mode", o.mode, "robust, noisy (for noisy services), iid (trusts requests)")
      ->capture_default_str();
  command->add_option("--disturbance", o.disturbance, "What makes requests depend on each other")
      ->capture_default_str();
  command->add_option("--pods", o.pods,
                      "Instances of both versions (default: 20 with a disturbance, else unknown)");
  command->add_option("--policy", o.policy_file, "The policy: part of a config");
  command->add_flag("--json", o.json, "Print the report as JSON");
  command->add_flag("--table", o.table, "Print all tables as Markdown; takes --runs and --seed");
  command->footer(
      "Exit codes: 0 done, 2 usage or policy.\n"
      "Example: davy simulate --rps 100 --share 5% --base 0.1% --effect x5 --onset 20m");
  command->callback([&o, &code] { code = simulate(o); });
}

void add_explain(CLI::App& app, ExplainOptions& o, int& code) {
  CLI::App* command = app.add_subcommand("explain", "Show a verdict with all its evidence");
  command
      ->add_option("what", o.what,
                   "A deployment's name; or a recording: FILE.ndjson, a path with a /, or -")
      ->required();
  command->add_option("--url", o.url, "The agent's API, for a name")
      ->envname("DAVY_URL")
      ->capture_default_str();
  command->add_option("--policy", o.policy_file, "For a recording: the policy: part of a config");
  command->add_option("--stages", o.stages,
                      "For a recording: the canary's shares of traffic, 5%,25%");
  command->add_option("--svg", o.svg_file,
                      "For a recording: draw the evidence over time into this file");
  command->footer(std::string(kExitCodes) +
                  "\nExample: davy explain checkout\n"
                  "Example: davy explain run.ndjson --svg run.svg");
  command->callback([&o, &code] { code = explain(o); });
}

void add_demo(CLI::App& app, DemoOptions& o, int& code) {
  CLI::App* command =
      app.add_subcommand("demo", "Watch davy judge two versions of a small shop on this machine");
  command->add_option("--scenario", o.scenario, "What V2 does")
      ->check(CLI::IsMember({"good", "errors", "slow", "late", "flaky-dependency"}))
      ->capture_default_str();
  add_duration(command, "--duration", o.duration, "End after this long");
  command->add_flag("--until-verdict", o.until_verdict,
                    "End with the verdict, and with its exit code");
  command->add_flag("--json", o.json, "Print the final verdict as JSON");
  command->footer(std::string(kExitCodes) + "\nExample: davy demo --scenario late --until-verdict");
  command->callback([&o, &code] { code = demo(o); });
}

void add_demo_app(CLI::App& app, DemoAppOptions& o, int& code) {
  CLI::App* command = app.add_subcommand("demo-app", "One version of the demo's shop")->group("");
  command->add_option("--port", o.port);
  command->add_option("--version", o.version);
  command->add_option("--behaviour", o.behaviour);
  add_duration(command, "--onset", o.onset, "");
  command->add_option("--dependency", o.dependency);
  command->callback([&o, &code] { code = demo_app(o); });
}

void add_version(CLI::App& app, bool& json, int& code) {
  CLI::App* command = app.add_subcommand("version", "Print the version");
  command->add_flag("--json", json, "As JSON");
  command->callback([&json, &code] { code = version(json); });
}

int parse_and_run(int argc, char** argv) {
  CLI::App app{
      "davy: is each instance well, is the new version worse than the old one, and may the rollout "
      "go on?",
      "davy"};
  app.require_subcommand(1);
  app.footer(std::string(kExitCodes) + "\nStart here: davy demo");
  int code = kExitPass;

  DaemonOptions agent;
  GateOptions gate;
  HealthcheckOptions health;
  ConfigCheckOptions config;
  CheckOptions checked;
  ProbesOptions listed;
  ConfigSuggestOptions suggested;
  ScrapeOptions scraped;
  PresetsOptions named;
  MarkerOptions held;
  ReplayOptions replayed;
  SimulateOptions made_up;
  ExplainOptions explained;
  DemoOptions demo_options;
  DemoAppOptions shop;
  bool version_json = false;

  add_agent(app, agent, code);
  add_gate(app, gate, code);
  add_healthcheck(app, health, code);
  add_config(app, config, code);
  add_check(app, checked, code);
  add_probes(app, listed, code);
  add_config_suggest(app, suggested, code);
  add_scrape(app, scraped, code);
  add_presets(app, named, code);
  add_marker(app, held, code);
  add_replay(app, replayed, code);
  add_simulate(app, made_up, code);
  add_explain(app, explained, code);
  add_demo(app, demo_options, code);
  add_demo_app(app, shop, code);
  add_version(app, version_json, code);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    int cli_code = app.exit(e);  // prints help or the error
    return cli_code == 0 ? kExitPass : kExitUsage;
  }
  return code;
}

}  // namespace

int run(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  // A dead resolver costs a lookup 2 s, not 10 to 40 (libc reads this before its first query).
  setenv("RES_OPTIONS", "timeout:1 attempts:2", 0);
  try {
    return parse_and_run(argc, argv);
  } catch (const std::system_error& e) {
    bool has_no_thread = e.code() == std::errc::resource_unavailable_try_again;
    fmt::print(stderr, "davy: {} ({})\n", e.what(),
               has_no_thread ? "no thread to be had: raise ulimit -u, or pids.max of the cgroup"
                             : "this is a defect; please report it");
    return kExitError;
  } catch (const std::exception& e) {
    fmt::print(stderr, "davy: {} (this is a defect; please report it)\n", e.what());
    return kExitError;
  }
}

}  // namespace davy::app
