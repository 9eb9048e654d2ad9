#include "base/run_in_helper.h"

#include <algorithm>
#include <utility>

#include "base/helper_wire.h"
#include "base/units.h"

namespace davy {
namespace {

/// How much earlier the probe itself must be done: then it can end what it started and say more
/// than "killed".
Duration head_start(Duration left) {
  constexpr Duration kMost = std::chrono::milliseconds(100);
  return std::clamp<Duration>(left / 20, Duration::zero(), kMost);
}

}  // namespace

Outcome run_in_helper(Helpers& helpers, const ProbeKind& kind, const Options& options,
                      const ProbeContext& ctx) {
  Duration left = ctx.deadline.left();
  wire::Request request =
      wire::RunProbe{std::string(kind.name), options, std::string(ctx.check),
                     ctx.deadline.at() - head_start(left), ctx.trace != nullptr};
  std::optional<wire::Ran> ran;
  Helpers::Reply reply =
      helpers.ask(wire::write(request), ctx.deadline, [&](const std::string& answer) {
        ran = wire::read_ran(answer);
        return ran.has_value();
      });
  switch (reply.kind) {
    case Helpers::Reply::Kind::TimedOut:
      return Outcome::failed("timeout", "no answer within " + units::show(left) +
                                            ": the helper process that waited was killed");
    case Helpers::Reply::Kind::NotStarted: return Outcome::unable("resources", reply.text);
    case Helpers::Reply::Kind::Failed: return Outcome::unable("helper_died", reply.text);
    case Helpers::Reply::Kind::Answered: break;
  }
  for (Trace::Phase& phase : ran->phases) ctx.trace->add(std::move(phase));
  return std::move(ran->outcome);
}

}  // namespace davy
