#include "sources/statsd/listener.h"

#include <arpa/inet.h>
#include <linux/sock_diag.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>

#include <fmt/format.h>

#include "base/log.h"
#include "base/text.h"
#include "base/thread_name.h"
#include "base/units.h"
#include "net/socket.h"

namespace davy::source {
namespace {

constexpr int kReceiveBuffer = 8 << 20;                   // bytes; the kernel doubles it
constexpr std::size_t kBatch = 64;                        // packets of one recvmmsg
constexpr std::size_t kLongestPacket = 64 * 1024;         // no UDP packet is longer
constexpr std::size_t kStride = kLongestPacket + 5 * 64;  // so that packets do not share cache sets
constexpr int kMostBatches = 64;  // of one socket, before the next has its turn
constexpr int kLongQueue = 256;   // packets, of a Unix socket
constexpr Duration kNap = std::chrono::milliseconds(1);

std::string explain(int code) {
  return std::system_category().message(code);
}

/// A socket address as the kernel wants it.
struct KernelAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
};

KernelAddress kernel_address(const StatsdAddress& address) {
  KernelAddress out;
  if (address.is_unix()) {
    auto* at = reinterpret_cast<sockaddr_un*>(&out.storage);
    at->sun_family = AF_UNIX;
    std::memcpy(at->sun_path, address.path.c_str(), address.path.size() + 1);
    out.size = sizeof *at;
  } else if (address.host.find(':') != std::string::npos) {
    auto* at = reinterpret_cast<sockaddr_in6*>(&out.storage);
    at->sin6_family = AF_INET6;
    at->sin6_port = htons(static_cast<std::uint16_t>(address.port));
    inet_pton(AF_INET6, address.host.c_str(), &at->sin6_addr);
    out.size = sizeof *at;
  } else {
    auto* at = reinterpret_cast<sockaddr_in*>(&out.storage);
    at->sin_family = AF_INET;
    at->sin_port = htons(static_cast<std::uint16_t>(address.port));
    inet_pton(AF_INET, address.host.c_str(), &at->sin_addr);
    out.size = sizeof *at;
  }
  return out;
}

Result<StatsdAddress> parse_path(std::string_view path) {
  if (path.starts_with("//")) path.remove_prefix(2);
  if (!path.starts_with('/') || path.ends_with('/'))
    return Error{text::quoted(path) + " is no absolute path of a socket (try unix:/run/davy.sock)"};
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    return Error{fmt::format("{} is too long for a socket ({} bytes at most)", text::quoted(path),
                             sizeof(sockaddr_un::sun_path) - 1)};
  }
  return StatsdAddress{.path = std::string(path)};
}

bool is_number(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  return inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

/// Whether a server is there: a datagram socket can be connected to, and nothing is sent.
bool is_served(const KernelAddress& at) {
  Descriptor probe(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return !probe || ::connect(probe.fd(), at.get(), at.size) == 0 || errno != ECONNREFUSED;
}

/// Makes way for a socket file at the path.
Result<Done> clear_path(const std::string& path, const KernelAddress& at) {
  struct stat there {};
  if (::lstat(path.c_str(), &there) != 0) return Done{};
  if (!S_ISSOCK(there.st_mode)) return Error{"a file is there that is no socket"};
  if (is_served(at)) return Error{"another server listens there"};
  if (::unlink(path.c_str()) != 0)
    return Error{"its old socket cannot be removed: " + explain(errno)};
  return Done{};
}

/// Tells it when it is smaller than wanted: bursts would be lost.
void enlarge_buffer(int fd, const StatsdAddress& address) {
  int wanted = kReceiveBuffer;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &wanted, sizeof wanted) == 0) return;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof wanted);
  int got = 0;
  socklen_t size = sizeof got;
  getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &got, &size);
  if (got / 2 >= wanted) return;
  log::warn("the receive buffer for StatsD is small: bursts of packets may be lost",
            {{"listen", address.text()},
             {"bytes", units::show_bytes(got / 2)},
             {"try", fmt::format("sysctl net.core.rmem_max={}", wanted)}});
}

