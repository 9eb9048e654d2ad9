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
#include "davy/publisher.h"
#include "davy/result.h"
#include "davy/source.h"
#include "davy/time.h"
#include "yaml/problems.h"

namespace davy::config {

using yaml::Problem;

struct Address {
  std::string host;
  int port = 0;

  std::string text() const;  // "127.0.0.1:8686", "[::1]:8686"
  friend bool operator==(const Address&, const Address&) = default;
};

/// What a check counts as when davy itself could not ask.
enum class WhenUnable { Hold, Fail };

/// Levels of a check's measured value, in the value's unit (seconds, bytes, a ratio, a count).
struct Levels {
  std::optional<double> warn_above, fail_above, warn_below, fail_below;

  bool any() const { return warn_above || fail_above || warn_below || fail_below; }
  friend bool operator==(const Levels&, const Levels&) = default;
};

/// When to run a check and how its outcomes become a state. Semantics: docs/checks.md.
struct Schedule {
  Duration initial_delay{0};
  Duration period = std::chrono::seconds(10);
  Duration period_fast = std::chrono::seconds(2);  // while it is about to change, or not known
  Duration period_down = std::chrono::seconds(5);  // while it fails
  Duration timeout = std::chrono::seconds(2);
  double jitter = 1;            // of the time over which first runs are spread: min(period, 5 s)
  int failure_threshold = 3;    // consecutive failures until it fails, and
  Duration min_failing_for{0};  // how long it must have failed for that
  int success_threshold = 2;    // consecutive passes until it passes again after a failure
  std::vector<std::string> hard_fail_on;  // reasons that fail it at once
  Duration stale_after{0};                // age of the last result at which it counts as stale
  WhenStale when_stale = WhenStale::Fail;
  WhenUnable when_unable = WhenUnable::Hold;
  Levels levels;
  double clear_margin = 0.05;  // how far beyond a level, as a share of it, a value must be to clear

  /// How long a check that dies may go unnoticed, at most: it dies right after a good run began.
  Duration worst_detection() const;
  /// How long one that is back may still count as failing, at most.
  Duration worst_recovery() const;

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
  std::vector<std::string> depends_on;  // checks without which asking makes no sense
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

/// What this instance serves of a deployment, published for judges elsewhere.
struct Publication {
  std::string deployment;  // as the judges call it
  std::string version;
  std::string instance;  // the host's name, when the config does not say
  const SourceKind* source = nullptr;
  Options source_options;
  RequestSeries requests;
  std::vector<ValueSeries> values;
  const SourceKind* exchange = nullptr;  // whose publisher it is
  Options exchange_options;
  std::string settings;  // all of it, as Check::settings
  int line = 0;
};

/// When a shared dependency's failure does not take this instance out of rotation.
struct FailOpen {
  double quorum = 0.5;  // of the peers that answer must share the failure
  int min_peers = 3;    // fewer that answer: nobody can tell, and readiness stays
  Duration max_hold = std::chrono::minutes(10);  // not longer than this; 0 = without end

  friend bool operator==(const FailOpen&, const FailOpen&) = default;
};

/// The other instances of this service, who are asked whether they see the same failure.
struct Peers {
  std::vector<std::string> addresses;  // host:port of their health listeners; a name may have many
  std::string key;                     // shared secret of the exchange; never shown
  Duration every = std::chrono::seconds(2);

  bool any() const { return !addresses.empty(); }
  friend bool operator==(const Peers&, const Peers&) = default;
};

/// How often liveness may fail before davy concludes that restarts do not help. 0 = always.
struct LivenessBudget {
  int restarts = 5;
  Duration within = std::chrono::minutes(15);

  friend bool operator==(const LivenessBudget&, const LivenessBudget&) = default;
};

/// Codes for callers that understand more than 200 and 503.
struct Answers {
  int warn_status = 200;   // 429: Consul's "warning"
  int drain_status = 503;  // 404: HAProxy's `http-check disable-on-404`

  friend bool operator==(const Answers&, const Answers&) = default;
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
  std::string state_dir;  // where runs and check states survive a restart; "" = nowhere
  Duration restore_max_age = std::chrono::seconds(60);  // older check states are not taken up
  Answers answers;
  FailOpen fail_open;
  Peers peers;
  LivenessBudget liveness_budget;
  Log log;
  std::vector<Check> checks;
  std::vector<Deployment> deployments;
  std::vector<Publication> publications;
};

/// The source of a deployment. The config has tried this before it was accepted.
Result<std::unique_ptr<Source>> make_source_of(const Deployment& deployment);

/// The same of a publication.
Result<std::unique_ptr<Publisher>> make_publisher_of(const Publication& publication);

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

/// What is allowed in a config and can hardly be meant.
std::vector<Problem> doubts(const Config& config, const std::string& file);

/// The effective config with its arithmetic, for people: what `davy config check` prints.
std::string explain(const Config& config);

}  // namespace davy::config
