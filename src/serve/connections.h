// Connections: one thread that owns a listening socket and everything accepted from it.
//
// Why: cpp-httplib gives each connection a thread and lets a client that drips a byte a second keep
// it for ever; eight such clients and a health probe starves. Here no client holds a thread: bytes
// are gathered under absolute deadlines, and only a whole request is handed on.
// Threading: listen() and stop() from one thread; `answer` is called on the connections' thread and
// must not block (it reads the Board).
// Failure: a port that is taken is an Error. Too slow, too large, or framing that two parsers could
// read differently: refused with the right status, and closed. Too many connections, or no file
// descriptors left (but one, kept for this): the one that has waited longest without a whole
// request makes room.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "config/config.h"
#include "davy/result.h"
#include "davy/time.h"

namespace davy::serve {

struct ConnectionLimits {
  std::size_t connections = 512;  // further ones push out those that have waited longest
  std::size_t head_bytes = 16 * 1024;
  std::size_t body_bytes = 64 * 1024;
  Duration request = std::chrono::seconds(5);  // from its first byte to its last, however it drips
  Duration idle = std::chrono::seconds(15);    // between requests of a kept-alive connection
  Duration write = std::chrono::seconds(5);    // to take the whole answer
};

struct Reply {
  std::string bytes;  // the whole HTTP response
  bool close = true;
  Duration hold{0};  // kept back this long before it is sent; the thread serves others meanwhile
};

class Connections {
 public:
  using Answer =
      std::function<Reply(const std::string& request, const std::string& remote_address)>;

  /// `shed` is told of every connection closed or refused because there are too many.
  Connections(std::string name, ConnectionLimits limits, Answer answer, std::function<void()> shed);
  ~Connections();
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  /// Binds and serves. Port 0 takes a free one.
  Result<Done> listen(const config::Address& at);
  int port() const;
  /// Stops accepting, finishes answers being written for at most a second, closes everything.
  void stop();

 private:
  struct Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace davy::serve
