#include "lab/name_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace davy::lab {
namespace {

constexpr std::size_t kHead = 12;
constexpr int kNoError = 0;
constexpr int kServerFailure = 2;
constexpr int kNameError = 3;

/// Where the question ends: its name, type and class (RFC 1035 section 4.1.2).
std::size_t end_of_question(const std::string& message) {
  std::size_t at = kHead;
  while (at < message.size() && message[at] != '\0')
    at += 1 + static_cast<unsigned char>(message[at]);
  return at + 5;
}

}  // namespace

NameServer::NameServer() : socket_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in here{};
  here.sin_family = AF_INET;
  here.sin_port = htons(53);
  here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(socket_.fd(), reinterpret_cast<sockaddr*>(&here), sizeof here) != 0)
    throw std::runtime_error("port 53: " + std::system_category().message(errno));
  thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
}

NameServer::~NameServer() = default;

void NameServer::become(Mode mode, const std::string& address, Duration delay) {
  std::lock_guard<std::mutex> lock(mutex_);
  mode_ = mode;
  address_ = address;
  delay_ = delay;
}

void NameServer::serve(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    pollfd waiting{socket_.fd(), POLLIN, 0};
    if (poll(&waiting, 1, 50) <= 0) continue;
    char buffer[512];
    sockaddr_in from{};
    socklen_t size = sizeof from;
    ssize_t n =
        recvfrom(socket_.fd(), buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (n < static_cast<ssize_t>(kHead)) continue;
    ++asked_;
    std::unique_lock<std::mutex> lock(mutex_);
    if (mode_ == Mode::Silent) continue;
    std::string reply = answer(std::string(buffer, static_cast<std::size_t>(n)));
    Duration delay = delay_;
    lock.unlock();
    std::this_thread::sleep_for(delay);
    sendto(socket_.fd(), reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
  }
}

/// The question with its answer behind it.
std::string NameServer::answer(std::string message) const {
  std::size_t end = end_of_question(message);
  if (end > message.size()) return message;
  bool is_for_ipv4 = message[end - 3] == 1;
  bool has_answer = mode_ == Mode::Address && is_for_ipv4;
  int code = mode_ == Mode::NoSuchName ? kNameError
             : mode_ == Mode::Failure  ? kServerFailure
                                       : kNoError;
  message.resize(end);
  message[2] = static_cast<char>(0x81);
  message[3] = static_cast<char>(0x80 | code);
  message.replace(4, 8,
                  std::string("\0\1\0", 3) + (has_answer ? '\1' : '\0') + std::string(4, '\0'));
  if (!has_answer) return message;
  in_addr number{};
  inet_pton(AF_INET, address_.c_str(), &number);
  message += std::string("\xC0\x0C\0\1\0\1\0\0\0\0\0\4", 12);  // the name above, A, IN, ttl 0
  message.append(reinterpret_cast<const char*>(&number), sizeof number);
  return message;
}

}  // namespace davy::lab
