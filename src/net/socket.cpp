#include "net/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>
#include <optional>
#include <system_error>
#include <vector>

#include <fmt/format.h>

#include "base/text.h"
#include "net/means.h"
#include "net/uri.h"

namespace davy::net {
namespace {

ConnectFailure failure_of(int code) {
  switch (code) {
    case ECONNREFUSED:
    case ECONNRESET: return ConnectFailure::Refused;
    case ETIMEDOUT: return ConnectFailure::Timeout;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: return ConnectFailure::Resources;
    default: return ConnectFailure::Unreachable;
  }
}

std::string explain(int code) {
  switch (code) {
    case ECONNREFUSED: return "refused";
    case ETIMEDOUT: return "timed out";
    default: return std::system_category().message(code);
  }
}

/// Linux may connect a socket to itself when nobody listens on a port of the ephemeral range and
/// the kernel picks that very port as the source: a dead service would look well.
bool is_connected_to_itself(int fd) {
  sockaddr_storage mine{}, theirs{};
  socklen_t mine_size = sizeof mine, theirs_size = sizeof theirs;
  return getsockname(fd, reinterpret_cast<sockaddr*>(&mine), &mine_size) == 0 &&
         getpeername(fd, reinterpret_cast<sockaddr*>(&theirs), &theirs_size) == 0 &&
         mine_size == theirs_size && std::memcmp(&mine, &theirs, mine_size) == 0;
}

/// Waits until a connect under way has ended; its errno, 0 = connected.
int wait_connected(int fd, Deadline deadline) {
  while (true) {
    pollfd one{fd, POLLOUT, 0};
    auto ms = std::min<long long>(deadline.left_ms().count(), INT_MAX);
    int ready = ::poll(&one, 1, static_cast<int>(ms));
    if (ready < 0 && errno != EINTR) return errno;
    if (ready > 0) break;
    if (deadline.expired()) return ETIMEDOUT;
  }
  int code = 0;
  socklen_t size = sizeof code;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) == 0 ? code : errno;
}

/// Connects to one numeric address; the errno when it fails.
std::variant<Socket, int> connect_address(const std::string& ip, int port, Deadline deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (getaddrinfo(ip.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return EINVAL;
  std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);

  Socket socket(::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return errno;
  int on = 1;
  setsockopt(socket.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);

  if (::connect(socket.fd(), found->ai_addr, found->ai_addrlen) != 0) {
    if (errno != EINPROGRESS && errno != EINTR) return errno;
    if (int code = wait_connected(socket.fd(), deadline); code != 0) return code;
  }
  if (is_connected_to_itself(socket.fd())) return ECONNREFUSED;
  int flags = fcntl(socket.fd(), F_GETFL);
  if (flags < 0 || fcntl(socket.fd(), F_SETFL, flags & ~O_NONBLOCK) != 0) return errno;
  return socket;
}

Result<std::vector<std::string>> look_up(const std::string& host, const Call& call) {
  if (is_numeric_address(host)) return std::vector<std::string>{host};
  Step step(call, "resolve");
  Result<std::vector<std::string>> found = call.net.resolver.resolve(host, call.deadline);
  step.note(found ? text::join(*found, ", ") : found.error().what);
  return found;
}

}  // namespace

std::string Endpoint::text() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  Error wrong{text::quoted(text) + " is not an address (try host:port or [::1]:port)"};
  std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong;
  std::optional<int> port = parse_port(text.substr(colon + 1));
  std::string_view host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return wrong;
  }
  if (!port || host.empty() || host.find_first_of(" \t\r\n/[]@,") != std::string_view::npos) {
    return wrong;
  }
  return Endpoint{std::string(host), *port};
}

std::string_view word(ConnectFailure failure) {
  constexpr std::string_view kWords[] = {"resolve", "refused", "timeout", "unreachable",
                                         "resources"};
  return kWords[static_cast<int>(failure)];
}

std::variant<Socket, ConnectError> connect_tcp(const Endpoint& to, const Call& call,
                                               AddressFamily family) {
  std::string what = "connect to " + to.text();
  Result<std::vector<std::string>> addresses = look_up(to.host, call);
  if (!addresses) {
    // The resolver has timeouts of its own; when they outlast the deadline, that is what happened.
    return ConnectError{ConnectFailure::Resolve, what + ": " + addresses.error().what};
  }
  if (family != AddressFamily::Any) {
    bool wants_v6 = family == AddressFamily::V6;
    std::erase_if(*addresses, [&](const std::string& address) {
      return (address.find(':') != std::string::npos) != wants_v6;
    });
    if (addresses->empty()) {
      return ConnectError{ConnectFailure::Resolve,
                          what + ": the name has no " + (wants_v6 ? "IPv6" : "IPv4") + " address"};
    }
  }
  if (addresses->front() != to.host) what += " (" + text::join(*addresses, ", ") + ")";

  Step step(call, "connect");
  step.note(to.text());
  int code = ETIMEDOUT;
  for (std::size_t i = 0; i < addresses->size(); ++i) {
    auto still_to_try = static_cast<Duration::rep>(addresses->size() - i);
    Deadline share = Deadline::in(call.deadline.left() / still_to_try);
    if (share.expired()) break;
    std::variant<Socket, int> made = connect_address((*addresses)[i], to.port, share);
    if (Socket* socket = std::get_if<Socket>(&made)) return std::move(*socket);
    code = std::get<int>(made);
  }
  return ConnectError{failure_of(code), what + ": " + explain(code)};
}

std::variant<Socket, ConnectError> connect_unix(const std::string& path, const Call& call) {
  std::string what = "connect to " + path;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return ConnectError{ConnectFailure::Unreachable, what + ": the path is too long for a socket"};
  path.copy(address.sun_path, path.size());
  Step step(call, "connect");
  step.note(path);
  Socket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return ConnectError{failure_of(errno), what + ": " + explain(errno)};
  // A full queue says EAGAIN, and there is nothing to wait on: a moment later it may have room.
  while (::connect(socket.fd(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    if (errno != EAGAIN && errno != EINTR)
      return ConnectError{failure_of(errno), what + ": " + explain(errno)};
    if (call.deadline.expired())
      return ConnectError{ConnectFailure::Timeout, what + ": timed out, its queue is full"};
    ::poll(nullptr, 0, 10);
  }
  int flags = fcntl(socket.fd(), F_GETFL);
  if (flags < 0 || fcntl(socket.fd(), F_SETFL, flags & ~O_NONBLOCK) != 0)
    return ConnectError{ConnectFailure::Resources, what + ": " + explain(errno)};
  return socket;
}

}  // namespace davy::net
