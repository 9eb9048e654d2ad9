// Sends packets of StatsD to a UDP port of loopback, or to a Unix datagram socket.
//
// blast (PORT | PATH) (statsd | dogstatsd) LINES_PER_PACKET PACKETS PACKETS_PER_SECOND
//
// 0 packets per second: as fast as the kernel takes them. Prints one line of JSON: what was sent,
// how long it took, and what the counters in it sum up to. Threading: one.

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "workload.h"

using namespace davy::bench;

namespace {

constexpr std::size_t kDifferent = 4096;  // packets; then they come again
constexpr std::size_t kBatch = 32;        // of one sendmmsg
constexpr int kSeries = 1000;

double now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

void insist(bool ok, const char* what) {
  if (ok) return;
  std::perror(what);
  std::exit(1);
}

int connected(const char* to) {
  if (*to == '/') {
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::strncpy(at.sun_path, to, sizeof at.sun_path - 1);
    insist(connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0, "connect");
    return fd;
  }
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<std::uint16_t>(std::atoi(to)));
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  insist(connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0, "connect");
  return fd;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fputs("blast (PORT | PATH) (statsd | dogstatsd) LINES PACKETS PACKETS_PER_SECOND\n",
               stderr);
    return 2;
  }
  int fd = connected(argv[1]);
  Dialect dialect = std::string_view(argv[2]) == "statsd" ? Dialect::Plain : Dialect::Tagged;
  int lines = std::atoi(argv[3]);
  auto wanted = static_cast<std::size_t>(std::atol(argv[4]));
  double rate = std::atof(argv[5]);
  std::vector<Packet> packets = make_packets(dialect, kDifferent, lines, kSeries);

  std::array<mmsghdr, kBatch> headers{};
  std::array<iovec, kBatch> parts{};
  std::array<unsigned long, 2> requests{};
  std::size_t sent = 0;
  std::size_t bytes = 0;
  double start = now();
  while (sent < wanted) {
    std::size_t n = std::min(kBatch, wanted - sent);
    if (rate > 0) {
      double due = (now() - start) * rate;
      if (due < static_cast<double>(sent + 1)) {
        double wait = (static_cast<double>(sent + 1) - due) / rate;
        timespec pause{0, static_cast<long>(std::min(wait, 0.01) * 1e9)};
        nanosleep(&pause, nullptr);
        continue;
      }
      n = std::min(n, static_cast<std::size_t>(due) - sent);
    }
    for (std::size_t i = 0; i < n; ++i) {
      Packet& packet = packets[(sent + i) % kDifferent];
      parts[i] = {packet.bytes.data(), packet.bytes.size()};
      headers[i].msg_hdr.msg_iov = &parts[i];
      headers[i].msg_hdr.msg_iovlen = 1;
    }
    int taken = sendmmsg(fd, headers.data(), static_cast<unsigned>(n), 0);
    insist(taken > 0, "sendmmsg");
    for (std::size_t i = 0; i < static_cast<std::size_t>(taken); ++i, ++sent) {
      const Packet& packet = packets[sent % kDifferent];
      bytes += packet.bytes.size();
      for (std::size_t side : {0UL, 1UL}) requests[side] += packet.requests[side];
    }
  }
  double took = now() - start;
  std::printf(
      "{\"packets\": %zu, \"lines\": %zu, \"bytes\": %zu, \"seconds\": %.6f, \"baseline\": %lu, "
      "\"canary\": %lu}\n",
      sent, sent * static_cast<std::size_t>(lines), bytes, took, requests[0], requests[1]);
  return 0;
}
