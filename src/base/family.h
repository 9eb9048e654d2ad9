// Family: the processes that descend from one, found in /proc, and their end.
//
// Why: a command may leave its process group and session behind, but not its ancestors: as long as
// the root lives and is a child subreaper, whatever its descendants do, they stay below it.
// Threading: pure functions that read /proc; the caller makes sure that the root's pid is not
// reused (it is our child and not yet reaped, or ourselves).
// Failure: a process that cannot be killed (uninterruptible sleep) is still there afterwards, and
// end_descendants says so.
#pragma once

#include <sys/types.h>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "davy/time.h"

namespace davy::family {

/// A process's line in /proc/PID/stat.
struct Member {
  pid_t pid = 0;
  pid_t parent = 0;
  char state = '?';                // R, S, D, T, Z, ...
  unsigned long long started = 0;  // clock ticks since boot
  std::string name;                // comm: the program's name, 15 bytes of it

  bool is_dead() const { return state == 'Z' || state == 'X'; }
};

std::optional<Member> parse_stat(std::string_view line);
/// Nothing when there is no such process.
std::optional<Member> look_at(pid_t pid);
std::vector<Member> everybody();

/// Those below `root` that still live.
std::vector<pid_t> living_descendants(pid_t root);

/// Kills all of them, those they fork meanwhile too. False when some still live at the deadline.
bool end_descendants(pid_t root, Deadline deadline);

}  // namespace davy::family
