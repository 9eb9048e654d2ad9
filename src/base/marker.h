// Marker: what a migration writes into its marker file, and how the file is held while it runs.
//
// Why: a file that merely exists cannot tell a running migration from a crashed one. A lock can:
// the kernel drops it when its holder dies. Where locks do not reach, the process's start does.
// Form: a JSON object, all members optional:
//   {"lock": true, "pid": 71, "start_ticks": 8912, "boot_id": "...", "pidns_inode": 4026531836,
//    "host": "...", "version": "2026_11", "started_at": "2026-11-20T17:00:00Z", "ttl": 3600}
// Threading: plain values; a HeldMarker belongs to one thread.
#pragma once

#include <sys/types.h>
#include <cstdint>
#include <optional>
#include <string>

#include "base/descriptor.h"
#include "davy/result.h"
#include "davy/time.h"

namespace davy {

struct Marker {
  bool lock = false;  // its writer holds a lock on the file (flock, OFD or POSIX) while it runs
  std::optional<pid_t> pid;
  std::optional<std::uint64_t> start_ticks;  // field 22 of /proc/PID/stat: tells a reused pid
  std::string boot_id;                       // /proc/sys/kernel/random/boot_id
  std::optional<std::uint64_t> pidns_inode;  // of /proc/self/ns/pid: whose pids these are
  std::string host;
  std::string version;     // of the release that migrates, for people
  std::string started_at;  // for people
  std::optional<Duration> ttl;

  /// An Error for JSON that is cut off, not an object, or has a member of the wrong type.
  static Result<Marker> parse(const std::string& json);
  std::string text() const;
  /// Of this process, now.
  static Marker of_this_process();
};

/// A marker file while its migration runs in this process or its children. Removed at the end.
class HeldMarker {
 public:
  /// Appears at once with its content and its lock held. An Error when another one is held there.
  static Result<HeldMarker> write(const std::string& path, Marker marker);
  ~HeldMarker();
  /// Processes started from here on hold the lock, too: it stands until the last of them ends.
  void keep_open_in_children() const;
  HeldMarker(HeldMarker&& other) noexcept = default;
  HeldMarker& operator=(HeldMarker&&) = delete;

 private:
  HeldMarker(std::string path, Descriptor file) : path_(std::move(path)), file_(std::move(file)) {}

  std::string path_;
  Descriptor file_;  // moved from = nothing to remove
};

/// Whether somebody holds a lock on the open file. Takes a shared flock for a moment to see it.
bool is_locked(int fd);

}  // namespace davy
