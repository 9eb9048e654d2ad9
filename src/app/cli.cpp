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

void add_gate(CLI::App* command, GateOptions& o) {
  command->add_option("deployment", o.deployment, "The deployment's name in the agent's config")
      ->required();
  command->add_option("--url", o.url, "The agent's API")
      ->envname("DAVY_URL")
      ->capture_default_str();
  command->add_flag("--json", o.json, "Print the verdict with its evidence as JSON");
  command->add_flag("--marginal-passes", o.marginal_passes,
                    "Take `marginal` for a pass (default: wait on)");
}

CLI::App* add_simulate(CLI::App& app, SimulateOptions& o) {
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
  return command;
}

constexpr const char* kExitCodes =
    "Exit codes: 0 pass, 1 fail, 2 usage or config, 3 error (cannot judge, cannot reach), 75 "
    "inconclusive at the timeout.";

int parse_and_run(int argc, char** argv) {
  CLI::App app{
      "davy: is each instance well, is the new version worse than the old one, and may the rollout "
      "go on?",
      "davy"};
  app.require_subcommand(1);
  app.footer(std::string(kExitCodes) + "\nStart here: davy demo");
  int code = kExitPass;

  DaemonOptions agent;
  CLI::App* agent_command =
      app.add_subcommand("agent", "Run checks and judge deployments until SIGTERM");
  agent_command->add_option("-c,--config", agent.config_file, "The config file")
      ->envname("DAVY_CONFIG")
      ->required();
  agent_command->footer(
      "SIGTERM drains and exits 0. SIGHUP reloads; a broken file changes nothing.\n"
      "Example: davy agent --config /etc/davy/davy.yaml");
  agent_command->callback([&] { code = run_daemon(agent); });

  GateOptions gate;
  CLI::App* gate_command =
      app.add_subcommand("gate", "Ask a running agent for a deployment's verdict");
  gate_command->require_subcommand(1);
  CLI::App* wait =
      gate_command->add_subcommand("wait", "Wait for a verdict, showing how far it is");
  add_gate(wait, gate);
  add_duration(wait, "--timeout", gate.timeout, "Give up after this long");
  wait->footer(std::string(kExitCodes) + "\nExample: davy gate wait checkout --timeout 15m");
  wait->callback([&] { code = gate_wait(gate); });
  CLI::App* check = gate_command->add_subcommand("check", "Ask once");
  add_gate(check, gate);
  check->footer(std::string(kExitCodes) + "\nExample: davy gate check checkout --json");
  check->callback([&] { code = gate_check(gate); });

  HealthcheckOptions health;
  CLI::App* health_command = app.add_subcommand(
      "healthcheck", "Ask a running agent for a role; for HEALTHCHECK in images without curl");
  health_command->add_option("--url", health.url, "The agent's health listener")
      ->envname("DAVY_HEALTH_URL")
      ->capture_default_str();
  health_command->add_option("--role", health.role, "Which role")
      ->check(CLI::IsMember({"startup", "liveness", "readiness", "deploy"}))
      ->capture_default_str();
  add_duration(health_command, "--timeout", health.timeout,
               "Unhealthy after this long without an answer");
  add_duration(health_command, "--wait", health.wait,
               "Ask again for so long until it is healthy; for pipelines");
  health_command->add_flag("--json", health.json, "Print health+json");
  health_command->footer(
      "Exit codes: 0 healthy, 1 not.\nExample: HEALTHCHECK CMD [\"davy\", \"healthcheck\"]\n"
      "Example: davy healthcheck --role deploy --wait 60s");
  health_command->callback([&] { code = healthcheck(health); });

  ConfigCheckOptions config;
  CLI::App* config_command = app.add_subcommand("config", "Work with config files");
  config_command->require_subcommand(1);
  CLI::App* config_check_command =
      config_command->add_subcommand("check", "Say what is wrong with a config, or what it means");
  config_check_command->add_option("file", config.file, "The config file")->required();
  config_check_command->add_flag("--json", config.json, "Print the problems as JSON");
  config_check_command->footer("Exit codes: 0 good, 2 not.\nExample: davy config check davy.yaml");
  config_check_command->callback([&] { code = config_check(config); });

  CheckOptions checked;
  CLI::App* check_once =
      app.add_subcommand("check", "Run one check once and explain it phase by phase");
  check_once->add_option("what", checked.settings,
                         "A check's name in the config; with --kind: its settings, SETTING=VALUE");
  check_once->add_option("--kind", checked.kind, "Instead of a name: a kind, see davy probes");
  check_once->add_option("-c,--config", checked.config_file, "The config file")
      ->envname("DAVY_CONFIG");
  add_duration(check_once, "--timeout", checked.timeout,
               "Instead of the check's own; 0s = its own");
  check_once->add_flag("--json", checked.json, "Print it as JSON");
  check_once->add_flag("--nagios", checked.nagios,
                       "Print a Nagios plugin's line, and exit with its codes: 0, 1, 2, 3");
  check_once->footer(
      "Exit codes: 0 pass or warn, 1 fail, 2 usage or config, 3 davy itself could not ask.\n"
      "Example: davy check db --config davy.yaml\n"
      "Example: davy check --kind http url=http://127.0.0.1:3000/up");
  check_once->callback([&] {
    if (checked.kind.empty() && checked.settings.size() == 1)
      checked.name = std::exchange(checked.settings, {}).front();
    code = app::check(checked);
  });

  ProbesOptions listed;
  CLI::App* probes_command =
      app.add_subcommand("probes", "The kinds of probes, their settings and their reasons");
  probes_command->add_option("kind", listed.kind, "Show this one");
  probes_command->add_flag("--markdown", listed.markdown, "The reference page, docs/probes.md");
  probes_command->footer("Example: davy probes postgres");
  probes_command->callback([&] { code = probes(listed); });

  MarkerOptions held;
  CLI::App* marker_command = app.add_subcommand(
      "marker", "Run a migration with its marker held, for checks of the kind migration_marker");
  marker_command->add_option("path", held.path, "The marker file, as in the check")->required();
  marker_command->add_option("--version", held.version, "What is migrated to; shown to people");
  add_duration(marker_command, "--ttl", held.ttl,
               "When it counts as left behind; 0s = the check's max_age");
  marker_command->add_option("command", held.command, "The migration, after --")->required();
  marker_command->footer(
      "Exit codes: the command's; 3 when another migration holds the marker, or it cannot be "
      "made.\n"
      "Example: davy marker /run/app/migrating -- bin/rails db:migrate");
  marker_command->callback([&] { code = marker(held); });

  ReplayOptions replayed;
  CLI::App* replay_command =
      app.add_subcommand("replay", "Judge recorded blocks again; no network");
  replay_command
      ->add_option("file", replayed.file, "NDJSON, one block per line; - for standard input")
      ->required();
  replay_command->add_option("--policy", replayed.policy_file,
                             "The policy: part of a config (default: the default policy)");
  replay_command->add_option("--stages", replayed.stages,
                             "The canary's shares of traffic, to name the next one: 5%,25%");
  replay_command->add_flag("--json", replayed.json, "Print the final verdict alone, as JSON");
  replay_command->footer(std::string(kExitCodes) +
                         "\nExample: davy replay run.ndjson --policy policy.yaml");
  replay_command->callback([&] { code = replay(replayed); });

  SimulateOptions made_up;
  add_simulate(app, made_up)->callback([&] { code = simulate(made_up); });

  ExplainOptions explained;
  CLI::App* explain_command = app.add_subcommand("explain", "Show a verdict with all its evidence");
  explain_command
      ->add_option("what", explained.what,
                   "A deployment's name; or a recording: FILE.ndjson, a path with a /, or -")
      ->required();
  explain_command->add_option("--url", explained.url, "The agent's API, for a name")
      ->envname("DAVY_URL")
      ->capture_default_str();
  explain_command->add_option("--policy", explained.policy_file,
                              "For a recording: the policy: part of a config");
  explain_command->add_option("--stages", explained.stages,
                              "For a recording: the canary's shares of traffic, 5%,25%");
  explain_command->add_option("--svg", explained.svg_file,
                              "For a recording: draw the evidence over time into this file");
  explain_command->footer(std::string(kExitCodes) +
                          "\nExample: davy explain checkout\n"
                          "Example: davy explain run.ndjson --svg run.svg");
  explain_command->callback([&] { code = explain(explained); });

  DemoOptions demo_options;
  CLI::App* demo_command =
      app.add_subcommand("demo", "Watch davy judge two versions of a small shop on this machine");
  demo_command->add_option("--scenario", demo_options.scenario, "What V2 does")
      ->check(CLI::IsMember({"good", "errors", "slow", "late", "flaky-dependency"}))
      ->capture_default_str();
  add_duration(demo_command, "--duration", demo_options.duration, "End after this long");
  demo_command->add_flag("--until-verdict", demo_options.until_verdict,
                         "End with the verdict, and with its exit code");
  demo_command->add_flag("--json", demo_options.json, "Print the final verdict as JSON");
  demo_command->footer(std::string(kExitCodes) +
                       "\nExample: davy demo --scenario late --until-verdict");
  demo_command->callback([&] { code = demo(demo_options); });

  DemoAppOptions shop;
  CLI::App* shop_command =
      app.add_subcommand("demo-app", "One version of the demo's shop")->group("");
  shop_command->add_option("--port", shop.port);
  shop_command->add_option("--version", shop.version);
  shop_command->add_option("--behaviour", shop.behaviour);
  add_duration(shop_command, "--onset", shop.onset, "");
  shop_command->add_option("--dependency", shop.dependency);
  shop_command->callback([&] { code = demo_app(shop); });

  bool version_json = false;
  CLI::App* version_command = app.add_subcommand("version", "Print the version");
  version_command->add_flag("--json", version_json, "As JSON");
  version_command->callback([&] { code = version(version_json); });

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
