#include "net/grpc_call.h"

#include <fmt/format.h>
#include <nghttp2/nghttp2.h>

#include <charconv>
#include <cstring>

#include "base/text.h"
#include "base/units.h"
#include "net/means.h"

namespace davy::net {
namespace {

constexpr std::size_t kLargestMessage = 64 * 1024;

/// Five bytes go before every message: not compressed, and its length (gRPC over HTTP/2,
/// "Length-Prefixed-Message").
std::string framed(const std::string& message) {
  auto size = static_cast<std::uint32_t>(message.size());
  std::string out(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(size >> shift);
  return out + message;
}

/// One exchange: what nghttp2's callbacks read and write.
struct Exchange {
  std::string to_send;
  std::size_t sent = 0;
  GrpcAnswer answer;
  std::string body;
  bool is_closed = false;
  std::uint32_t reset_code = 0;
};

Exchange& of(void* user) {
  return *static_cast<Exchange*>(user);
}

int on_header(nghttp2_session*, const nghttp2_frame*, const std::uint8_t* name,
              std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
              std::uint8_t, void* user) {
  std::string_view key(reinterpret_cast<const char*>(name), name_size);
  std::string_view text(reinterpret_cast<const char*>(value), value_size);
  GrpcAnswer& answer = of(user).answer;
  if (key == ":status") std::from_chars(text.data(), text.data() + text.size(), answer.http_status);
  if (key == "grpc-status") std::from_chars(text.data(), text.data() + text.size(), answer.status);
  if (key == "grpc-message") answer.said = text;
  return 0;
}

int on_data(nghttp2_session*, std::uint8_t, std::int32_t, const std::uint8_t* bytes,
            std::size_t size, void* user) {
  std::string& body = of(user).body;
  if (body.size() + size > kLargestMessage) return NGHTTP2_ERR_CALLBACK_FAILURE;
  body.append(reinterpret_cast<const char*>(bytes), size);
  return 0;
}

int on_close(nghttp2_session*, std::int32_t, std::uint32_t code, void* user) {
  of(user).is_closed = true;
  of(user).reset_code = code;
  return 0;
}

ssize_t give_body(nghttp2_session*, std::int32_t, std::uint8_t* to, std::size_t size,
                  std::uint32_t* flags, nghttp2_data_source* source, void*) {
  auto& exchange = *static_cast<Exchange*>(source->ptr);
  std::size_t n = exchange.to_send.copy(reinterpret_cast<char*>(to), size, exchange.sent);
  exchange.sent += n;
  if (exchange.sent == exchange.to_send.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return static_cast<ssize_t>(n);
}

using Session = std::unique_ptr<nghttp2_session, decltype(&nghttp2_session_del)>;

Session open_session(Exchange& exchange) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
  nghttp2_session* session = nullptr;
  nghttp2_session_client_new(&session, callbacks, &exchange);
  nghttp2_session_callbacks_del(callbacks);
  return Session(session, &nghttp2_session_del);
}

nghttp2_nv pair(std::string_view name, std::string_view value) {
  auto bytes = [](std::string_view s) {
    return reinterpret_cast<std::uint8_t*>(const_cast<char*>(s.data()));
  };
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

void submit(nghttp2_session* session, const GrpcRequest& request, bool is_tls, Duration left,
            Exchange& exchange) {
  std::string timeout =
      fmt::format("{}m", std::chrono::duration_cast<std::chrono::milliseconds>(left).count());
  const nghttp2_nv headers[] = {pair(":method", "POST"),
                                pair(":scheme", is_tls ? "https" : "http"),
                                pair(":path", request.method),
                                pair(":authority", request.authority),
                                pair("content-type", "application/grpc"),
                                pair("te", "trailers"),
                                pair("user-agent", "davy/" DAVY_VERSION),
                                pair("grpc-timeout", timeout)};
  exchange.to_send = framed(request.message);
  nghttp2_data_provider body{};
  body.source.ptr = &exchange;
  body.read_callback = give_body;
  nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, nullptr, 0);
  nghttp2_submit_request(session, nullptr, headers, std::size(headers), &body, nullptr);
}

/// Sends what nghttp2 wants to send. False when the connection broke.
bool flush(nghttp2_session* session, ByteStream& stream) {
  while (true) {
    const std::uint8_t* bytes = nullptr;
    ssize_t size = nghttp2_session_mem_send(session, &bytes);
    if (size < 0) return false;
    if (size == 0) return true;
    std::string_view rest(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
    while (!rest.empty()) {
      ssize_t n = stream.write(rest.data(), rest.size());
      if (n <= 0) return false;
      rest.remove_prefix(static_cast<std::size_t>(n));
    }
  }
}

/// What went wrong, "" when the stream has come to its end.
std::string converse(nghttp2_session* session, ByteStream& stream, const Exchange& exchange) {
  char buffer[4096];
  while (!exchange.is_closed) {
    if (!flush(session, stream)) return "the connection broke while asking";
    if (exchange.is_closed) break;
    if (nghttp2_session_want_read(session) == 0) return "what came back is not HTTP/2 as expected";
    ssize_t n = stream.read(buffer, sizeof buffer);
    if (n == 0) return "the peer closed the connection without an answer";
    if (n < 0) return "the connection broke";
    ssize_t taken = nghttp2_session_mem_recv(session, reinterpret_cast<std::uint8_t*>(buffer),
                                             static_cast<std::size_t>(n));
    if (taken < 0) {
      return fmt::format("what came back is not HTTP/2 as expected: {}",
                         nghttp2_strerror(static_cast<int>(taken)));
    }
  }
  if (exchange.reset_code != NGHTTP2_NO_ERROR)
    return fmt::format("the peer reset the stream: {}",
                       nghttp2_http2_strerror(exchange.reset_code));
  return "";
}

}  // namespace

std::variant<GrpcAnswer, GrpcError> call_grpc(const Endpoint& to, const TlsContext* tls,
                                              const std::string& name, const GrpcRequest& request,
                                              const Call& call) {
  std::variant<Socket, ConnectError> made = connect_tcp(to, call);
  if (const auto* error = std::get_if<ConnectError>(&made)) {
    bool is_late = error->kind == ConnectFailure::Timeout;
    return GrpcError{is_late ? GrpcError::Kind::Timeout : GrpcError::Kind::Connect, error->what,
                     error->kind};
  }
  const Socket& socket = std::get<Socket>(made);
  Watchdog::Guard guard(call.net.watchdog, call.deadline, socket.fd());
  auto late = [&](const std::string& what) {
    return GrpcError{GrpcError::Kind::Timeout, to.text() + ": timed out, " + what};
  };

  std::unique_ptr<ByteStream> stream;
  if (tls != nullptr) {
    Step step(call, "tls");
    Result<std::unique_ptr<TlsSession>> made_tls = tls->handshake(socket.fd(), name);
    if (!made_tls && guard.fired()) return late("in the TLS handshake");
    if (!made_tls) return GrpcError{GrpcError::Kind::Tls, to.text() + ": " + made_tls.error().what};
    stream = std::move(*made_tls);
  } else {
    stream = plain_stream(socket.fd());
  }

  Step step(call, "call");
  step.note(request.method);
  Exchange exchange;
  Session session = open_session(exchange);
  if (!session) return GrpcError{GrpcError::Kind::Protocol, "out of memory"};
  submit(session.get(), request, tls != nullptr, call.deadline.left(), exchange);
  std::string trouble = converse(session.get(), *stream, exchange);
  if (!trouble.empty() && guard.fired()) return late("with no complete answer");
  if (!trouble.empty()) return GrpcError{GrpcError::Kind::Protocol, to.text() + ": " + trouble};
  constexpr std::size_t kPrefix = 5;
  if (exchange.body.size() >= kPrefix) exchange.answer.message = exchange.body.substr(kPrefix);
  return exchange.answer;
}

}  // namespace davy::net
