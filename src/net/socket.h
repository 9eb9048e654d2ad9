// Sockets: a TCP connection that is made within a deadline.
//
// Why: every client of ours (HTTP, Redis, plain TCP) connects in the same way: resolve once, try
// each address with a fair share of the time, say exactly what went wrong.
// Threading: a Socket belongs to one thread at a time; the functions are pure but block.
// Failure: a ConnectError whose text names the address. Only name resolution may overrun the
// deadline.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "base/descriptor.h"
#include "davy/call.h"
#include "davy/result.h"
#include "davy/time.h"

namespace davy::net {

using Socket = Descriptor;

struct Endpoint {
  std::string host;  // a name or a number, without brackets
  int port = 0;

  std::string text() const;  // "127.0.0.1:80", "[::1]:80"
};

/// "host:port", "[::1]:port".
Result<Endpoint> parse_endpoint(std::string_view text);

enum class ConnectFailure {
  Resolve,
  Refused,
  Timeout,
  Unreachable,
  Resources,  // our own limits (no descriptors left): says nothing about the peer
};
/// The stable word of an Outcome's reason.
std::string_view word(ConnectFailure failure);

struct ConnectError {
  ConnectFailure kind = ConnectFailure::Unreachable;
  std::string what;
};

/// Which of a name's addresses to use.
enum class AddressFamily { Any, V4, V6 };

/// A blocking socket with TCP_NODELAY. Tries the host's addresses in turn until one accepts.
std::variant<Socket, ConnectError> connect_tcp(const Endpoint& to, const Call& call,
                                               AddressFamily family = AddressFamily::Any);
/// The same to a socket of this machine, by its path.
std::variant<Socket, ConnectError> connect_unix(const std::string& path, const Call& call);

}  // namespace davy::net
