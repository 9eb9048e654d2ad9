// Config: the final, validated settings of an agent. Components take these types and nothing rawer.
//
// Why: parse, don't validate. Whatever holds a Config need not check it again.
// Threading: immutable once loaded; a reload makes a new one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/policy.h"
#include "davy/board.h"
#include "davy/options.h"
#include "davy/probe.h"
#include "davy/result.h"
#include "davy/source.h"
#include "davy/time.h"

namespace davy::config {

struct Address {
  std::string host;
  int port = 0;

  std::string text() const;  // "127.0.0.1:8686", "[::1]:8686"
  friend bool operator==(const Address&, const Address&) = default;
};

/// When to run a check and how its outcomes become a state. Semantics: docs/checks.md.
struct Schedule {
  Duration initial_delay{0};
  Duration period = std::chrono::seconds(10);
  Duration timeout = std::chrono::seconds(2);
  double jitter = 0.1;        // share of the period by which a run may be late, spread per check
  int failure_threshold = 3;  // consecutive failures until it fails
  int success_threshold = 2;  // consecutive passes until it passes again after a failure
  Duration stale_after{0};    // age of the last result at which it counts as stale
  WhenStale when_stale = WhenStale::Fail;

  friend bool operator==(const Schedule&, const Schedule&) = default;
};

struct Check {
  std::string name;
  const ProbeKind* kind = nullptr;
  Options options;
  std::string settings;  // the probe's settings as written (before ${...}): equal text, equal probe
  std::vector<Role> roles;
  Severity severity = Severity::Critical;
  Scope scope = Scope::Local;
  Schedule schedule;
  int line = 0;

  bool has(Role role) const;
};

/// What a deployment expects of its traffic, both versions together. For the forecast of `davy
/// config check` only: no test uses it.
struct Expected {
  double requests_per_second = 0;
  double error_rate = 0.001;

  friend bool operator==(const Expected&, const Expected&) = default;
};

struct Deployment {
  std::string name;
  std::string revision;  // what is being rolled out, as the config knows it; may be ""
  const SourceKind* source = nullptr;
  Options source_options;
  RequestSeries requests;
  Policy policy;
  std::vector<double> stages;  // the canary's shares of traffic, ascending, 0..1; may be empty
  std::optional<Expected> expect;
  std::string settings;  // all of it, as Check::settings
  int line = 0;
};

enum class LogFormat { Text, Json };
enum class LogLevel { Debug, Info, Warn, Error };

struct Log {
  LogFormat format = LogFormat::Text;
  LogLevel level = LogLevel::Info;

  friend bool operator==(const Log&, const Log&) = default;
};

struct Config {
  std::string service;
  Address health{"0.0.0.0", 8686};
  Address api{"127.0.0.1", 8687};
  Duration drain_delay = std::chrono::seconds(5);  // how long to answer on after SIGTERM
  std::string state_dir;                           // where runs survive a restart; "" = nowhere
  Log log;
  std::vector<Check> checks;
  std::vector<Deployment> deployments;
};

/// One thing that is wrong, at its place.
struct Problem {
  std::string file;
  int line = 0;
  std::string what;  // what is wrong (what would be right)

  std::string text() const;  // "file:line: what"
};

/// Either the config, or every problem at once, in the order of their lines.
struct Loaded {
  std::optional<Config> config;
  std::vector<Problem> problems;
};

/// The kinds that a config may name: normally probe_kinds() and source_kinds().
struct Kinds {
  const std::vector<const ProbeKind*>& probes;
  const std::vector<const SourceKind*>& sources;
};

/// Reads, interpolates and validates. `file` is for messages; a file that cannot be read is a
/// problem.
Loaded load_file(const std::string& file, const Kinds& kinds);
Loaded load_text(std::string_view yaml, const std::string& file, const Kinds& kinds);

/// Reads a policy alone: the part under `policy:`, with or without that key around it.
struct LoadedPolicy {
  std::optional<Policy> policy;
  std::vector<Problem> problems;
};
LoadedPolicy load_policy_file(const std::string& file);
LoadedPolicy load_policy_text(std::string_view yaml, const std::string& file);

/// One of the canary's shares of traffic, "25%", that comes after those `before`.
Result<double> parse_stage(std::string_view text, const std::vector<double>& before);

/// The effective config with its arithmetic, for people: what `davy config check` prints.
std::string explain(const Config& config);

}  // namespace davy::config
