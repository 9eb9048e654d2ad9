// Board: all that davy knows at one moment, as one immutable snapshot.
//
// Why: everything that answers (HTTP, command line, dialects) reads the Board and computes nothing,
// so an answer costs a pointer load even while every dependency hangs.
// Threading: a Board never changes after it is published; publish swaps the whole.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

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

enum class CheckStatus { Pending, Pass, Warn, Fail };
constexpr std::string_view word(CheckStatus status) {
  constexpr std::string_view kWords[] = {"pending", "pass", "warn", "fail"};
  return kWords[static_cast<int>(status)];
}

struct CheckView {
  std::string name;
  std::string kind;
  std::vector<Role> roles;
  Severity severity = Severity::Critical;
  Scope scope = Scope::Local;
  CheckStatus status = CheckStatus::Pending;
  bool stale = false;  // no result for too long
  WhenStale when_stale = WhenStale::Fail;
  bool stuck = false;          // a run has not come back since its deadline
  bool blocks_deploy = false;  // passes or warns, but no release may start now
  int consecutive_failures = 0;
  WallMillis since = 0;      // when it took this status
  WallMillis last_seen = 0;  // when the last result came; 0 = never
  Time last_result{};        // the same on the steady clock, for ages
  Duration took{0};          // how long the last run took
  std::string reason;        // stable word
  std::string message;       // for a person
  double value = 0;
  std::string unit;
};

/// What a role answers, and why.
struct RoleView {
  Role role = Role::Readiness;
  CheckStatus status = CheckStatus::Pass;  // Pending counts as fail for whoever asks
  bool ok = true;                          // 200 or 503
  std::string reason;                      // "draining", "startup has not passed", "" when ok
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
  std::vector<CheckView> checks;  // in the order of the config
  std::vector<RoleView> roles;    // one per kRoles, in that order
  std::vector<DeploymentView> deployments;
};

}  // namespace davy
