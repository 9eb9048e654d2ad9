// A target of a scrape, over a real socket: it answers by what it was asked, and remembers that.
//
// Threading: thread-safe; `answer` is called from the connections' threads.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/guarded.h"
#include "lab/server.h"

namespace davy::lab {

/// An answer with a body.
inline std::string answer_of(int status, const std::string& body, const std::string& headers = "") {
  return "HTTP/1.1 " + std::to_string(status) + " Lab\r\nContent-Type: text/plain\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

/// Series `n` that counts requests and errors.
inline std::string page_of(int ok, int bad) {
  return "n{code=\"200\"} " + std::to_string(ok) + "\nn{code=\"500\"} " + std::to_string(bad) +
         "\n";
}

class Scraped {
 public:
  /// The bytes to send back for a request's head.
  using Answer = std::function<std::string(const std::string& head)>;

  explicit Scraped(Answer answer)
      : answer_(std::move(answer)), server_([this](const Connection& c) { serve(c); }) {}
  /// Shows what count() said last.
  Scraped() : Scraped([this](const std::string&) { return answer_of(200, *page_.lock()); }) {}
  /// The same on a Unix socket.
  explicit Scraped(const std::string& unix_path)
      : answer_([this](const std::string&) { return answer_of(200, *page_.lock()); }),
        server_([this](const Connection& c) { serve(c); }, unix_path) {}

  void count(int ok, int bad) { *page_.lock() = page_of(ok, bad); }
  std::string page() { return *page_.lock(); }

  /// The heads of all requests so far.
  std::vector<std::string> requests() { return *requests_.lock(); }
  std::string url(const std::string& target = "/metrics") const { return server_.url(target); }
  std::string address() const { return server_.address(); }
  int connections() const { return server_.connections(); }

 private:
  void serve(const Connection& c) {
    while (true) {
      std::string head = c.receive_until("\r\n\r\n");
      if (head.empty()) return;
      requests_.lock()->push_back(head);
      if (!c.send(answer_(head))) return;
    }
  }

  Guarded<std::string> page_;
  Guarded<std::vector<std::string>> requests_;
  Answer answer_;
  Server server_;
};

}  // namespace davy::lab
