// Front: an HTTP/1.1 listener. cpp-httplib parses and frames, Connections owns the sockets.
//
// Why: the library's parser and response writer are good; its sockets and threads starve. This is
// the only file of the server side that knows the library.
// Threading: start() and stop() from one thread. The handler runs on the listener's one thread and
// must not block.
// Failure: a port that is taken is an Error; a handler that throws answers 500 without its text.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "davy/result.h"
#include "serve/connections.h"
#include "serve/http.h"

namespace davy::serve {

class Front {
 public:
  /// `name` = what logs, metrics and the thread are called. `shed` as in Connections.
  Front(const std::string& name, ConnectionLimits limits, Handler handler,
        std::function<void()> shed);
  ~Front();
  Front(const Front&) = delete;
  Front& operator=(const Front&) = delete;

  Result<Done> start(const config::Address& at) { return connections_.listen(at); }
  int port() const { return connections_.port(); }
  void stop() { connections_.stop(); }

 private:
  class Parser;
  std::unique_ptr<Parser> parser_;
  Connections connections_;
};

}  // namespace davy::serve
