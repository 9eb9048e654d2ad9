#include "lab/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <stdexcept>

namespace davy::lab {

bool Connection::wait_for(short events) const {
  pollfd both[] = {{stop_, POLLIN, 0}, {fd_, events, 0}};
  ::poll(both, 2, -1);
  return both[0].revents == 0;
}

bool Connection::send(std::string_view bytes) const {
  while (!bytes.empty()) {
    if (!wait_for(POLLOUT)) return false;
    ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

std::string Connection::receive() const {
  char buffer[4096];
  if (!wait_for(POLLIN)) return "";
  ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
  return n > 0 ? std::string(buffer, static_cast<std::size_t>(n)) : "";
}

std::string Connection::receive_until(std::string_view end) const {
  std::string all;
  while (all.find(end) == std::string::npos) {
    std::string more = receive();
    if (more.empty()) return "";
    all += more;
  }
  return all;
}

bool Connection::pause(std::chrono::milliseconds time) const {
  pollfd stop{stop_, POLLIN, 0};
  return ::poll(&stop, 1, static_cast<int>(time.count())) == 0;
}

void Connection::hang() const {
  pollfd stop{stop_, POLLIN, 0};
  ::poll(&stop, 1, -1);
}

void Connection::reset_on_close() const {
  linger now{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

void Connection::shut_writing() const {
  ::shutdown(fd_, SHUT_WR);
}

void Connection::relay(int other, const std::function<void(std::string_view)>& from_other) const {
  char buffer[4096];
  while (true) {
    pollfd all[] = {{stop_, POLLIN, 0}, {fd_, POLLIN, 0}, {other, POLLIN, 0}};
    ::poll(all, 3, -1);
    if (all[0].revents != 0) return;
    if (all[1].revents != 0) {
      ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
      if (n <= 0 || ::send(other, buffer, static_cast<std::size_t>(n), MSG_NOSIGNAL) != n) return;
    }
    if (all[2].revents != 0) {
      ssize_t n = ::recv(other, buffer, sizeof buffer, 0);
      if (n <= 0) return;
      from_other({buffer, static_cast<std::size_t>(n)});
    }
  }
}

Server::Server(Behaviour behaviour)
    : behaviour_(std::move(behaviour)),
      listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)),
      stop_(::eventfd(0, EFD_CLOEXEC)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  listen_at(&address, sizeof address);
  socklen_t size = sizeof address;
  ::getsockname(listener_.fd(), reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
}

Server::Server(Behaviour behaviour, const std::string& path)
    : behaviour_(std::move(behaviour)),
      listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)),
      stop_(::eventfd(0, EFD_CLOEXEC)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  listen_at(&address, sizeof address);
}

void Server::listen_at(const void* address, std::size_t size) {
  if (::bind(listener_.fd(), static_cast<const sockaddr*>(address), static_cast<socklen_t>(size)) !=
          0 ||
      ::listen(listener_.fd(), 256) != 0) {
    throw std::runtime_error("the lab server cannot listen");
  }
  accepting_ = std::thread([this] { accept_all(); });
}

Server::~Server() {
  eventfd_write(stop_.fd(), 1);
  accepting_.join();
  for (std::thread& thread : serving_) thread.join();
}

void Server::accept_all() {
  while (true) {
    pollfd both[] = {{stop_.fd(), POLLIN, 0}, {listener_.fd(), POLLIN, 0}};
    ::poll(both, 2, -1);
    if (both[0].revents != 0) return;
    int fd = ::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ++connections_;
    serving_.emplace_back([this, fd] {
      net::Socket owner(fd);
      behaviour_(Connection(fd, stop_.fd()));
    });
  }
}

Behaviour relay_to(int port, Deliver deliver) {
  if (!deliver) deliver = [](const Connection& client, std::string_view b) { client.send(b); };
  return [=](const Connection& client) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    net::Socket server(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(server.fd(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return;
    client.relay(server.fd(), [&](std::string_view bytes) { deliver(client, bytes); });
  };
}

Behaviour mute() {
  return [](const Connection& peer) { peer.hang(); };
}

Behaviour drip(std::string head, int per_second) {
  return [=](const Connection& peer) {
    peer.receive();
    if (!peer.send(head)) return;
    while (peer.pause(std::chrono::milliseconds(1000 / per_second)) && peer.send("x")) {
    }
  };
}

Behaviour reset() {
  return [](const Connection& peer) {
    peer.receive();
    peer.reset_on_close();
  };
}

Behaviour reset_on_accept() {
  return [](const Connection& peer) { peer.reset_on_close(); };
}

Behaviour half_close(std::string text) {
  return [=](const Connection& peer) {
    peer.receive();
    peer.send(text);
    peer.shut_writing();
    peer.hang();
  };
}

Behaviour http(int status, std::string body,
               std::vector<std::pair<std::string, std::string>> headers) {
  std::string answer = "HTTP/1.1 " + std::to_string(status) + " Lab\r\n";
  for (const auto& [name, value] : headers) answer += name + ": " + value + "\r\n";
  answer += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  return [=](const Connection& peer) {
    while (true) {
      std::string request = peer.receive_until("\r\n\r\n");
      bool is_head = request.rfind("HEAD ", 0) == 0;
      if (request.empty() || !peer.send(is_head ? answer : answer + body)) return;
    }
  };
}

Behaviour raw(std::string bytes) {
  return [=](const Connection& peer) {
    peer.receive();
    peer.send(bytes);
  };
}

Behaviour byte_at_a_time(std::string bytes) {
  return [=](const Connection& peer) {
    peer.receive();
    for (char byte : bytes) {
      if (!peer.send(std::string_view(&byte, 1))) return;
    }
    peer.hang();
  };
}

Behaviour huge(std::string head) {
  return [=](const Connection& peer) {
    peer.receive();
    const std::string zeros(64 * 1024, '0');
    for (bool taken = peer.send(head); taken;) taken = peer.send(zeros);
  };
}

Behaviour banner(std::string text) {
  return [=](const Connection& peer) {
    peer.send(text);
    while (!peer.receive().empty()) {
    }
  };
}

}  // namespace davy::lab