/// How many packets a Unix socket holds.
int unix_queue() {
  std::ifstream file("/proc/sys/net/unix/max_dgram_qlen");
  int length = 0;
  return file >> length ? length : 10;
}

}  // namespace

std::string StatsdAddress::text() const {
  return is_unix() ? "unix:" + path : "udp " + net::Endpoint{host, port}.text();
}

Result<StatsdAddress> StatsdAddress::parse(std::string_view text) {
  constexpr std::string_view kUnix = "unix:";
  if (text.starts_with(kUnix)) return parse_path(text.substr(kUnix.size()));
  Result<net::Endpoint> endpoint = net::parse_endpoint(text);
  if (!endpoint) return endpoint.error();
  if (endpoint->host == "localhost") endpoint->host = "127.0.0.1";
  if (!is_number(endpoint->host)) {
    return Error{text::quoted(text) +
                 " names no address of this machine by number (try 127.0.0.1:8125, 0.0.0.0:8125 "
                 "or unix:/run/davy.sock)"};
  }
  if (endpoint->port == 0) return Error{text::quoted(text) + " has no port (8125 is usual)"};
  return StatsdAddress{.host = endpoint->host, .port = endpoint->port};
}

/// Where recvmmsg puts packets. Pages that no packet has reached take no memory.
struct StatsdListener::Buffers {
  std::unique_ptr<char[]> bytes{new char[kBatch * kStride]};
  std::array<iovec, kBatch> parts{};
  std::array<mmsghdr, kBatch> headers{};
  std::array<StatsdPacket, kBatch> packets{};

  Buffers() {
    for (std::size_t i = 0; i < kBatch; ++i) {
      parts[i] = {bytes.get() + i * kStride, kLongestPacket};
      headers[i].msg_hdr.msg_iov = &parts[i];
      headers[i].msg_hdr.msg_iovlen = 1;
    }
  }
};

StatsdListener::StatsdListener(std::vector<StatsdAddress> addresses, mode_t mode, Deliver deliver)
    : addresses_(std::move(addresses)), mode_(mode), deliver_(std::move(deliver)) {}

StatsdListener::~StatsdListener() {
  stop();
  close_all();
}

std::vector<std::string> StatsdListener::open() {
  std::vector<std::string> troubles;
  std::vector<Socket> bound;
  for (const StatsdAddress& address : addresses_) {
    bool is_bound = std::any_of(sockets_.begin(), sockets_.end(),
                                [&](const Socket& s) { return s.address == address; });
    if (is_bound) continue;
    Result<Socket> socket = bind(address);
    if (socket)
      bound.push_back(std::move(*socket));
    else
      troubles.push_back(address.text() + ": " + socket.error().what);
  }
  if (bound.empty()) return troubles;
  stop();  // for a moment: the kernel keeps what comes
  for (Socket& socket : bound) sockets_.push_back(std::move(socket));
  if (!start()) {
    close_all();
    troubles.emplace_back("StatsD: no thread can be started");
  }
  return troubles;
}

double StatsdListener::take_lost() {
  double lost = 0;
  for (Socket& socket : sockets_) {
    std::array<std::uint32_t, SK_MEMINFO_VARS> counts{};
    socklen_t size = sizeof counts;
    bool is_told =
        getsockopt(socket.descriptor.fd(), SOL_SOCKET, SO_MEMINFO, counts.data(), &size) == 0 &&
        size > SK_MEMINFO_DROPS * sizeof counts[0];
    if (!is_told) continue;
    std::uint32_t now = counts[SK_MEMINFO_DROPS];
    lost += now - std::exchange(socket.lost, now);
  }
  return lost;
}

