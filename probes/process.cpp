// Process: programs run on this machine (or in this container), in a state in which they can work.
//
// Fails on: too few or too many of them, all of them zombies, stopped ones, too many descriptors in
// use. Warns on uninterruptible sleep and on a start too short ago.
// One process alone is also an instance: when another one takes its place, startup begins anew.
// Sees the processes of its own pid namespace. Reads /proc only; in a helper process, as the
// command line of a process in uninterruptible sleep may not be readable without hanging too.

#include <dirent.h>
#include <unistd.h>

#include <fmt/format.h>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "base/family.h"
#include "base/text.h"
#include "base/units.h"
#include "davy/probe.h"

namespace davy::probe {
namespace {

constexpr std::size_t kCommLength = 15;  // longer names are cut in /proc/PID/stat

struct Wanted {
  std::string pidfile;  // one of pidfile and pid, or none: then by name
  std::optional<pid_t> pid;
  std::string name;
  double min_instances = 1;
  std::optional<double> max_instances;
  std::optional<double> max_fds_used;
  std::optional<Duration> min_age;

  std::string what() const {
    if (pid) return "process " + std::to_string(*pid);
    return pidfile.empty() ? "process " + text::quoted(name) : "process of " + pidfile;
  }
};

/// The program as it was started: "/usr/bin/program". "" for the kernel's own, and without rights.
std::string argv0(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/cmdline", std::ios::binary);
  std::string first;
  std::getline(in, first, '\0');
  return first;
}

/// By the exact name that ps shows, or by the program's path or its last part.
bool is_called(const family::Member& member, const std::string& name) {
  if (member.name == name) return true;
  bool may_be_cut = name.size() > kCommLength && member.name == name.substr(0, kCommLength);
  bool is_path = name.find('/') != std::string::npos;
  if (!may_be_cut && !is_path) return false;
  std::string program = argv0(member.pid);
  return program == name || (!is_path && program.substr(program.rfind('/') + 1) == name);
}

Result<pid_t> read_pidfile(const std::string& path) {
  std::ifstream in(path);
  if (!in) return Error{path + ": " + std::system_category().message(errno)};
  std::string line;
  std::getline(in, line);
  std::string_view digits = text::trim(line);
  pid_t pid = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), pid);
  if (error != std::errc() || end != digits.data() + digits.size() || pid <= 0)
    return Error{path + " holds " + text::quoted(line) + ", expected a process's number"};
  return pid;
}

struct Descriptors {
  double open = 0;
  double limit = 0;
};

/// Nothing without the rights to look: the process is another user's.
std::optional<Descriptors> descriptors_of(pid_t pid) {
  std::string directory = "/proc/" + std::to_string(pid);
  std::unique_ptr<DIR, int (*)(DIR*)> all(opendir((directory + "/fd").c_str()), &closedir);
  if (!all) return std::nullopt;
  Descriptors seen;
  while (const dirent* entry = readdir(all.get())) seen.open += entry->d_name[0] != '.' ? 1 : 0;
  std::ifstream limits(directory + "/limits");
  constexpr std::string_view kRow = "Max open files";
  for (std::string line; std::getline(limits, line);) {
    if (!line.starts_with(kRow)) continue;
    std::string_view soft = text::trim(std::string_view(line).substr(kRow.size()));
    soft = soft.substr(0, soft.find(' '));
    if (soft == "unlimited") seen.limit = std::numeric_limits<double>::infinity();
    std::from_chars(soft.data(), soft.data() + soft.size(), seen.limit);
  }
  return seen.limit > 0 ? std::optional<Descriptors>(seen) : std::nullopt;
}

Duration age_of(const family::Member& member) {
  static const double kTicks = static_cast<double>(sysconf(_SC_CLK_TCK));
  std::chrono::duration<double> started(static_cast<double>(member.started) / kTicks);
  Duration age = machine_clock().now().since_boot - std::chrono::duration_cast<Duration>(started);
  return std::max(age, Duration::zero());
}

struct Process final : Probe {
  explicit Process(Wanted wanted) : wanted_(std::move(wanted)) {}

