// A filesystem that never answers: statvfs() on it sleeps uninterruptibly, as on a dead NFS server.
//
// It is a FUSE filesystem whose server, a thread here, takes every request and says nothing.
// Threading: one thread. Failure: absent (false) when this process may not mount; it says so.
// Safe: when the test program dies the kernel aborts the mount, and nobody hangs any more.
#pragma once

#include <string>
#include <thread>

#include "base/descriptor.h"
#include "lab/process.h"

namespace davy::lab {

class HungMount {
 public:
  HungMount();
  /// Aborts and unmounts.
  ~HungMount();
  HungMount(const HungMount&) = delete;
  HungMount& operator=(const HungMount&) = delete;

  explicit operator bool() const { return is_mounted_; }
  const std::string& path() const { return dir_.path(); }
  /// Whoever hangs gets an error, as from a server that is gone for good.
  void abort();
  /// The plain directory is there again.
  void unmount();

 private:
  void swallow_all();

  TempDir dir_;
  Descriptor device_;
  Descriptor stop_;
  bool is_mounted_ = false;
  std::thread server_;
};

}  // namespace davy::lab
