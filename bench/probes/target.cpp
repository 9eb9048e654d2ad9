// What the probers ask: an HTTP server on every loopback address that notes when it was asked.
//
// Why: how regular a prober is shows at the far end only, and is the same measurement for all of
// them. A target is an address, 127.0.x.y; every connection is answered 200 and closed.
//
// Talks on standard input and output: prints its port; "begin" forgets everything so far; "end"
// prints what came since as one line of JSON; the end of the input ends the program. Threading:
// one.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace {

constexpr std::string_view kAnswer =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: "
    "close\r\n\r\nup\n";

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

/// When every address was asked.
class Arrivals {
 public:
  void see(std::uint32_t address, double at) {
    auto [place, is_new] = of_.try_emplace(address, Target{at, at, 0});
    if (is_new) return;
    Target& target = place->second;
    intervals_.push_back(at - target.last);
    target.last = at;
    ++target.intervals;
  }

  /// The mean is that of the addresses' own means: what is left out at both ends is the same for
  /// an address asked often and one asked seldom.
  void print() {
    double mean = 0;
    for (const auto& [address, target] : of_)
      mean +=
          (target.last - target.first) / static_cast<double>(std::max<long>(target.intervals, 1));
    mean /= static_cast<double>(std::max<std::size_t>(of_.size(), 1));
    std::sort(intervals_.begin(), intervals_.end());
    std::printf(
        "{\"targets\": %zu, \"probes\": %zu, \"mean_ms\": %.6f, \"p1_ms\": %.3f, \"p99_ms\": "
        "%.3f}\n",
        of_.size(), intervals_.size() + of_.size(), mean * 1e3, quantile(0.01), quantile(0.99));
    std::fflush(stdout);
  }

 private:
  struct Target {
    double first;
    double last;
    long intervals;
  };

  double quantile(double q) const {
    if (intervals_.empty()) return 0;
    return intervals_[static_cast<std::size_t>(q * static_cast<double>(intervals_.size() - 1))] *
           1e3;
  }

  std::unordered_map<std::uint32_t, Target> of_;
  std::vector<double> intervals_;
};

class Server {
 public:
  Server() {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in all{};
    all.sin_family = AF_INET;
    insist(bind(listener_, reinterpret_cast<sockaddr*>(&all), sizeof all) == 0, "bind");
    insist(listen(listener_, 4096) == 0, "listen");
    std::printf("%d\n", ntohs(local(listener_).sin_port));
    std::fflush(stdout);
    watch(listener_);
    watch(STDIN_FILENO);
  }

  void serve() {
    epoll_event events[256];
    while (true) {
      int n = epoll_wait(epoll_, events, 256, -1);
      for (int i = 0; i < n; ++i) {
        int fd = events[i].data.fd;
        if (fd == listener_) {
          accept_all();
        } else if (fd != STDIN_FILENO) {
          if (answer(fd)) close(fd);
        } else if (!obey()) {
          return;
        }
      }
    }
  }

 private:
  static sockaddr_in local(int fd) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    return address;
  }

  void watch(int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    insist(epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
  }

  void accept_all() {
    while (true) {
      int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      arrivals_.see(local(fd).sin_addr.s_addr, now());
      if (answer(fd)) {
        close(fd);
      } else {
        watch(fd);
      }
    }
  }

  /// Whether the connection is done with. A probe's request comes in one piece.
  static bool answer(int fd) {
    char request[4096];
    ssize_t n = recv(fd, request, sizeof request, 0);
    if (n < 0 && errno == EAGAIN) return false;
    if (n > 0) send(fd, kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL);
    return true;
  }

  bool obey() {
    char bytes[64];
    ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);
    if (n <= 0) return false;
    std::string_view order(bytes, static_cast<std::size_t>(n));
    if (order == "end\n") arrivals_.print();
    arrivals_ = {};
    return true;
  }

  int epoll_ = epoll_create1(EPOLL_CLOEXEC);
  int listener_ = -1;
  Arrivals arrivals_;
};

}  // namespace

int main() {
  Server().serve();
}
