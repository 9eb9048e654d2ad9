// A small filesystem for tests that need a full or read-only disk.
//
// Threading: one thread. Failure: absent (false) when this process may not mount; it says so.
#pragma once

#include <doctest/doctest.h>
#include <sys/mount.h>
#include <cerrno>
#include <cstring>
#include <string>

#include "lab/process.h"

namespace davy::lab {

/// A filesystem of its own on a temporary directory. Absent when this process may not mount.
class Tmpfs {
 public:
  explicit Tmpfs(const std::string& options) {
    mounted_ = mount("tmpfs", dir_.path().c_str(), "tmpfs", 0, options.c_str()) == 0;
    if (!mounted_)
      MESSAGE("skipped: a small filesystem needs the right to mount (" << std::strerror(errno)
                                                                       << ")");
  }
  ~Tmpfs() {
    if (mounted_) umount2(dir_.path().c_str(), MNT_DETACH);
  }
  explicit operator bool() const { return mounted_; }
  const std::string& path() const { return dir_.path(); }
  std::string operator/(const std::string& name) const { return dir_ / name; }
  void make_read_only() const {
    REQUIRE(mount(nullptr, dir_.path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0);
  }

 private:
  TempDir dir_;
  bool mounted_ = false;
};

}  // namespace davy::lab
