#include "serve/connections.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <map>
#include <set>
#include <thread>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "base/thread_name.h"
#include "serve/framing.h"

namespace davy::serve {
namespace {

constexpr int kBacklog = 1024;
constexpr Duration kStopGrace = std::chrono::seconds(1);
constexpr Duration kTellAgain = std::chrono::minutes(1);
constexpr Duration kAcceptPause =
    std::chrono::milliseconds(100);  // after running out of descriptors

std::string numeric_address(const sockaddr_storage& peer, socklen_t size) {
  char host[NI_MAXHOST] = "";
  getnameinfo(reinterpret_cast<const sockaddr*>(&peer), size, host, sizeof host, nullptr, 0,
              NI_NUMERICHOST);
  return host;
}

std::string refusal(int status, std::string_view why) {
  return fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: "
      "{}\r\nConnection: close\r\n\r\n{}\n",
      status, why, why.size() + 1, why);
}

struct Connection {
  enum class Phase { Reading, Holding, Writing } phase = Phase::Reading;
  std::string from;
  std::string in;
  std::string out;
  std::size_t written = 0;
  bool close_after = false;
  bool was_answered = false;  // kept alive: closing it between two requests costs its client little
  Time deadline;
};

}  // namespace

struct Connections::Loop {
  std::string name;
  ConnectionLimits limits;
  Answer answer;
  std::function<void()> shed;

  int listener = -1;
  int epoll = -1;
  int wake = -1;
  int spare = -1;  // given up for whoever asks when no descriptor is left
  int port = 0;
  std::atomic<bool> stopping{false};
  std::map<int, Connection> open;
  std::set<std::pair<Time, int>> deadlines;
  Time accept_again{};
  Time shed_told{};
  std::thread thread;

  ~Loop() {
    for (int fd : {listener, epoll, wake, spare}) {
      if (fd >= 0) ::close(fd);
    }
  }

  void watch(int fd, std::uint32_t events, int how) const {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    epoll_ctl(epoll, how, fd, &event);
  }

  void set_deadline(int fd, Connection& c, Duration from_now) {
    deadlines.erase({c.deadline, fd});
    c.deadline = machine_clock().now() + from_now;
    deadlines.insert({c.deadline, fd});
  }

  void serve() {
    Time stop_by = Time::never();
    while (true) {
      Time now = machine_clock().now();
      if (stopping && stop_by == Time::never()) {
        stop_by = now + kStopGrace;
        watch(listener, 0, EPOLL_CTL_DEL);
        close_idle();
      }
      if (stopping && (open.empty() || now >= stop_by)) break;
      epoll_event events[64];
      int n = epoll_wait(epoll, events, static_cast<int>(std::size(events)), wait_ms(now, stop_by));
      for (int i = 0; i < n; ++i) {
        int fd = events[i].data.fd;
        if (fd == wake) continue;
        if (fd == listener) {
          accept_all();
        } else if (auto at = open.find(fd); at != open.end()) {
          ready(fd, at->second);
        }
      }
      expire();
    }
    while (!open.empty()) close(open.begin()->first);
  }

  void ready(int fd, Connection& c) {
    switch (c.phase) {
      case Connection::Phase::Reading: read_some(fd, c); break;
      case Connection::Phase::Writing: write_some(fd, c); break;
      case Connection::Phase::Holding: close(fd); break;  // only a hang-up is watched for
    }
    serve_waiting(fd);
  }

