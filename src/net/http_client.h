// HTTP client: one GET (or POST) with one absolute deadline for all of it.
//
// Why: cpp-httplib's timeouts are per read; here connect, TLS, head and body share one deadline,
// and the body has a size limit, packed and unpacked. What is not whole is no answer.
// The only file with httplib's client in it is http_client.cpp.
// Threading: a Client belongs to one thread at a time; it keeps its connection between calls.
// Failure: everything is an Error whose text names the address; nothing is thrown.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "davy/call.h"
#include "davy/result.h"
#include "davy/time.h"
#include "net/socket.h"
#include "net/tls.h"

namespace davy::net {

/// "http://host:8080/path?query", taken apart. Only http and https; IPv6 in brackets; no user info.
struct Url {
  std::string scheme;  // "http", "https"
  std::string host;    // without brackets
  int port = 80;
  std::string target;  // path and query, starts with '/'

  std::string origin() const;  // "http://host:port"
};
/// The error repeats the text unless it may hold a password.
Result<Url> parse_url(std::string_view text);

struct HttpResponse {
  int status = 0;
  std::string body;
  std::string content_type;
  std::vector<std::pair<std::string, std::string>> headers;  // as they came
};

struct HttpRequest {
  std::string method = "GET";
  std::string target = "/";
  std::vector<std::pair<std::string, std::string>> headers{};
  std::string body{};
  /// Takes the answer's body, unpacked, as it comes: a large one is then never held as a whole.
  /// `head` has everything but the body, which stays empty in the response as well. False = no
  /// more: an error. What was taken of a body that turns out to be cut or too large is to be
  /// forgotten.
  std::function<bool(const HttpResponse& head, std::string_view piece)> on_body{};
};

struct HttpOptions {
  std::size_t max_body = 1 << 20;  // bytes, unpacked; more is an Error
  TlsSettings tls{};               // for https
  // One that several clients share, made of the same settings; null = each makes its own.
  std::shared_ptr<const TlsContext> tls_context{};
  std::string server_name{};  // that the certificate must hold; "" = the URL's host
  std::string connect_to{};   // IP address to use instead of resolving the host; "" = resolve
  std::string unix_path{};    // a socket of this machine to use instead; "" = TCP
  AddressFamily family = AddressFamily::Any;
};

/// Why a call failed: lets a probe give a stable reason.
enum class HttpFailure { Resolve, Connect, Unreachable, Timeout, Tls, TooLarge, Protocol };
struct HttpError {
  HttpFailure kind = HttpFailure::Protocol;
  std::string what;
  bool ours = false;  // we had no descriptors left: says nothing about the peer
};

class HttpClient {
 public:
  HttpClient(Url origin, HttpOptions options);
  ~HttpClient();
  HttpClient(HttpClient&&) noexcept;
  HttpClient& operator=(HttpClient&&) noexcept;

  /// Redirects are answers, not followed. The connection is kept for the next call unless the
  /// request has the header `Connection: close`.
  std::variant<HttpResponse, HttpError> call(const HttpRequest& request, const Call& call);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace davy::net
