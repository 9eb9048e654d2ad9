// Heartbeat: the application itself reports in, and says how it is.
//
// Fails when it has not reported for longer than `ttl`, or has reported a failure. Until it has
// reported for the first time it has `ttl` from the check's first run; nothing is known till then.
// Asks nobody and never blocks: reports come to davy by HTTP, or as service checks to a statsd
// source (see include/davy/heartbeats.h).

#include <fmt/format.h>
#include <algorithm>
#include <optional>

#include "base/text.h"
#include "base/units.h"
#include "davy/probe.h"

namespace davy::probe {
namespace {

constexpr std::size_t kMostMessage = 512;

struct Heartbeat final : Probe {
  explicit Heartbeat(Duration ttl) : ttl_(ttl) {}

  Outcome run(const ProbeContext& ctx) override {
    if (ctx.heartbeats == nullptr)
      return Outcome::unable("no_listener", "nobody can report to this davy: it runs once only");
    Time now = machine_clock().now();
    if (!first_run_) first_run_ = now;
    std::optional<Heartbeats::Report> report = ctx.heartbeats->last(std::string(ctx.check));
    Duration silence = std::max(now - (report ? report->at : *first_run_), Duration::zero());
    double clear = 1 - seconds(silence) / seconds(ttl_);
    return judge(report, silence).measured(seconds(silence), "s").clear_by(clear);
  }

 private:
  Outcome judge(const std::optional<Heartbeats::Report>& report, Duration silence) const {
    std::string since = units::show(std::chrono::floor<std::chrono::seconds>(silence));
    if (silence > ttl_) {
      return Outcome::failed(
          "silent", fmt::format("nothing reported {} {}, ttl is {}",
                                report ? "for" : "since davy started,", since, units::show(ttl_)));
    }
    if (!report) return Outcome::unable("waiting", "nothing reported yet");
    std::string said = text::valid_utf8(report->message.substr(0, kMostMessage));
    switch (report->said) {
      case Heartbeats::Said::Pass: return Outcome::passed(said);
      case Heartbeats::Said::Warn:
        return Outcome::warned("reported", said.empty() ? "it reports a warning" : said);
      case Heartbeats::Said::Fail: break;
    }
    return Outcome::failed("reported", said.empty() ? "it reports a failure" : said,
                           Outcome::kHard);
  }

  const Duration ttl_;
  std::optional<Time> first_run_;
};

}  // namespace

extern const ProbeKind heartbeat{
    .name = "heartbeat",
    .summary = "The application reports in by itself, and has not said that it is unwell.",
    .reach = ProbeKind::Reach::Local,
    .options =
        {
            {"ttl", OptionType::Duration, kOptional, "30s",
             "fails when nothing was reported for this long"},
        },
    .example = "{ ttl: 30s }",
    .reasons =
        {
            {"silent", "nothing was reported for longer than ttl: it hangs, or cannot reach davy"},
            {"reported", "the application itself says so; a failure counts at once", true},
            {"waiting", "nothing reported yet, and ttl has not passed since the first run"},
            {"no_listener", "the check was run outside of the agent"},
        },
    .make = [](const Options& options) -> Result<std::unique_ptr<Probe>> {
      Duration ttl = options.duration("ttl");
      if (ttl <= Duration::zero()) return Error{"0s would always be over (try 30s)", "ttl"};
      return std::unique_ptr<Probe>(new Heartbeat(ttl));
    },
};

}  // namespace davy::probe
