// Descriptor: owns a file descriptor; -1 is none.
//
// Threading: a plain value, one thread at a time.
#pragma once

#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace davy {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { reset(); }
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = other.release();
    }
    return *this;
  }

  int fd() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset() {
    if (fd_ >= 0) ::close(release());
  }
  /// A second one of what `fd` has open, for whoever must outlive a library's own. None when no
  /// descriptors are left.
  static Descriptor duplicate_of(int fd) { return Descriptor(fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

 private:
  int fd_ = -1;
};

}  // namespace davy
