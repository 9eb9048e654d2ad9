// gRPC: one unary call with one absolute deadline.
//
// Why: the standard health service (grpc.health.v1) is one call with one short message each way.
// nghttp2 speaks HTTP/2 (RFC 9113) for that; grpc++ would bring 25 MB. The only file with nghttp2.
// Threading: a call belongs to one thread; nothing is kept between calls.
// Failure: a CallError that says how far it came; nothing is thrown.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "davy/call.h"
#include "net/socket.h"
#include "net/tls.h"

namespace davy::net {

struct GrpcRequest {
  std::string method;     // "/grpc.health.v1.Health/Check"
  std::string message;    // protobuf bytes
  std::string authority;  // "host:port"
};

struct GrpcAnswer {
  int status = -1;      // grpc-status; -1 = the peer did not say
  std::string said;     // grpc-message
  int http_status = 0;  // 200 from whatever speaks gRPC
  std::string message;  // protobuf bytes; "" when there is none
};

struct GrpcError {
  enum class Kind { Connect, Timeout, Tls, Protocol } kind = Kind::Protocol;
  std::string what;
  ConnectFailure connect = ConnectFailure::Unreachable;  // of Connect
};

/// `tls` = null for plain HTTP/2 with prior knowledge. `name` = that the certificate must hold.
std::variant<GrpcAnswer, GrpcError> call_grpc(const Endpoint& to, const TlsContext* tls,
                                              const std::string& name, const GrpcRequest& request,
                                              const Call& call);

}  // namespace davy::net