  Outcome run(const ProbeContext& ctx) override {
    Step step(ctx, "look");
    std::vector<family::Member> found;
    if (wanted_.pidfile.empty() && !wanted_.pid) {
      found = family::everybody();
      std::erase_if(found, [&](const auto& member) { return !is_called(member, wanted_.name); });
    } else {
      Result<pid_t> pid = wanted_.pid ? Result<pid_t>(*wanted_.pid) : read_pidfile(wanted_.pidfile);
      if (!pid) return Outcome::failed("no_pidfile", pid.error().what);
      std::optional<family::Member> member = family::look_at(*pid);
      if (member && !wanted_.name.empty() && !is_called(*member, wanted_.name)) {
        return Outcome::failed(
            "other_process", fmt::format("{}: process {} is {}, expected {}", wanted_.what(), *pid,
                                         text::quoted(member->name), text::quoted(wanted_.name)));
      }
      if (member) found.push_back(*std::move(member));
    }
    return judge(std::move(found));
  }

 private:
  Outcome judge(std::vector<family::Member> found) const {
    std::size_t all = found.size();
    std::erase_if(found, [](const family::Member& member) { return member.is_dead(); });
    double count = static_cast<double>(found.size());
    Outcome outcome = by_count(count, all);
    double clear = std::numeric_limits<double>::infinity();
    if (outcome.kind == Outcome::Kind::Pass) outcome = by_state(found);
    if (outcome.kind != Outcome::Kind::Fail && wanted_.max_fds_used)
      clear = judge_descriptors(found, outcome);
    // Its start tells it from a later process of the same number.
    if (found.size() == 1)
      outcome.instance = fmt::format("pid {} since {}", found[0].pid, found[0].started);
    return std::move(outcome).measured(count, "1").clear_by(clear);
  }

  Outcome by_count(double count, std::size_t with_zombies) const {
    if (count < wanted_.min_instances) {
      if (count == 0 && with_zombies > 0) {
        return Outcome::failed("zombie", wanted_.what() +
                                             " has ended and is a zombie: its parent "
                                             "does not reap it");
      }
      if (count == 0) return Outcome::failed("not_running", wanted_.what() + " does not run");
      return Outcome::failed("too_few", fmt::format("{}: {} run, min_instances is {}",
                                                    wanted_.what(), count, wanted_.min_instances));
    }
    if (wanted_.max_instances && count > *wanted_.max_instances) {
      return Outcome::failed("too_many",
                             fmt::format("{}: {} run, max_instances is {}", wanted_.what(), count,
                                         *wanted_.max_instances));
    }
    return Outcome::passed(count == 1 ? "runs" : fmt::format("{} run", count));
  }

  /// The worst of their states.
  Outcome by_state(const std::vector<family::Member>& found) const {
    Outcome outcome = by_count(static_cast<double>(found.size()), found.size());
    for (const family::Member& member : found) {
      if (member.state == 'T' || member.state == 't') {
        return Outcome::failed("stopped", fmt::format("{}: {} is stopped (SIGSTOP, or a debugger)",
                                                      wanted_.what(), member.pid));
      }
      if (member.state == 'D') {
        outcome = Outcome::warned(
            "disk_sleep", fmt::format("{}: {} is in uninterruptible sleep: it waits for a disk",
                                      wanted_.what(), member.pid));
      } else if (wanted_.min_age && age_of(member) < *wanted_.min_age &&
                 outcome.kind == Outcome::Kind::Pass) {
        Duration age = std::chrono::floor<std::chrono::seconds>(age_of(member));
        outcome = Outcome::warned(
            "young", fmt::format("{}: {} was started {} ago, min_age is {}", wanted_.what(),
                                 member.pid, units::show(age), units::show(*wanted_.min_age)));
      }
    }
    return outcome;
  }

