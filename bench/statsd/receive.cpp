// The limit of a StatsD server: receives packets and looks at none.
//
// receive PORT
//
// As davy does it: recvmmsg until nothing is left, then a nap of a millisecond; a large buffer;
// poll when nothing comes. Prints the number of packets at SIGTERM. Threading: one.

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

constexpr std::size_t kBatch = 64;
constexpr std::size_t kLongest = 64 * 1024;
constexpr std::size_t kStride = kLongest + 5 * 64;

volatile std::sig_atomic_t stopped = 0;

void insist(bool ok, const char* what) {
  if (ok) return;
  std::perror(what);
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  insist(argc == 2, "receive PORT");
  struct sigaction action {};
  action.sa_handler = [](int) { stopped = 1; };
  sigaction(SIGTERM, &action, nullptr);
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[1])));
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  insist(bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0, "bind");
  int size = 8 << 20;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);

  std::vector<char> bytes(kBatch * kStride);
  std::array<mmsghdr, kBatch> headers{};
  std::array<iovec, kBatch> parts{};
  for (std::size_t i = 0; i < kBatch; ++i) {
    parts[i] = {bytes.data() + i * kStride, kLongest};
    headers[i].msg_hdr.msg_iov = &parts[i];
    headers[i].msg_hdr.msg_iovlen = 1;
  }
  unsigned long packets = 0;
  pollfd waiting{fd, POLLIN, 0};
  while (stopped == 0) {
    poll(&waiting, 1, -1);
    for (bool came = true; came && stopped == 0;) {
      came = false;
      int n = static_cast<int>(kBatch);
      while (n == static_cast<int>(kBatch)) {
        n = recvmmsg(fd, headers.data(), kBatch, MSG_DONTWAIT, nullptr);
        if (n <= 0) break;
        packets += static_cast<unsigned long>(n);
        came = true;
      }
      timespec nap{0, 1'000'000};
      nanosleep(&nap, nullptr);
    }
  }
  std::printf("%lu\n", packets);
  return 0;
}
