// Memory: a control group is not near its limit, does not wait for memory, and lost no process.
//
// Fails above max_used and above the pressure limits; warns above warn_used, and for a while after
// the kernel has killed one of the group's processes for want of memory.
// Counts the working set (usage without the page cache that is dropped first): with the cache,
// every group that reads files is full. A group without a limit is held against the machine's
// memory. Reads /proc and /sys only, which do not hang.

#include <fmt/format.h>
#include <algorithm>
#include <limits>
#include <optional>
#include <vector>

#include "base/cgroup.h"
#include "base/units.h"
#include "davy/probe.h"

namespace davy::probe {
namespace {

constexpr Duration kTellKill = std::chrono::minutes(5);  // how long a kill is warned about

struct Limits {
  double max_used = 0;
  std::optional<double> warn_used;
  std::optional<double> max_pressure_some;
  std::optional<double> max_pressure_full;
};

struct Memory final : Probe {
  Memory(std::string cgroup, Limits limits) : cgroup_(std::move(cgroup)), limits_(limits) {}

  Outcome run(const ProbeContext&) override {
    Result<std::string> directory =
        cgroup_.empty() ? cgroup::own_directory() : Result<std::string>(cgroup_);
    if (!directory) return Outcome::unable("no_controller", directory.error().what);
    Result<cgroup::Memory> memory = cgroup::read_memory(*directory);
    if (!memory) return Outcome::unable("no_controller", memory.error().what);
    Result<double> machine = cgroup::machine_memory();
    if (!machine) return Outcome::unable("unreadable", machine.error().what);

    double most = std::min(memory->limit.value_or(*machine), *machine);
    double used = most > 0 ? memory->working_set() / most : 1;
    Outcome outcome = by_use(*memory, used, most);
    outcome.also.push_back({"working_set", memory->working_set(), "bytes"});
    outcome.also.push_back({"limit", most, "bytes"});
    outcome.also.push_back({"oom_kills", memory->oom_kills, "1"});
    if (limits_.max_pressure_some || limits_.max_pressure_full) judge_pressure(*directory, outcome);
    judge_kills(memory->oom_kills, outcome);
    double of_warn =
        limits_.warn_used ? 1 - used / *limits_.warn_used : std::numeric_limits<double>::infinity();
    return std::move(outcome)
        .measured(used, "ratio")
        .clear_by(1 - used / limits_.max_used, of_warn);
  }

 private:
  Outcome by_use(const cgroup::Memory& memory, double used, double most) const {
    std::string text = fmt::format(
        "{} of {} in use ({}{})", units::show_bytes(memory.working_set()), units::show_bytes(most),
        units::show_percent(used), memory.limit ? "" : "; no limit, so of the machine's");
    if (used > limits_.max_used) {
      return Outcome::failed("used",
                             text + ", max_used is " + units::show_percent(limits_.max_used));
    }
    if (limits_.warn_used && used > *limits_.warn_used) {
      return Outcome::warned("used",
                             text + ", warn_used is " + units::show_percent(*limits_.warn_used));
    }
    return Outcome::passed(text);
  }

  void judge_pressure(const std::string& directory, Outcome& outcome) const {
    Result<cgroup::Pressure> pressure = cgroup::read_pressure(directory);
    if (!pressure) {
      if (outcome.kind != Outcome::Kind::Fail)
        outcome = Outcome::unable("no_pressure", pressure.error().what);
      return;
    }
    auto judge = [&](std::string_view who, double seen, const std::optional<double>& limit) {
      if (!limit || seen <= *limit || outcome.kind == Outcome::Kind::Fail) return;
      std::vector<Measurement> also = std::move(outcome.also);
      outcome = Outcome::failed(
          "pressure", fmt::format("{} of its tasks waited for memory {} of the last 10 s, "
                                  "max_pressure_{} is {}",
                                  who == "some" ? "some" : "all", units::show_percent(seen), who,
                                  units::show_percent(*limit)));
      outcome.also = std::move(also);
    };
    judge("some", pressure->some, limits_.max_pressure_some);
    judge("full", pressure->full, limits_.max_pressure_full);
    outcome.also.push_back({"pressure_some", pressure->some, "ratio"});
    outcome.also.push_back({"pressure_full", pressure->full, "ratio"});
  }

  /// Kills before the first run are not ours to tell. A group made anew counts from 0.
  void judge_kills(double kills, Outcome& outcome) {
    Time now = machine_clock().now();
    if (kills_ && kills > *kills_) {
      last_kill_ = now;
      new_kills_ = kills - *kills_;
    }
    kills_ = kills;
    if (outcome.kind != Outcome::Kind::Pass || !last_kill_ || now - *last_kill_ > kTellKill) return;
    std::vector<Measurement> also = std::move(outcome.also);
    outcome = Outcome::warned(
        "oom_kill",
        fmt::format("the kernel has killed {:.0f} of its processes for want of memory, "
                    "{} ago; {}",
                    new_kills_,
                    units::show(std::chrono::floor<std::chrono::seconds>(now - *last_kill_)),
                    outcome.message));
    outcome.also = std::move(also);
  }

  const std::string cgroup_;  // "" = our own
  const Limits limits_;
  std::optional<double> kills_;  // as of the last run
  std::optional<Time> last_kill_;
  double new_kills_ = 0;  // seen at that time
};

Result<std::unique_ptr<Probe>> make(const Options& options) {
  auto optional = [&](std::string_view name) {
    return options.has(name) ? std::optional<double>(options.number(name)) : std::nullopt;
  };
  Limits limits{options.number("max_used"), optional("warn_used"), optional("max_pressure_some"),
                optional("max_pressure_full")};
  if (limits.max_used <= 0) return Error{"must be above 0% (try 95%)", "max_used"};
  if (limits.warn_used && (*limits.warn_used <= 0 || *limits.warn_used >= limits.max_used))
    return Error{"must be above 0% and below max_used, or it never warns", "warn_used"};
  return std::unique_ptr<Probe>(new Memory(options.text_or("cgroup"), limits));
}

}  // namespace

extern const ProbeKind memory{
    .name = "memory",
    .summary = "A control group (a container, a service) is not near its memory limit.",
    .reach = ProbeKind::Reach::Local,
    .options =
        {
            {"cgroup", OptionType::Path, kOptional, "",
             "its directory under /sys/fs/cgroup, version 1 or 2; davy's own when not given: in a "
             "pod of several containers that is not the application's"},
            {"max_used", OptionType::Ratio, kOptional, "95%",
             "fails when the working set is above this share of the limit"},
            {"warn_used", OptionType::Ratio, kOptional, "", "warns above this share"},
            {"max_pressure_some", OptionType::Ratio, kOptional, "",
             "fails when some task waited for memory for more of the last 10 s (PSI)"},
            {"max_pressure_full", OptionType::Ratio, kOptional, "",
             "fails when all tasks waited for memory for more of the last 10 s (PSI)"},
        },
    .example = "{ max_used: 95%, warn_used: 85% }",
    .reasons =
        {
            {"used", "the working set is above max_used (fails) or warn_used (warns)"},
            {"pressure", "its tasks wait for memory for longer than allowed"},
            {"oom_kill", "the kernel has killed one of its processes in the last 5 min: a warning"},
            {"no_controller", "there is no such control group, or none that counts memory"},
            {"no_pressure", "a pressure limit is set, but this kernel does not tell pressure"},
            {"unreadable", "/proc/meminfo cannot be read"},
        },
    .make = make,
};

}  // namespace davy::probe