  /// Replaces the outcome by what the worst of them says. Returns Outcome::clear_of_fail.
  double judge_descriptors(const std::vector<family::Member>& found, Outcome& outcome) const {
    double worst = 0;
    for (const family::Member& member : found) {
      std::optional<Descriptors> seen = descriptors_of(member.pid);
      if (!seen) {
        outcome = Outcome::unable(
            "denied", fmt::format("{}: davy may not see the descriptors of {}: it must run as the "
                                  "same user or have CAP_SYS_PTRACE",
                                  wanted_.what(), member.pid));
        return std::numeric_limits<double>::infinity();
      }
      double used = seen->open / seen->limit;
      worst = std::max(worst, used);
      if (used <= *wanted_.max_fds_used || outcome.kind == Outcome::Kind::Fail) continue;
      outcome = Outcome::failed(
          "descriptors",
          fmt::format("{}: {} has {:.0f} of {:.0f} descriptors in use, max_fds_used is {}",
                      wanted_.what(), member.pid, seen->open, seen->limit,
                      units::show_percent(*wanted_.max_fds_used)));
    }
    outcome.also.push_back({"fds_used", worst, "ratio"});
    return 1 - worst / *wanted_.max_fds_used;
  }

  const Wanted wanted_;
};

Result<std::unique_ptr<Probe>> make(const Options& options) {
  Wanted wanted;
  wanted.pidfile = options.text_or("pidfile");
  wanted.name = options.text_or("name");
  if (options.has("pid")) {
    double pid = options.number("pid");
    if (pid < 1 || pid > std::numeric_limits<pid_t>::max() || pid != std::floor(pid))
      return Error{"is not a process's number", "pid"};
    wanted.pid = static_cast<pid_t>(pid);
    if (!wanted.pidfile.empty()) return Error{"cannot be combined with pidfile", "pid"};
  }
  if (wanted.pidfile.empty() && !wanted.pid && wanted.name.empty())
    return Error{"says of no process which: give name, pidfile or pid"};
  wanted.min_instances = options.number("min_instances");
  if (options.has("max_instances")) wanted.max_instances = options.number("max_instances");
  if (wanted.min_instances < 0) return Error{"must be at least 0", "min_instances"};
  if (wanted.max_instances && *wanted.max_instances < wanted.min_instances)
    return Error{"must be at least min_instances", "max_instances"};
  if (options.has("max_fds_used")) wanted.max_fds_used = options.number("max_fds_used");
  if (wanted.max_fds_used && *wanted.max_fds_used <= 0)
    return Error{"must be above 0% (try 90%)", "max_fds_used"};
  if (options.has("min_age")) wanted.min_age = options.duration("min_age");
  return std::unique_ptr<Probe>(new Process(std::move(wanted)));
}

}  // namespace

extern const ProbeKind process{
    .name = "process",
    .summary = "A process runs, in a state in which it can work. Sees davy's own pid namespace.",
    .reach = ProbeKind::Reach::Local,
    .options =
        {
            {"name", OptionType::Text, kOptional, "",
             "its exact name as ps shows it, or the path it was started by; with pidfile or pid: "
             "what that process must be called"},
            {"pidfile", OptionType::Path, kOptional, "", "a file that holds its number"},
            {"pid", OptionType::Number, kOptional, "",
             "its number; 1 is a container's main process"},
            {"min_instances", OptionType::Number, kOptional, "1", "fails when fewer run"},
            {"max_instances", OptionType::Number, kOptional, "", "fails when more run"},
            {"max_fds_used", OptionType::Ratio, kOptional, "",
             "fails when one has more of its allowed descriptors in use"},
            {"min_age", OptionType::Duration, kOptional, "",
             "warns when one was started less long ago: it restarts"},
        },
    .example = "{ name: nginx, min_instances: 2, max_fds_used: 90% }",
    .reasons =
        {
            {"not_running", "there is no such process"},
            {"too_few", "fewer than min_instances"},
            {"too_many", "more than max_instances"},
            {"zombie", "it has ended, and its parent does not reap it"},
            {"stopped", "stopped by a signal or a debugger"},
            {"disk_sleep", "in uninterruptible sleep at the moment: a warning"},
            {"young", "started less than min_age ago: a warning"},
            {"descriptors", "more of its descriptors in use than max_fds_used"},
            {"no_pidfile", "the pidfile is missing or holds no number"},
            {"other_process", "the number belongs to a process of another name: a stale pidfile"},
            {"denied", "max_fds_used: davy may not look into another user's process"},
            {"timeout", "/proc did not answer in time"},
            {"resources", "davy's own limits of descriptors, memory or processes"},
        },
    .runner = ProbeKind::Runner::Helper,
    .make = make,
};

}  // namespace davy::probe
