// TLS: a client's session over a connected socket.
//
// Why: httplib's own TLS client cannot be bounded (its handshake ignores a deadline, and from 0.18
// on the class is final). Blocking calls end when a guard shuts the socket.
// Threading: a context and its sessions belong to one thread at a time.
// Failure: an Error that says what was not trusted; nothing is thrown.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <string>

#include "davy/result.h"

namespace davy::net {

class TlsSession {
 public:
  virtual ~TlsSession() = default;
  /// As read(2): 0 only when the peer closed properly, so that a body cut short is seen as such.
  virtual ssize_t read(char* to, std::size_t size) = 0;
  virtual ssize_t write(const char* from, std::size_t size) = 0;
};

class TlsContext {
 public:
  /// With `verify`, peers must show a certificate for their name that the system's authorities
  /// signed. Reading those takes tens of milliseconds: keep the context.
  explicit TlsContext(bool verify);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  /// `fd` must outlive the session and stays its owner's. `host` is a name or an IP address.
  Result<std::unique_ptr<TlsSession>> handshake(int fd, const std::string& host) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace davy::net
