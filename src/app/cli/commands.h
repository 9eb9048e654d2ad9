// The commands: plain options in, exit code out. One file per command beside this one.
//
// Exit codes: 0 pass or done, 1 fail, 2 usage or config, 3 cannot judge or cannot reach,
// 75 inconclusive at the timeout (EX_TEMPFAIL: try again later).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "davy/time.h"

namespace davy::app {

inline constexpr int kExitPass = 0;
inline constexpr int kExitFail = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitError = 3;
inline constexpr int kExitInconclusive = 75;

/// The exit code that a verdict's word stands for; marginal is not known to be good.
inline int exit_code(std::string_view verdict) {
  if (verdict == "pass") return kExitPass;
  if (verdict == "fail") return kExitFail;
  return verdict == "error" ? kExitError : kExitInconclusive;
}

struct GateOptions {
  std::string deployment;
  std::string url = "http://127.0.0.1:8687";  // of the agent's API
  Duration timeout = std::chrono::minutes(10);
  bool json = false;
  bool marginal_passes = false;
};
/// Waits for a verdict and shows how far it is.
int gate_wait(const GateOptions& options);
/// Asks once.
int gate_check(const GateOptions& options);

struct HealthcheckOptions {
  std::string url = "http://127.0.0.1:8686";  // of the agent's health listener
  std::string role = "readiness";
  Duration timeout = std::chrono::seconds(1);
  Duration wait{0};  // ask again for so long until it is well
  bool json = false;
};
int healthcheck(const HealthcheckOptions& options);

struct ConfigCheckOptions {
  std::string file;
  bool json = false;
};
int config_check(const ConfigCheckOptions& options);

/// How a metrics URL is asked, by the commands that do it themselves.
struct TargetOptions {
  Duration timeout = std::chrono::seconds(5);
  std::vector<std::string> headers;  // "Name: value"
  std::string bearer_token_file;
  bool no_verify_tls = false;
  std::string ca_file, cert_file, key_file, server_name;  // "" = not said
};

struct ConfigSuggestOptions {
  std::string url;
  std::string canary;                       // V2's URL; "" = not known, or the same target has both
  std::string name;                         // of the service; "" = by the URL
  std::string file;                         // to write to; "" = stdout
  bool force = false;                       // even when the file is there
  Duration wait = std::chrono::seconds(3);  // between the two looks
  TargetOptions target;
};
/// Proposes a config for what a target shows.
int config_suggest(const ConfigSuggestOptions& options);

struct ScrapeOptions {
  std::string url;
  Duration every = std::chrono::seconds(2);
  int rounds = 3;
  // By which rules: a preset, a deployment of a config, or these; none = what fits best.
  std::string preset;
  std::string config_file, deployment;
  std::vector<std::string> counter, error_when, errors, histogram;
  std::string unit;  // "seconds", "milliseconds"; "" = as the preset says, or seconds
  bool json = false;
  TargetOptions target;
};
/// Shows what davy sees of a target.
int scrape(const ScrapeOptions& options);

struct CheckOptions {
  std::string name;                   // of a config's check, or
  std::string kind;                   // of a made-up one, with
  std::vector<std::string> settings;  // "key=value"
  std::string config_file;
  Duration timeout{0};  // 0 = the check's own
  bool json = false;
  bool nagios = false;
};
/// Runs one check once and explains it.
int check(const CheckOptions& options);

struct ProbesOptions {
  std::string kind;  // "" = all of them
  bool markdown = false;
};
/// What kinds of probes there are.
int probes(const ProbesOptions& options);

struct PresetsOptions {
  std::string name;  // "" = all of them
  bool markdown = false;
};
/// What presets there are.
int presets(const PresetsOptions& options);

struct MarkerOptions {
  std::string path;
  std::string version;  // of what is migrated to, for people
  Duration ttl{0};      // 0 = the check's max_age
  std::vector<std::string> command;
};
/// Runs a command with a migration marker held.
int marker(const MarkerOptions& options);

struct ReplayOptions {
  std::string file;  // "-" = standard input
  std::string policy_file;
  std::string stages;  // "5%,25%", or ""
  bool json = false;
};
int replay(const ReplayOptions& options);

struct SimulateOptions {
  double requests_per_second = 100;
  std::string share = "5%";   // of the traffic that V2 gets
  std::string base = "0.1%";  // V1's error rate
  std::string effect = "x2";  // what V2 does to it: "x2", "+1pp", "x1.2+0.01pp"
  std::string latency;        // V1's median, e.g. "50ms"; "" = errors only
  std::string slower = "x1";  // V2's latencies
  std::string buckets = "sketch";
  std::string gauge;                // noise of a metric of its own, e.g. "10%"; "" = none
  std::string gauge_effect = "x1";  // V2's level over V1's
  double gauge_keep = 0;            // of one value's noise in the next, 5 s later
  std::string routed;               // the share that V2 really gets; "" = as configured
  double bundle = 1;                // requests that arrive together
  Duration aa_period{0};            // 0: the policy's
  Duration onset{0};                // when the effect begins, from the canary's start
  Duration horizon = std::chrono::hours(1);
  int runs = 1000;
  std::uint64_t seed = 1;
  std::string mode = "robust";  // robust, noisy, iid
  std::string disturbance = "none";
  int pods = -1;  // of both versions; -1 = 20 when there is a disturbance, else none
  std::string policy_file;
  bool json = false;
  bool table = false;
};
/// Judges made-up canaries, and says how often and how late.
int simulate(const SimulateOptions& options);

struct ExplainOptions {
  std::string what;  // a deployment's name, or a recording
  std::string url = "http://127.0.0.1:8687";
  // Of a recording only:
  std::string policy_file;
  std::string stages;
  std::string svg_file;  // where to draw it, or ""
};
/// Shows a verdict with all its evidence.
int explain(const ExplainOptions& options);

struct DemoOptions {
  std::string scenario = "errors";
  Duration duration = std::chrono::minutes(5);
  bool until_verdict = false;
  bool json = false;
};
int demo(const DemoOptions& options);

struct DemoAppOptions {
  int port = 0;
  std::string version;
  std::string behaviour = "good";  // good, errors, slow
  Duration onset{0};               // the behaviour begins this long after the start
  std::string dependency;          // host:port that every request needs, or ""
};
/// One version of the demo's shop service (hidden command).
int demo_app(const DemoAppOptions& options);

int version(bool json);

}  // namespace davy::app