Result<StatsdListener::Socket> StatsdListener::bind(const StatsdAddress& address) const {
  KernelAddress at = kernel_address(address);
  Socket socket{.address = address};
  socket.descriptor = Descriptor(::socket(at.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.descriptor) return Error{"no socket: " + explain(errno)};
  if (address.is_unix()) {
    if (Result<Done> clear = clear_path(address.path, at); !clear) return clear.error();
  }
  int fd = socket.descriptor.fd();
  if (::bind(fd, at.get(), at.size) != 0) {
    int code = errno;
    return Error{code == EADDRINUSE
                     ? "is taken (by another StatsD server, or another deployment of davy's?)"
                     : "cannot be listened on: " + explain(code)};
  }
  if (!address.is_unix()) {
    enlarge_buffer(fd, address);
    return socket;
  }
  struct stat made {};
  if (::chmod(address.path.c_str(), mode_) != 0 || ::lstat(address.path.c_str(), &made) != 0)
    return Error{"its permissions cannot be set: " + explain(errno)};
  socket.device = made.st_dev;
  socket.inode = made.st_ino;
  return socket;
}

bool StatsdListener::start() {
  is_patient_ = std::none_of(sockets_.begin(), sockets_.end(),
                             [](const Socket& socket) { return socket.address.is_unix(); }) ||
                unix_queue() >= kLongQueue;
  if (!is_patient_) {
    log::info(
        "the queue of Unix sockets is short: StatsD packets may be lost or made to wait",
        {{"packets", std::to_string(unix_queue())}, {"try", "sysctl net.unix.max_dgram_qlen=512"}});
  }
  wake_ = Descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_) return false;
  try {
    thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
  } catch (const std::system_error&) {
    return false;
  }
  return true;
}

void StatsdListener::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  std::uint64_t one = 1;
  [[maybe_unused]] ssize_t written = ::write(wake_.fd(), &one, sizeof one);
  thread_.join();
}

void StatsdListener::close_all() {
  for (const Socket& socket : sockets_) {
    struct stat there {};
    bool is_ours = socket.address.is_unix() && ::lstat(socket.address.path.c_str(), &there) == 0 &&
                   there.st_dev == socket.device && there.st_ino == socket.inode;
    if (is_ours) ::unlink(socket.address.path.c_str());
  }
  sockets_.clear();
}

void StatsdListener::serve(const std::stop_token& stop) {
  name_this_thread("davy-statsd");
  Buffers buffers;
  std::vector<pollfd> waiting{{wake_.fd(), POLLIN, 0}};
  for (const Socket& socket : sockets_) waiting.push_back({socket.descriptor.fd(), POLLIN, 0});
  while (!stop.stop_requested()) {
    ::poll(waiting.data(), waiting.size(), -1);
    for (bool came = true; came && !stop.stop_requested();) {
      came = false;
      bool is_empty = true;
      for (const Socket& socket : sockets_) {
        int batches = drain(socket.descriptor.fd(), buffers);
        came |= batches > 0;
        is_empty &= batches < kMostBatches;
      }
      if (!is_patient_) break;
      if (is_empty) std::this_thread::sleep_for(kNap);
    }
  }
}

/// Takes what is there, up to kMostBatches times kBatch packets; returns how many batches.
int StatsdListener::drain(int fd, Buffers& buffers) const {
  for (int batch = 0; batch < kMostBatches; ++batch) {
    int n = ::recvmmsg(fd, buffers.headers.data(), kBatch, MSG_DONTWAIT, nullptr);
    if (n <= 0) return batch;
    auto count = static_cast<std::size_t>(n);
    for (std::size_t i = 0; i < count; ++i) {
      const mmsghdr& header = buffers.headers[i];
      const auto* bytes = static_cast<const char*>(buffers.parts[i].iov_base);
      buffers.packets[i] = {{bytes, header.msg_len}, (header.msg_hdr.msg_flags & MSG_TRUNC) != 0};
    }
    deliver_({buffers.packets.data(), count}, machine_clock().now());
    if (count < kBatch) return batch + 1;
  }
  return kMostBatches;
}

}  // namespace davy::source