  int wait_ms(Time now, Time stop_by) {
    Time next = stop_by;
    if (!deadlines.empty()) next = std::min(next, deadlines.begin()->first);
    if (accept_again != Time{}) next = std::min(next, accept_again);
    if (next == Time::never()) return -1;
    auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(next - now).count() + 1;
    return static_cast<int>(std::clamp<long long>(ms, 0, 60'000));
  }

  void accept_all() {
    for (int i = 0; i < 64; ++i) {
      sockaddr_storage peer{};
      socklen_t size = sizeof peer;
      int fd = accept4(listener, reinterpret_cast<sockaddr*>(&peer), &size,
                       SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) {
        bool exhausted = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
        // The kernel wants a descriptor before it looks whether anybody is there.
        if (!exhausted || !is_anybody_waiting()) return;
        if (spare >= 0) {
          ::close(std::exchange(spare, -1));
        } else if (!make_room("out of file descriptors")) {
          return pause_accepting();
        }
        continue;
      }
      if (open.size() >= limits.connections && !make_room("too many connections")) {
        refuse(fd);
        continue;
      }
      int yes = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
      Connection& c = open[fd];
      c.from = numeric_address(peer, size);
      set_deadline(fd, c, limits.request);
      watch(fd, EPOLLIN, EPOLL_CTL_ADD);
    }
  }

  bool is_anybody_waiting() const {
    pollfd one{listener, POLLIN, 0};
    return ::poll(&one, 1, 0) > 0;
  }

  /// Closes the connection that has been idle longest after an answer, or else has waited longest
  /// without finishing its first request: a crowd of idle clients must not keep a prober out, and
  /// probers must not push out one another. False when every one is being answered.
  bool make_room(const char* why) {
    shed();
    Time now = machine_clock().now();
    if (now - shed_told > kTellAgain) {
      log::warn("closing connections to make room",
                {{"listener", name}, {"why", why}, {"open", std::to_string(open.size())}});
      shed_told = now;
    }
    int oldest = -1;
    for (const auto& [deadline, fd] : deadlines) {
      const Connection& c = open.at(fd);
      if (c.phase != Connection::Phase::Reading) continue;
      if (oldest < 0) oldest = fd;
      if (!c.was_answered || !c.in.empty()) continue;
      oldest = fd;
      break;
    }
    if (oldest < 0) return false;
    close(oldest);
    return true;
  }

  static void refuse(int fd) {
    std::string busy = refusal(503, "Too many connections");
    [[maybe_unused]] ssize_t sent =
        ::send(fd, busy.data(), busy.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    ::close(fd);
  }

  /// Nothing can be closed, so accept() would fail again at once, for ever.
  void pause_accepting() {
    watch(listener, 0, EPOLL_CTL_MOD);
    accept_again = machine_clock().now() + kAcceptPause;
  }

  void read_some(int fd, Connection& c) {
    char buffer[16 * 1024];
    ssize_t n = ::recv(fd, buffer, sizeof buffer, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) return close(fd);
    if (n < 0) return;
    if (c.in.empty()) set_deadline(fd, c, limits.request);
    c.in.append(buffer, static_cast<std::size_t>(n));
  }

  /// Answers the whole requests that wait in the buffer, one after the other.
  void serve_waiting(int fd) {
    for (auto at = open.find(fd); at != open.end(); at = open.find(fd)) {
      Connection& c = at->second;
      if (c.phase != Connection::Phase::Reading || c.in.empty()) return;
      Frame frame = frame_request(c.in, limits.head_bytes, limits.body_bytes);
      if (frame.refuse == 0 && frame.size == 0) return;  // not all there yet
      Reply reply;
      if (frame.refuse != 0) {
        reply.bytes = refusal(frame.refuse, frame.why);
        c.in.clear();
      } else {
        reply = answer(c.in.substr(0, frame.size), c.from);
        c.in.erase(0, frame.size);
      }
      reply.close = reply.close || stopping;
      send(fd, c, std::move(reply));
    }
  }

  void send(int fd, Connection& c, Reply reply) {
    c.out = std::move(reply.bytes);
    c.written = 0;
    c.close_after = reply.close;
    if (reply.hold > Duration::zero() && !stopping) {
      c.phase = Connection::Phase::Holding;
      set_deadline(fd, c, reply.hold);
      return watch(fd, 0, EPOLL_CTL_MOD);
    }
    start_writing(fd, c);
  }

  void start_writing(int fd, Connection& c) {
    c.phase = Connection::Phase::Writing;
    set_deadline(fd, c, limits.write);
    write_some(fd, c);
  }

  void write_some(int fd, Connection& c) {
    while (c.written < c.out.size()) {
      ssize_t n = ::send(fd, c.out.data() + c.written, c.out.size() - c.written, MSG_NOSIGNAL);
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) return watch(fd, EPOLLOUT, EPOLL_CTL_MOD);
      if (n < 0) return close(fd);
      c.written += static_cast<std::size_t>(n);
    }
    if (c.close_after) return finish(fd);
    c.out.clear();
    c.was_answered = true;
    c.phase = Connection::Phase::Reading;
    set_deadline(fd, c, c.in.empty() ? limits.idle : limits.request);
    watch(fd, EPOLLIN, EPOLL_CTL_MOD);
  }

  /// Closing with unread bytes in the socket resets the connection, and the answer may be lost.
  void finish(int fd) {
    ::shutdown(fd, SHUT_WR);
    char rest[4096];
    while (::recv(fd, rest, sizeof rest, MSG_DONTWAIT) > 0) {
    }
    close(fd);
  }

  void expire() {
    Time now = machine_clock().now();
    if (accept_again != Time{} && now >= accept_again) {
      accept_again = {};
      watch(listener, EPOLLIN, EPOLL_CTL_MOD);
    }
    while (!deadlines.empty() && deadlines.begin()->first <= now) {
      int fd = deadlines.begin()->second;
      Connection& c = open.at(fd);
      c.phase == Connection::Phase::Holding ? start_writing(fd, c) : close(fd);
      serve_waiting(fd);
    }
  }

  void close_idle() {
    std::vector<int> idle;
    for (const auto& [fd, c] : open) {
      if (c.phase == Connection::Phase::Reading) idle.push_back(fd);
    }
    for (int fd : idle) close(fd);
  }

  void close(int fd) {
    auto at = open.find(fd);
    if (at == open.end()) return;
    deadlines.erase({at->second.deadline, fd});
    open.erase(at);
    ::close(fd);
    keep_spare();
  }

  void keep_spare() {
    if (spare < 0) spare = fcntl(wake, F_DUPFD_CLOEXEC, 0);
  }
};

Connections::Connections(std::string name, ConnectionLimits limits, Answer answer,
                         std::function<void()> shed)
    : loop_(std::make_unique<Loop>()) {
  loop_->name = std::move(name);
  loop_->limits = limits;
  loop_->answer = std::move(answer);
  loop_->shed = std::move(shed);
}

Connections::~Connections() {
  stop();
}

Result<Done> Connections::listen(const config::Address& at) {
  Loop& loop = *loop_;
  auto refuse = [&](const char* what) {
    return Error{fmt::format("cannot listen on {} ({}): {}", at.text(), loop.name, what)};
  };
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (int code = getaddrinfo(at.host.c_str(), std::to_string(at.port).c_str(), &hints, &found);
      code != 0) {
    return refuse(gai_strerror(code));
  }
  std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> free_later(found, freeaddrinfo);
  loop.listener = ::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (loop.listener < 0) return refuse(std::strerror(errno));
  int yes = 1;
  setsockopt(loop.listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (::bind(loop.listener, found->ai_addr, found->ai_addrlen) != 0)
    return refuse(std::strerror(errno));
  if (::listen(loop.listener, kBacklog) != 0) return refuse(std::strerror(errno));
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  getsockname(loop.listener, reinterpret_cast<sockaddr*>(&bound), &size);
  loop.port = ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&bound)->sin6_port
                                                : reinterpret_cast<sockaddr_in*>(&bound)->sin_port);
  loop.epoll = epoll_create1(EPOLL_CLOEXEC);
  loop.wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  loop.keep_spare();
  loop.watch(loop.listener, EPOLLIN, EPOLL_CTL_ADD);
  loop.watch(loop.wake, EPOLLIN, EPOLL_CTL_ADD);
  loop.thread = std::thread([&loop] {
    name_this_thread("davy-" + loop.name);
    loop.serve();
  });
  return Done{};
}

int Connections::port() const {
  return loop_->port;
}

void Connections::stop() {
  if (!loop_->thread.joinable()) return;
  loop_->stopping = true;
  std::uint64_t one = 1;
  [[maybe_unused]] ssize_t written = ::write(loop_->wake, &one, sizeof one);
  loop_->thread.join();
}

}  // namespace davy::serve
