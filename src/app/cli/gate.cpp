// davy gate: asks a running agent for a deployment's verdict, once or until there is one.

#include <fmt/format.h>
#include <unistd.h>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "app/cli/commands.h"
#include "app/cli/verdict_call.h"
#include "base/text.h"
#include "base/units.h"

namespace davy::app {
namespace {

using nlohmann::json;

constexpr Duration kPoll = std::chrono::seconds(1);
constexpr Duration kAgentMayRestart =
    std::chrono::seconds(10);                              // unreachable for longer is an error
constexpr Duration kPlainLine = std::chrono::seconds(30);  // in a pipe, at least this often

/// What the agent answered, as far as the gate needs it.
struct Seen {
  std::string verdict;
  std::string reason;
  std::string next;
  std::string needs;
  std::optional<double> seconds_needed;
  std::optional<double> requests_needed;
  double score = 0;
  double canary_requests = 0;
  std::string raw;
};

std::variant<Seen, NoAnswer> read(const std::string& raw) {
  try {
    json body = json::parse(raw);
    Seen seen;
    seen.verdict = body.at("verdict");
    seen.reason = body.at("reason");
    seen.next = body.at("next");
    seen.score = body.at("score");
    seen.canary_requests = body.at("requests").at("canary");
    const json& needs = body.at("needs");
    seen.needs = needs.at("text");
    if (needs.at("seconds").is_number()) seen.seconds_needed = needs.at("seconds");
    if (needs.at("requests").is_number()) seen.requests_needed = needs.at("requests");
    seen.raw = raw;
    return seen;
  } catch (const json::exception& e) {
    return NoAnswer{fmt::format("answered something that is not a verdict ({})", e.what())};
  }
}

std::variant<Seen, NoAnswer> ask(VerdictCall& agent) {
  auto answer = agent.ask();
  if (NoAnswer* none = std::get_if<NoAnswer>(&answer)) return std::move(*none);
  return read(std::get<std::string>(answer));
}

/// One line that rewrites itself on a terminal; in a pipe, a line per change and one now and then.
class Progress {
 public:
  Progress(bool quiet, Time began)
      : quiet_(quiet), terminal_(isatty(STDERR_FILENO) == 1), began_(began) {}

  void show(const Seen& seen, Deadline deadline) {
    if (quiet_) return;
    Time now = machine_clock().now();
    if (terminal_) {
      auto filled = static_cast<std::size_t>(std::clamp(std::lround(seen.score / 5), 0L, 20L));
      std::string bar = std::string(filled, '#') + std::string(20 - filled, '.');
      std::string left =
          seen.seconds_needed
              ? "about " + units::show(std::chrono::seconds(std::llround(*seen.seconds_needed)))
              : "?";
      std::string of = seen.requests_needed
                           ? fmt::format(" of about {}", text::grouped(seen.canary_requests +
                                                                       *seen.requests_needed))
                           : "";
      fmt::print(stderr,
                 "\r\033[K{:<12} [{}] score {:>3.0f}  {}{} V2 requests  {} to go  (gives up in {})",
                 seen.verdict, bar, seen.score, text::grouped(seen.canary_requests), of, left,
                 units::show(deadline.left()));
      std::fflush(stderr);
    } else if (seen.verdict != last_ || now - told_ >= kPlainLine) {
      fmt::print(stderr, "{:>6} {}: {}\n", units::show(now - began_), seen.verdict, seen.reason);
      told_ = now;
    }
    last_ = seen.verdict;
  }

  void show(const NoAnswer& none) {
    if (quiet_ || none.why == last_) return;
    fmt::print(stderr, "{}no answer: {}\n", terminal_ ? "\r\033[K" : "", none.why);
    last_ = none.why;
  }

  void finish() const {
    if (!quiet_ && terminal_) fmt::print(stderr, "\r\033[K");
  }

 private:
  bool quiet_;
  bool terminal_;
  Time began_;
  Time told_{};
  std::string last_;
};

bool is_final(const Seen& seen, const GateOptions& options) {
  return seen.verdict == "pass" || seen.verdict == "fail" ||
         (seen.verdict == "marginal" && options.marginal_passes);
}

int tell(const Seen& seen, const GateOptions& options) {
  if (options.json) {
    fmt::print("{}", seen.raw);
  } else {
    fmt::print("{}: {}\n", seen.verdict, seen.reason);
    fmt::print("Next: {}\n", seen.next);
  }
  return seen.verdict == "marginal" && options.marginal_passes ? kExitPass
                                                               : exit_code(seen.verdict);
}

int tell(const NoAnswer& none, const GateOptions& options) {
  if (options.json) {
    fmt::print("{}\n", json{{"verdict", "error"}, {"reason", none.why}}.dump(
                           -1, ' ', false, json::error_handler_t::replace));
  } else {
    print_no_answer(none, options.url);
  }
  return kExitError;
}

Result<VerdictCall*> connect(const GateOptions& options, std::optional<VerdictCall>& agent) {
  Result<net::Url> url = net::parse_url(options.url);
  if (!url) return url.error();
  agent.emplace(*url, options.deployment);
  return &*agent;
}

}  // namespace

int gate_check(const GateOptions& options) {
  std::optional<VerdictCall> agent;
  if (Result<VerdictCall*> ok = connect(options, agent); !ok) {
    fmt::print(stderr, "{}\n", ok.error().what);
    return kExitUsage;
  }
  return std::visit([&](const auto& answer) { return tell(answer, options); }, ask(*agent));
}

int gate_wait(const GateOptions& options) {
  std::optional<VerdictCall> agent;
  if (Result<VerdictCall*> ok = connect(options, agent); !ok) {
    fmt::print(stderr, "{}\n", ok.error().what);
    return kExitUsage;
  }
  Time began = machine_clock().now();
  Deadline deadline(began + options.timeout);
  Time answered = began;
  Progress progress(options.json, began);
  while (true) {
    std::variant<Seen, NoAnswer> answer = ask(*agent);
    Time now = machine_clock().now();
    if (const Seen* seen = std::get_if<Seen>(&answer)) {
      answered = now;
      progress.show(*seen, deadline);
      if (is_final(*seen, options) || deadline.expired()) {
        progress.finish();
        return tell(*seen, options);
      }
    } else {
      const NoAnswer& none = std::get<NoAnswer>(answer);
      if (none.final || deadline.expired() || now - answered > kAgentMayRestart) {
        progress.finish();
        return tell(none, options);
      }
      progress.show(none);
    }
    std::this_thread::sleep_for(std::clamp(deadline.left(), Duration::zero(), kPoll));
  }
}

}  // namespace davy::app
