// Probe: one way of asking a dependency how it is.
//
// Why: a probe says what happened; `src/health` alone decides what it means. A kind of probe is one
// file in `probes/` that ends in `extern const Kind NAME`; the build finds it by the file's name.
// Threading: `run` is called on one thread at a time, never twice at once for the same probe.
// Failure: `run` returns an Outcome for everything that can go wrong outside. It must honour
// `ctx.deadline`; if it cannot (a library's connect, a dead disk), the scheduler publishes
// "timed out" at the deadline all the same and does not start the check again until it is back.
#pragma once

#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "davy/call.h"
#include "davy/heartbeats.h"
#include "davy/options.h"
#include "davy/result.h"
#include "davy/time.h"

namespace davy {

/// One number beside the main one.
struct Measurement {
  std::string name;  // "default.latency": stable, for metrics and Nagios' performance data
  double value = 0;
  std::string unit;
};

/// What one run of a probe saw.
struct Outcome {
  enum class Kind {
    Pass,
    Warn,   // works, but somebody should look; never fails a role
    Fail,   // the dependency is not well, or did not answer
    Error,  // we could not ask (no descriptors, our own limits): says nothing about the dependency
  };
  Kind kind = Kind::Pass;
  // A protocol-level answer ("wrong password"), not a symptom ("timed out"): asking again will not
  // help.
  bool hard = false;
  // A warning that a new release must not be started under (a migration is running).
  bool blocks_deploy = false;
  // Who answered, when the probe can tell ("4711 since 8812345"): a new one starts up anew.
  std::string instance;
  std::string
      reason;  // stable word for machines: "refused", "timeout", "auth"; empty on a plain pass
  std::string message;            // one line for a person; may name addresses, never secrets
  double value = 0;               // what was measured, when `unit` is not empty
  std::string unit;               // "bytes", "s", "ratio", "1" for a count
  std::vector<Measurement> also;  // what else was measured, such as the latency of each queue
  // How far `value` is on the good side of the level at which this probe fails (warns), as a share
  // of that level; below 0 on the bad side, infinite when there is no level. A state set by a level
  // clears only beyond the check's `clear_margin`, so that 89.9 % and 90.1 % do not alternate.
  double clear_of_fail = std::numeric_limits<double>::infinity();
  double clear_of_warn = std::numeric_limits<double>::infinity();

  static constexpr bool kHard = true;
  static Outcome passed(std::string message = "") {
    return {.kind = Kind::Pass, .message = std::move(message)};
  }
  static Outcome warned(std::string reason, std::string message) {
    return {.kind = Kind::Warn, .reason = std::move(reason), .message = std::move(message)};
  }
  static Outcome failed(std::string reason, std::string message, bool hard = false) {
    return {.kind = Kind::Fail,
            .hard = hard,
            .reason = std::move(reason),
            .message = std::move(message)};
  }
  static Outcome unable(std::string reason, std::string message) {
    return {.kind = Kind::Error, .reason = std::move(reason), .message = std::move(message)};
  }
  /// The same outcome with how far it is from its levels, see clear_of_fail.
  Outcome clear_by(double of_fail, double of_warn = std::numeric_limits<double>::infinity()) && {
    clear_of_fail = of_fail;
    clear_of_warn = of_warn;
    return std::move(*this);
  }
  /// The same outcome with what was measured.
  Outcome measured(double number, std::string its_unit) && {
    value = number;
    unit = std::move(its_unit);
    return std::move(*this);
  }
};

constexpr std::string_view word(Outcome::Kind kind) {
  constexpr std::string_view kWords[] = {"pass", "warn", "fail", "error"};
  return kWords[static_cast<int>(kind)];
}

/// What a run may use. `deadline`, `net` and `trace` are the Call's.
struct ProbeContext : Call {
  std::string_view check{};                // the check's name
  const Heartbeats* heartbeats = nullptr;  // what applications have reported; null = nobody can
};

class Probe {
 public:
  virtual ~Probe() = default;
  virtual Outcome run(const ProbeContext& ctx) = 0;
};

/// A kind of probe, as the config names it.
struct ProbeKind {
  std::string_view name;     // the key in the config: `redis:`
  std::string_view summary;  // one line for messages and the reference
  // Where the thing probed lives. Remote things may not decide liveness.
  enum class Reach { Local, Remote } reach = Reach::Remote;
  std::vector<OptionSpec> options;
  std::string_view example;  // one flow mapping that `davy config check` accepts
  // Every word that `Outcome::reason` may be, for the reference.
  struct Reason {
    std::string_view word;
    std::string_view meaning;  // and what to do, in half a line
    bool hard = false;         // fails at once, without waiting for the threshold
  };
  std::vector<Reason> reasons{};
  // Where a run happens. A probe's own code does not know.
  enum class Runner {
    Thread,  // blocks only on sockets, which the watchdog can shut
    Helper,  // may enter an uninterruptible sleep (disks) or starts processes: a helper process of
             // ours that can be killed. Its probe is made anew when that happens, and may be made
             // more than once: nothing may be remembered between runs.
  } runner = Runner::Thread;
  // Says little when it passes (a port that accepts), unless an option `expect` is given: must not
  // be all that a critical role rests on.
  bool is_weak = false;
  // Why a critical check of this kind hardly belongs into readiness; "" = it may well.
  std::string_view doubt_in_readiness{};
  // Refuses what the option types cannot: combinations, versions of a library.
  Result<std::unique_ptr<Probe>> (*make)(const Options&);
};

/// Every kind in `probes/`, in the order of their names. Written by the build.
const std::vector<const ProbeKind*>& probe_kinds();

}  // namespace davy
