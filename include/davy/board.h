// Board: all that davy knows at one moment, as one immutable snapshot.
//
// Why: everything that answers (HTTP, command line, dialects) reads the Board and computes nothing,
// so an answer costs a pointer load even while every dependency hangs.
// Threading: a Board never changes after it is published; publish swaps the whole.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "davy/probe.h"
#include "davy/time.h"
#include "davy/verdict.h"

namespace davy {

enum class Role { Startup, Liveness, Readiness, Deploy };
inline constexpr Role kRoles[] = {Role::Startup, Role::Liveness, Role::Readiness, Role::Deploy};
constexpr std::string_view word(Role role) {
  constexpr std::string_view kWords[] = {"startup", "liveness", "readiness", "deploy"};
  return kWords[static_cast<int>(role)];
}

enum class Severity {
  Critical,   // its failure fails the role
  Degrading,  // its failure is a warning of the role
  Info,       // shown, never counted
};
constexpr std::string_view word(Severity severity) {
  constexpr std::string_view kWords[] = {"critical", "degrading", "info"};
  return kWords[static_cast<int>(severity)];
}

enum class Scope { Local, Shared };
constexpr std::string_view word(Scope scope) {
  constexpr std::string_view kWords[] = {"local", "shared"};
  return kWords[static_cast<int>(scope)];
}

/// What a check counts as while its last result is too old.
enum class WhenStale { Fail, Warn, Hold };

enum class CheckStatus { Pending, Pass, Warn, Fail };  // the worse, the greater
constexpr std::string_view word(CheckStatus status) {
  constexpr std::string_view kWords[] = {"pending", "pass", "warn", "fail"};
  return kWords[static_cast<int>(status)];
}

/// One raw result, as the probe gave it, before any threshold.
struct Seen {
  WallMillis at = 0;
  Outcome::Kind outcome = Outcome::Kind::Pass;
  bool hard = false;
  Duration took{0};
  std::string reason;
};
inline constexpr std::size_t kHistory = 32;  // the newest results that a check keeps

/// Somebody has said that a check does not count for a while.
struct Mute {
  std::string by;   // who
  std::string why;  // "" = not said
  WallMillis until = 0;
};

struct CheckView {
  std::string name;
  std::string kind;
  std::vector<Role> roles;
  Severity severity = Severity::Critical;
  Scope scope = Scope::Local;
  CheckStatus status = CheckStatus::Pending;
  bool stale = false;  // no result for too long
  WhenStale when_stale = WhenStale::Fail;
  bool stuck = false;     // a run has not come back since its deadline
  Duration stuck_for{0};  // since it was started
  bool flapping = false;  // alternates; readiness counts the worst since that began
  CheckStatus worst_while_flapping = CheckStatus::Pass;
  std::optional<Mute> muted;   // counts as a pass meanwhile
  bool restored = false;       // known from before davy's restart, not seen since
  std::string waits_for;       // the failing check that it depends on: not run meanwhile; "" = none
  bool fail_open = false;      // fails, but readiness does not count it: see docs/checks.md
  bool blocks_deploy = false;  // passes or warns, but no release may start now
  bool has_passed = false;     // since this instance started up
  bool last_run_failed = false;
  int consecutive_failures = 0;
  int consecutive_successes = 0;
  WallMillis since = 0;      // when it took this status
  WallMillis last_seen = 0;  // when the last result came; 0 = never
  Time last_result{};        // the same on the steady clock, for ages
  Duration took{0};          // how long the last run took
  std::string reason;        // stable word
  std::string message;       // for a person
  double value = 0;
  std::string unit;
  std::vector<Measurement> also;
  std::string instance;                              // who answered, when the probe can tell
  std::shared_ptr<const std::vector<Seen>> history;  // the last kHistory results, oldest first
};

/// What a role answers, and why.
struct RoleView {
  Role role = Role::Readiness;
  CheckStatus status = CheckStatus::Pass;  // Pending counts as fail for whoever asks
  bool ok = true;                          // 200 or 503
  std::string reason;                      // "draining", "startup has not passed", "" when ok
  std::string note;  // why it passes all the same: "fail open: db: ...", or ""
};

struct DeploymentView {
  std::string name;
  Verdict verdict;
  std::string source;   // "scrape: 2 baseline and 1 canary targets"
  std::string trouble;  // what is wrong with the telemetry now, or ""
  WallMillis updated = 0;
};

struct Board {
  std::string service;
  WallMillis made = 0;
  Time made_at{};
  bool draining = false;
  bool has_started = false;          // startup has passed for the present instance
  bool liveness_suppressed = false;  // restarts did not help: see docs/checks.md
  std::vector<CheckView> checks;     // in the order of the config
  std::vector<RoleView> roles;       // one per kRoles, in that order
  std::vector<DeploymentView> deployments;
};

}  // namespace davy
