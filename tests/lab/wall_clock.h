// A wall clock of its own for a command, by libfaketime; the steady clock stays the machine's.
//
// Threading: one thread. Failure: trouble() says why it cannot be had here.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <string>
#include <vector>

#include "lab/process.h"

namespace davy::lab {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kMayPreload = false;  // their own library must come first
#else
inline constexpr bool kMayPreload = true;
#endif

inline std::string fake_library() {
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib", gone)) {
    std::string path = entry.path().string() + "/faketime/libfaketimeMT.so.1";
    if (std::filesystem::exists(path, gone)) return path;
  }
  return "";
}

/// A wall clock of its own for a command.
class WallClock {
 public:
  explicit WallClock(const std::string& offset) : library_(fake_library()) { move(offset); }

  /// "+3600" from the true time; seen at the next look at the clock.
  void move(const std::string& offset) const {
    write_file(dir_ / "next", offset + "\n");
    std::filesystem::rename(dir_ / "next", dir_ / "offset");
  }
  std::vector<std::string> prefix() const {
    return {"env", "LD_PRELOAD=" + library_, "FAKETIME_TIMESTAMP_FILE=" + (dir_ / "offset"),
            "FAKETIME_DONT_FAKE_MONOTONIC=1", "FAKETIME_NO_CACHE=1"};
  }
  /// Why it cannot be used here, "" when it can: it must leave the steady clock alone.
  std::string trouble() const {
    if (!kMayPreload) return "a sanitizer's library must come first";
    if (library_.empty()) return "there is no libfaketime";
    std::vector<std::string> command = prefix();
    command.insert(command.end(), {"python3", "-c",
                                   "import time; print(int(time.time()), "
                                   "int(time.clock_gettime(time.CLOCK_BOOTTIME)))"});
    Finished seen = run({command});
    long wall = 0, boot = 0;
    if (std::sscanf(seen.output.c_str(), "%ld %ld", &wall, &boot) != 2) return seen.output;
    timespec real{};
    clock_gettime(CLOCK_BOOTTIME, &real);
    if (std::labs(boot - real.tv_sec) > 60) return "this libfaketime moves CLOCK_BOOTTIME too";
    return "";
  }

 private:
  TempDir dir_;
  std::string library_;
};

}  // namespace davy::lab
