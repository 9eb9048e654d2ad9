// A small ext4 filesystem in a file, mounted through a loop device.
//
// Threading: one thread. Failure: absent (false) without mkfs.ext4, loop devices or the right to
// mount; it says so.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "base/descriptor.h"
#include "lab/process.h"

namespace davy::lab {

class LoopDisk {
 public:
  /// `mkfs` = further arguments, such as the number of inodes.
  explicit LoopDisk(const std::string& mkfs = "") {
    std::filesystem::create_directory(path());
    std::filesystem::permissions(dir_.path(), std::filesystem::perms(0755));  // others get in
    Finished made = run({{"sh", "-c",
                          "truncate -s 16M " + image() + " && mkfs.ext4 -q -F " + mkfs + " " +
                              image() + " && mount -o loop " + image() + " " + path()}});
    is_mounted_ = made.code == 0;
    if (!is_mounted_)
      MESSAGE("skipped: a small ext4 filesystem needs loop devices: " << made.output);
  }
  ~LoopDisk() {
    thaw();
    if (is_mounted_) run({{"umount", "-l", path()}});  // frees the loop device, too
  }
  LoopDisk(const LoopDisk&) = delete;
  LoopDisk& operator=(const LoopDisk&) = delete;

  explicit operator bool() const { return is_mounted_; }
  std::string path() const { return dir_ / "mounted"; }
  std::string operator/(const std::string& name) const { return path() + "/" + name; }

  /// Whoever writes sleeps uninterruptibly until thaw().
  void freeze() {
    is_frozen_ = true;
    control(FIFREEZE);
  }
  void thaw() {
    if (is_frozen_) control(FITHAW);
    is_frozen_ = false;
  }

 private:
  std::string image() const { return dir_ / "image"; }
  void control(unsigned long what) const {
    Descriptor root(open(path().c_str(), O_RDONLY | O_CLOEXEC));
    CHECK(ioctl(root.fd(), what, 0) == 0);
  }

  TempDir dir_;
  bool is_mounted_ = false;
  bool is_frozen_ = false;
};

}  // namespace davy::lab
