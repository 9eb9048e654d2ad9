#include "lab/dns_server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include <stdexcept>

namespace davy::lab {
namespace {

std::string word(int value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value)};
}

/// RFC 1035, section 4: head, the question again, and an A record each.
std::string message(std::string_view question, const DnsServer::Answer& answer) {
  constexpr std::size_t kHead = 12;
  std::size_t end = kHead;
  while (end < question.size() && question[end] != 0)
    end += 1 + static_cast<unsigned char>(question[end]);
  std::string asked(question.substr(kHead, end + 5 - kHead));  // name, its end, type, class
  bool is_a = asked.size() >= 4 && asked[asked.size() - 3] == 1;
  std::size_t count = is_a ? answer.records.size() : 0;
  std::string out(question.substr(0, 2));
  if (answer.has_wrong_id) out[0] = static_cast<char>(~out[0]);
  out += word(0x8180 | answer.rcode) + word(1) + word(static_cast<int>(count)) + word(0) + word(0) +
         asked;
  for (std::size_t i = 0; i < count; ++i) {
    in_addr address{};
    inet_pton(AF_INET, answer.records[i].c_str(), &address);
    out += word(0xC00C) + word(1) + word(1) + word(0) + word(1) + word(4) +
           std::string(reinterpret_cast<const char*>(&address), 4);
  }
  return out;
}

}  // namespace

DnsServer::DnsServer(Answer answer, const std::string& address, int port)
    : answer_(std::move(answer)), socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<std::uint16_t>(port));
  inet_pton(AF_INET, address.c_str(), &at.sin_addr);
  socklen_t size = sizeof at;
  if (bind(socket_.fd(), reinterpret_cast<sockaddr*>(&at), size) != 0 ||
      getsockname(socket_.fd(), reinterpret_cast<sockaddr*>(&at), &size) != 0) {
    throw std::runtime_error("cannot listen for DNS on " + address);
  }
  port_ = ntohs(at.sin_port);
  thread_ = std::thread([this] { serve(); });
}

DnsServer::~DnsServer() {
  stopping_ = true;
  thread_.join();
}

void DnsServer::serve() {
  while (!stopping_) {
    pollfd one{socket_.fd(), POLLIN, 0};
    if (poll(&one, 1, 20) <= 0) continue;
    char bytes[512];
    sockaddr_in from{};
    socklen_t size = sizeof from;
    ssize_t n =
        recvfrom(socket_.fd(), bytes, sizeof bytes, 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (n < 12) continue;
    ++questions_;
    Answer answer = *answer_.lock();
    if (answer.is_silent) continue;
    if (answer.late.count() > 0) std::this_thread::sleep_for(answer.late);
    std::string out = answer.garbage.empty() ? message({bytes, static_cast<std::size_t>(n)}, answer)
                                             : answer.garbage;
    sendto(socket_.fd(), out.data(), out.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
  }
}

}  // namespace davy::lab
