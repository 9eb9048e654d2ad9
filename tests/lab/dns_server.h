// A small name server on a loopback port: real UDP, answers as a test wants.
//
// Threading: one thread of its own answers. The behaviour may be changed while it runs.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/guarded.h"
#include "net/socket.h"

namespace davy::lab {

class DnsServer {
 public:
  struct Answer {
    int rcode = 0;                     // 0 good, 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED
    std::vector<std::string> records;  // IPv4 addresses
    bool is_silent = false;
    std::chrono::milliseconds late{0};
    std::string garbage;  // sent instead, as it is
    bool has_wrong_id = false;
  };

  /// `address` to listen at; port 0 = any free one. Throws when it cannot.
  explicit DnsServer(Answer answer, const std::string& address = "127.0.0.1", int port = 0);
  ~DnsServer();
  DnsServer(const DnsServer&) = delete;
  DnsServer& operator=(const DnsServer&) = delete;

  int port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  void answer_from_now_on(Answer answer) { *answer_.lock() = std::move(answer); }
  int questions() const { return questions_; }

 private:
  void serve();

  Guarded<Answer> answer_;
  net::Socket socket_;
  int port_ = 0;
  std::atomic<int> questions_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace davy::lab
