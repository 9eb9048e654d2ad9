#include "lab/hung_mount.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace davy::lab {
namespace {

constexpr std::size_t kLargestRequest = 1 << 17;

/// The one answer without which the kernel sends nothing else.
void answer_init(int device, std::uint64_t number) {
  struct {
    fuse_out_header head;
    fuse_init_out body;
  } answer{};
  answer.head.len = sizeof answer;
  answer.head.unique = number;
  answer.body.major = FUSE_KERNEL_VERSION;
  answer.body.minor = 31;
  answer.body.max_write = 4096;
  [[maybe_unused]] ssize_t n = write(device, &answer, sizeof answer);
}

}  // namespace

HungMount::HungMount()
    : device_(open("/dev/fuse", O_RDWR | O_CLOEXEC)), stop_(eventfd(0, EFD_CLOEXEC)) {
  std::string options =
      "fd=" + std::to_string(device_.fd()) + ",rootmode=40000,user_id=0,group_id=0,allow_other";
  is_mounted_ = device_ && mount("hung", dir_.path().c_str(), "fuse.hung", MS_NOSUID | MS_NODEV,
                                 options.c_str()) == 0;
  if (!is_mounted_) {
    MESSAGE("skipped: a filesystem that hangs needs /dev/fuse and the right to mount ("
            << std::strerror(errno) << ")");
    return;
  }
  server_ = std::thread([this] { swallow_all(); });
}

HungMount::~HungMount() {
  abort();
  unmount();
}

void HungMount::swallow_all() {
  std::vector<char> buffer(kLargestRequest);
  while (true) {
    pollfd waiting[] = {{device_.fd(), POLLIN, 0}, {stop_.fd(), POLLIN, 0}};
    if (poll(waiting, 2, -1) < 0) continue;
    if (waiting[1].revents != 0) break;
    ssize_t n = read(device_.fd(), buffer.data(), buffer.size());
    if (n < static_cast<ssize_t>(sizeof(fuse_in_header))) continue;
    fuse_in_header head{};
    std::memcpy(&head, buffer.data(), sizeof head);
    if (head.opcode == FUSE_INIT) answer_init(device_.fd(), head.unique);
  }
  device_.reset();  // the kernel aborts what is still waiting
}

void HungMount::abort() {
  if (!server_.joinable()) return;
  eventfd_write(stop_.fd(), 1);
  server_.join();
}

void HungMount::unmount() {
  if (is_mounted_) umount2(dir_.path().c_str(), MNT_DETACH);
  is_mounted_ = false;
}

}  // namespace davy::lab
