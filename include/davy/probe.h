// Probe: one way of asking a dependency how it is.
//
// Why: a probe says what happened; `src/health` alone decides what it means. A kind of probe is one
// file in `probes/` that ends in `extern const Kind NAME`; the build finds it by the file's name.
// Threading: `run` is called on a worker thread, never twice at once for the same probe.
// Failure: `run` returns an Outcome for everything that can go wrong outside. It must honour
// `ctx.deadline`; if it cannot (name resolution, a library's connect), the scheduler publishes
// "timed out" at the deadline all the same and does not start the check again until it is back.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "davy/options.h"
#include "davy/result.h"
#include "davy/time.h"

namespace davy {

namespace net {
class Watchdog;
}

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
  std::string
      reason;  // stable word for machines: "refused", "timeout", "auth"; empty on a plain pass
  std::string message;  // one line for a person; may name addresses, never secrets
  double value = 0;     // what was measured, when `unit` is not empty
  std::string unit;     // "bytes", "s", "ratio"

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
  /// The same outcome with what was measured.
  Outcome measured(double number, std::string its_unit) && {
    value = number;
    unit = std::move(its_unit);
    return std::move(*this);
  }
};

struct ProbeContext {
  Deadline deadline;
  net::Watchdog& watchdog;  // shuts a socket at the deadline, see net/watchdog.h
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
  // Refuses what the option types cannot: combinations, versions of a library.
  Result<std::unique_ptr<Probe>> (*make)(const Options&);
};

/// Every kind in `probes/`, in the order of their names. Written by the build.
const std::vector<const ProbeKind*>& probe_kinds();

}  // namespace davy
