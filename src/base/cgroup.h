// Cgroup: the memory figures of a control group, version 1 or 2.
//
// Why: both versions may be mounted at once with the controllers spread over them, so the version
// is decided by which files are there, per controller. Threading: pure functions that read /proc
// and /sys, which do not hang. Failure: Errors that name the file.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "davy/result.h"

namespace davy::cgroup {

struct Memory {
  double usage = 0;             // bytes, the page cache included
  double inactive_file = 0;     // the part of it that the kernel drops first
  std::optional<double> limit;  // the smallest of its own and those above; none = unlimited
  double oom_kills = 0;         // processes killed since it was made

  /// What the kernel cannot easily take back; as the kubelet counts.
  double working_set() const { return usage > inactive_file ? usage - inactive_file : 0; }
};

/// Shares of the last 10 s in which some or all tasks waited for memory (0..1).
struct Pressure {
  double some = 0;
  double full = 0;
};

/// The directory of this process's memory controller: "/sys/fs/cgroup/...".
Result<std::string> own_directory();
/// The same from the texts of /proc/self/cgroup and /proc/self/mountinfo.
Result<std::string> own_directory(std::string_view cgroups, std::string_view mounts);

Result<Memory> read_memory(const std::string& directory);
/// Of the group, or of the whole machine when the group does not tell (version 1).
Result<Pressure> read_pressure(const std::string& directory);
Result<Pressure> parse_pressure(std::string_view text);

/// MemTotal of /proc/meminfo, bytes.
Result<double> machine_memory();

}  // namespace davy::cgroup
