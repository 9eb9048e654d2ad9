// cpp-httplib speaks HTTP here; the socket and the bodies are ours. Two of its virtual functions
// are overridden:
//
//   create_and_connect_socket: connects with net/socket and net/tls (exact errors, several
//   addresses),
//     under a guard on a second descriptor of the connection: it may fire at any moment without
//     touching a descriptor that the library has closed. TLS runs on that descriptor, so the
//     library believes the connection to be plain.
//   process_socket: gives the library a Stream that bounds what a peer can make us read. Its own
//     would take a head of any length, and its std::regex for the status line overflows the stack
//     on a long one (httplib 0.11).
//
// When the head has been read, the library asks whether to go on: that is where we read the body,
// straight off the Stream's buffer (http_body.h). Its own way takes cut and damaged bodies for
// whole ones, and copies them in pieces of 4 KiB. Afterwards the Stream shows it a body of the
// shape that the head promised, so that it knows where the connection stands.
//
// Works with httplib 0.11 (Debian 12) and 0.18 (Debian 13); a change of the two shows when
// compiling.

#include "net/http_client.h"

#include <httplib.h>

#include <fmt/format.h>
#include <algorithm>
#include <cerrno>
#include <exception>
#include <optional>

#include "base/text.h"
#include "base/units.h"
#include "net/http_body.h"
#include "net/means.h"
#include "net/socket.h"
#include "net/tls.h"
#include "net/uri.h"

namespace davy::net {
namespace {

constexpr std::size_t kMaxStatusLine = 1024;
constexpr std::size_t kMaxHead = 64 * 1024;
constexpr std::size_t kShown = 60;  // bytes of a wrong answer that a message repeats

/// One request and its answer, seen from the wire.
struct Exchange {
  const HttpRequest& request;
  const Call& call;
  std::size_t max_body;
  bool fresh = false;        // the connection was made for this request
  bool in_body = false;      // the head has been read
  HttpResponse head{};       // and what it said; with the body, unless that is handed on
  std::size_t received = 0;  // bytes of the wire
  bool status_line_seen = false;
  std::string first{};          // the first bytes, for messages
  std::size_t body_size = 0;    // as far as it has come
  bool is_body_broken = false;  // `trouble` says how
  std::string trouble{};        // what is wrong with the answer; "" = nothing, or httplib knows
  bool is_too_large = false;    // that is it
  bool must_close = false;      // the connection is of no more use
  std::optional<ConnectError> connect_error{};
  std::string tls_error{};
  Time asked{};  // when the question was sent; only while somebody looks
  Time first_byte{};
};

/// Where a connection's bytes are received. It begins small, for the many answers that are, and
/// grows as long as they fill it.
class Buffer {
 public:
  char* data() { return bytes_.get(); }
  std::size_t size() const { return size_; }
  void make_room(bool was_filled) {
    constexpr std::size_t kLeast = 16 * 1024;
    constexpr std::size_t kMost = 128 * 1024;
    std::size_t wanted = std::clamp(was_filled ? 2 * size_ : size_, kLeast, kMost);
    if (wanted == size_) return;
    bytes_.reset(new char[wanted]);  // not make_unique, which would write zeros
    size_ = wanted;
  }
  void drop() {
    bytes_.reset();
    size_ = 0;
  }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t size_ = 0;
};

class BoundedStream;

/// What outlives an exchange: the connection's second descriptor, its TLS, its guard and its
/// buffer.
struct Wire {
  Endpoint to;
  std::string name;  // that the certificate must hold
  std::string unix_path;
  AddressFamily family = AddressFamily::Any;
  std::shared_ptr<const TlsContext> tls_context;  // null = plain
  Exchange* now = nullptr;
  BoundedStream* stream = nullptr;  // of the exchange
  Socket second;
  std::unique_ptr<TlsSession> tls;  // over `second`
  Buffer buffer;
  std::optional<Watchdog::Guard> guard;

  void watch() { guard.emplace(now->call.net.watchdog, now->call.deadline, second.fd()); }
  void drop() {
    guard.reset();
    tls.reset();
    second = Socket();
    buffer.drop();
  }
};

/// The bytes of one exchange, counted. Blocking reads end when the wire's guard shuts the socket.
/// No `override`: which of these are virtual depends on the version.
class BoundedStream final : public httplib::Stream {
 public:
  BoundedStream(int fd, Wire& wire) : fd_(fd), wire_(wire), now_(*wire.now) {}

  bool is_readable() const { return true; }
  bool is_writable() const { return true; }
  void get_remote_ip_and_port(std::string&, int&) const {}
  void get_local_ip_and_port(std::string&, int&) const {}
  int socket() const { return fd_; }

  ssize_t read(char* to, std::size_t size) {
    if (is_body_read_) return show(to, size);
    if (bytes_.empty() && !fill()) return filled_;
    std::size_t n = std::min(size, bytes_.size());
    std::copy_n(bytes_.data(), n, to);
    bytes_.remove_prefix(n);
    return static_cast<ssize_t>(n);
  }

  ssize_t write(const char* from, std::size_t size) {
    if (wire_.tls != nullptr) return wire_.tls->write(from, size);
    ssize_t n;
    do n = ::send(fd_, from, size, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n;
  }

  bool has_leftover() const { return !bytes_.empty(); }

  /// Reads the body behind the head that has been read, which the library understood as `said`.
  /// False when it is no use.
  bool read_body(const httplib::Response& said) {
    HttpBody body(now_.head.status, now_.head.headers, now_.max_body);
    auto out = [&](std::string_view piece) { return hand_on(piece); };
    while (!body.is_over()) {
      if (bytes_.empty() && !fill()) {
        // An end that is not the peer's (0) leaves the body unfinished, whatever its framing.
        if (filled_ < 0) break;
        body.end();
        break;
      }
      body.feed(bytes_, out);
    }
    now_.body_size = body.size();
    now_.is_too_large |= body.failure() == HttpBody::Failure::TooLarge;
    bool is_whole = body.is_over() && body.failure() == HttpBody::Failure::None;
    now_.is_body_broken = !is_whole;
    if (now_.trouble.empty()) now_.trouble = is_whole ? "" : trouble_of(body);
    now_.must_close = body.ends_with_connection();
    is_body_read_ = true;
    bool is_chunked =
        text::equals_ignoring_case(said.get_header_value("Transfer-Encoding"), "chunked");
    end_shown_ = is_chunked ? "0\r\n\r\n" : "";
    is_padded_ = !is_chunked && said.has_header("Content-Length");
    return is_whole;
  }

 private:
  /// For httplib, which waits for a body: an empty one in chunks, as many bytes as it has been
  /// promised (their values are nobody's concern), or the connection's end.
  ssize_t show(char* to, std::size_t size) {
    if (is_padded_) return static_cast<ssize_t>(size);
    std::size_t n = std::min(size, end_shown_.size());
    std::copy_n(end_shown_.data(), n, to);
    end_shown_.remove_prefix(n);
    return static_cast<ssize_t>(n);
  }

  bool hand_on(std::string_view piece) {
    if (!now_.request.on_body) {
      now_.head.body.append(piece);
      return true;
    }
    return now_.request.on_body(now_.head, piece);
  }

  static std::string trouble_of(const HttpBody& body) {
    return body.trouble().empty() ? "ends early" : body.trouble();
  }

  bool fill() {
    if (now_.in_body && now_.call.deadline.expired()) {
      filled_ = -1;
      return false;
    }
    Buffer& buffer = wire_.buffer;
    buffer.make_room(filled_ == static_cast<ssize_t>(buffer.size()));
    filled_ = wire_.tls != nullptr ? wire_.tls->read(buffer.data(), buffer.size()) : receive();
    if (filled_ <= 0) return false;
    bytes_ = {buffer.data(), static_cast<std::size_t>(filled_)};
    if (now_.in_body || within_limits()) {
      now_.received += bytes_.size();
      return true;
    }
    bytes_ = {};
    filled_ = -1;
    return false;
  }

  ssize_t receive() {
    ssize_t n;
    do n = ::recv(fd_, wire_.buffer.data(), wire_.buffer.size(), 0);
    while (n < 0 && errno == EINTR);
    return n;
  }

  /// Of what comes before the body.
  bool within_limits() {
    if (now_.first.size() < kShown) now_.first += bytes_.substr(0, kShown - now_.first.size());
    if (now_.received == 0 && now_.call.trace != nullptr) now_.first_byte = machine_clock().now();
    if (!now_.status_line_seen) {
      std::size_t newline = bytes_.find('\n');
      now_.status_line_seen = newline != std::string_view::npos;
      if (now_.received + std::min(newline, bytes_.size()) > kMaxStatusLine) {
        refuse("the status line is longer than " + units::show_bytes(kMaxStatusLine));
        return false;
      }
    }
    // The body's first bytes may come along with the head's last ones.
    if (now_.received > kMaxHead) {
      refuse("the head is larger than " + units::show_bytes(kMaxHead));
      return false;
    }
    return true;
  }

  void refuse(std::string why) {
    now_.trouble = std::move(why);
    now_.is_too_large = true;
  }

  int fd_;
  Wire& wire_;
  Exchange& now_;
  std::string_view bytes_;  // received and not read yet
  ssize_t filled_ = 0;      // what the last fill brought: 0 = end, -1 = error or too much
  bool is_body_read_ = false;
  bool is_padded_ = false;
  std::string_view end_shown_;
};

class Connection final : public httplib::ClientImpl {
 public:
  Connection(const Url& origin, Wire& wire) : ClientImpl(origin.host, origin.port), wire_(wire) {}

 private:
  bool create_and_connect_socket(Socket& socket, httplib::Error& error) override {
    Exchange& now = *wire_.now;
    now.fresh = true;
    wire_.drop();
    error = httplib::Error::Connection;
    std::variant<net::Socket, ConnectError> made =
        wire_.unix_path.empty() ? connect_tcp(wire_.to, now.call, wire_.family)
                                : connect_unix(wire_.unix_path, now.call);
    if (const ConnectError* failed = std::get_if<ConnectError>(&made)) {
      now.connect_error = *failed;
      return false;
    }
    net::Socket& connected = std::get<net::Socket>(made);
    wire_.second = net::Socket::duplicate_of(connected.fd());
    if (!wire_.second) {
      now.connect_error = ConnectError{ConnectFailure::Resources,
                                       "connect to " + wire_.to.text() + ": no descriptors left"};
      return false;
    }
    wire_.watch();
    if (wire_.tls_context) {
      Step step(now.call, "tls");
      Result<std::unique_ptr<TlsSession>> tls =
          wire_.tls_context->handshake(wire_.second.fd(), wire_.name);
      if (!tls) {
        now.tls_error = tls.error().what;
        return false;
      }
      wire_.tls = std::move(*tls);
    }
    error = httplib::Error::Success;
    socket.sock = connected.release();
    return true;
  }

  bool process_socket(const Socket& socket,
                      std::function<bool(httplib::Stream&)> exchange) override {
    if (wire_.now->call.trace != nullptr) wire_.now->asked = machine_clock().now();
    BoundedStream stream(socket.sock, wire_);
    wire_.stream = &stream;
    bool ok = exchange(stream);
    // What is left over would be taken for the start of the next answer.
    wire_.now->must_close |= stream.has_leftover();
    wire_.stream = nullptr;
    return ok;
  }

  Wire& wire_;
};

bool asks_to_close(const HttpRequest& request) {
  return std::any_of(request.headers.begin(), request.headers.end(), [](const auto& header) {
    return header.first == "Connection" && header.second == "close";
  });
}

bool has_control_character(std::string_view s) {
  return std::any_of(s.begin(), s.end(), [](char c) {
    auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7F;
  });
}

}  // namespace

std::string Url::origin() const {
  return scheme + "://" + Endpoint{host, port}.text();
}

Result<Url> parse_url(std::string_view text) {
  // Not repeated when it may hold a password.
  std::string shown = text.find('@') == std::string_view::npos ? text::quoted(text) : "this";
  auto wrong = [&](const std::string& why) {
    return Error{shown + " is not a URL (try http://host:port/path): it " + why};
  };
  Result<Uri> uri = parse_uri(text);
  if (!uri) return wrong(uri.error().what);
  if (uri->scheme != "http" && uri->scheme != "https") {
    return wrong("starts with " + text::quoted(uri->scheme + "://") + ", not http:// or https://");
  }
  if (uri->user) return wrong("names a user before the @, which is not supported");
  if (uri->host.empty()) return wrong("names no host");
  if (uri->host.find_first_of(" /\\\"<>%\r\n\t") != std::string::npos) {
    return wrong("has a host with characters that no host name has");
  }

  int port = uri->port != 0 ? uri->port : uri->scheme == "https" ? 443 : 80;
  std::string target = uri->path.empty() ? "/" : uri->path;
  if (!uri->query.empty()) target += "?" + uri->query;
  return Url{uri->scheme, uri->host, port, target};
}

struct HttpClient::Impl {
  Impl(Url url, HttpOptions opts) : origin(std::move(url)), options(std::move(opts)) {
    wire.name = options.server_name.empty() ? origin.host : options.server_name;
    wire.unix_path = options.unix_path;
    wire.family = options.family;
    if (origin.scheme == "https") {
      wire.tls_context = options.tls_context != nullptr
                             ? options.tls_context
                             : std::make_shared<const TlsContext>(options.tls);
    }
    wire.to = Endpoint{options.connect_to.empty() ? origin.host : options.connect_to, origin.port};
  }

  std::variant<HttpResponse, HttpError> call(const HttpRequest& request, const Call& call) {
    for (const auto& [name, value] : request.headers) {
      if (has_control_character(name) || has_control_character(value)) {
        return HttpError{HttpFailure::Protocol,
                         "header " + text::quoted(name) + " holds a control character"};
      }
    }
    if (request.target.find(' ') != std::string::npos || has_control_character(request.target)) {
      return HttpError{HttpFailure::Protocol,
                       text::quoted(request.target) + " holds a space or a control character"};
    }

    bool is_repeatable = request.method == "GET" || request.method == "HEAD";
    while (true) {
      Exchange now{.request = request, .call = call, .max_body = options.max_body};
      bool was_kept = static_cast<bool>(wire.second);
      std::variant<HttpResponse, HttpError> answer = exchange(now);
      // A kept connection that the peer closed in the meantime says nothing about the peer.
      bool was_stale =
          was_kept && !now.fresh && now.received == 0 && is_repeatable && !call.deadline.expired();
      if (std::holds_alternative<HttpResponse>(answer) || !was_stale) return answer;
    }
  }

  std::variant<HttpResponse, HttpError> exchange(Exchange& now) {
    if (!client) start();
    wire.now = &now;
    if (wire.second) wire.watch();  // the kept connection; a new one replaces it
    httplib::Result result = client->send(translate(now));
    tell_phases(now);
    bool is_late = now.call.deadline.expired() || (wire.guard && wire.guard->fired());
    wire.guard.reset();
    wire.now = nullptr;

    // Late comes first: a body without a length looks complete when the guard ends it.
    if (result && !is_late && now.trouble.empty()) {
      if (!now.in_body) take_head(*result, now);  // an answer that cannot have a body
      // httplib waits for the server to say that it closes.
      if (asks_to_close(now.request) || now.must_close) forget();
      return std::move(now.head);
    }
    HttpError error = explain(now, is_late);
    forget();
    return error;
  }

  static void take_head(const httplib::Response& said, Exchange& now) {
    now.head.status = said.status;
    now.head.content_type = said.get_header_value("Content-Type");
    now.head.headers.assign(said.headers.begin(), said.headers.end());
  }

  static void tell_phases(const Exchange& now) {
    if (now.call.trace == nullptr || now.asked == Time{}) return;
    Time end = machine_clock().now();
    bool is_answered = now.first_byte != Time{};
    now.call.trace->add({"first byte", (is_answered ? now.first_byte : end) - now.asked,
                         is_answered ? "" : "none came"});
    if (is_answered)
      now.call.trace->add(
          {"rest", end - now.first_byte, units::show_bytes(static_cast<double>(now.received))});
  }

  void forget() {
    client.reset();
    wire.drop();
  }

  std::string host_header() const {
    bool is_usual = origin.port == (origin.scheme == "https" ? 443 : 80);
    std::string full = Endpoint{origin.host, origin.port}.text();
    return is_usual ? full.substr(0, full.rfind(':')) : full;
  }

  httplib::Request translate(Exchange& now) {
    const HttpRequest& request = now.request;
    httplib::Request out;
    out.method = request.method;
    out.path = request.target;
    out.body = request.body;
    for (const auto& [name, value] : request.headers) out.set_header(name, value);
    if (!out.has_header("Host")) out.set_header("Host", host_header());
    if (!out.has_header("Accept-Encoding")) out.set_header("Accept-Encoding", "gzip");
    if (!out.has_header("User-Agent")) out.set_header("User-Agent", "davy/" DAVY_VERSION);
    out.response_handler = [this, &now](const httplib::Response& said) {
      now.in_body = true;
      take_head(said, now);
      return wire.stream->read_body(said);
    };
    out.content_receiver = [](const char*, std::size_t, auto, auto) { return true; };
    return out;
  }

  HttpError explain(const Exchange& now, bool is_late) const {
    if (now.connect_error) {
      ConnectFailure kind = now.connect_error->kind;
      return HttpError{.kind = kind == ConnectFailure::Resolve       ? HttpFailure::Resolve
                               : kind == ConnectFailure::Timeout     ? HttpFailure::Timeout
                               : kind == ConnectFailure::Unreachable ? HttpFailure::Unreachable
                                                                     : HttpFailure::Connect,
                       .what = now.connect_error->what,
                       .ours = kind == ConnectFailure::Resources};
    }
    // Without the query, which may hold a token.
    std::string target = now.request.target.substr(0, now.request.target.find('?'));
    std::string what = fmt::format("{} {}{}: ", now.request.method, origin.origin(), target);
    std::string of_body = units::show_bytes(static_cast<double>(now.body_size));
    if (is_late) {
      std::string seen =
          now.received == 0 ? "no answer"
          : now.in_body     ? fmt::format("only status {} and {} of body", now.head.status, of_body)
                            : fmt::format("only {} of the head",
                                          units::show_bytes(static_cast<double>(now.received)));
      return HttpError{HttpFailure::Timeout, what + "timed out, with " + seen};
    }
    if (now.is_too_large) return HttpError{HttpFailure::TooLarge, what + now.trouble};
    if (!now.tls_error.empty()) return HttpError{HttpFailure::Tls, what + now.tls_error};
    if (now.received == 0) {
      return HttpError{HttpFailure::Protocol, what + "the connection was closed without an answer"};
    }
    if (now.is_body_broken) {
      return HttpError{HttpFailure::Protocol,
                       what + fmt::format("status {}, but the body {}, after {}", now.head.status,
                                          now.trouble, of_body)};
    }
    // What is wrong with a head, httplib does not say.
    if (now.first.rfind("HTTP/1.", 0) == 0) {
      return HttpError{HttpFailure::Protocol, what + "the head is damaged, too long or ends early"};
    }
    return HttpError{HttpFailure::Protocol,
                     what + "expected an HTTP/1 answer, got " + text::quoted(now.first, kShown)};
  }

  void start() {
    client = std::make_unique<Connection>(origin, wire);
    client->set_keep_alive(true);
    client->set_follow_location(false);
    client->set_url_encode(false);  // the target is sent as it is written
    client->set_decompress(false);  // what it is shown as the body is not packed
  }

  const Url origin;
  const HttpOptions options;
  Wire wire;
  std::unique_ptr<httplib::ClientImpl> client;  // holds a reference to `wire`
};

HttpClient::HttpClient(Url origin, HttpOptions options)
    : impl_(std::make_unique<Impl>(std::move(origin), std::move(options))) {}
HttpClient::~HttpClient() = default;
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;

std::variant<HttpResponse, HttpError> HttpClient::call(const HttpRequest& request,
                                                       const Call& call) {
  try {
    return impl_->call(request, call);
  } catch (const std::exception& e) {
    // httplib does not promise to be free of exceptions; the connection is in an unknown state.
    impl_ = std::make_unique<Impl>(impl_->origin, impl_->options);
    return HttpError{HttpFailure::Protocol, impl_->origin.origin() + ": " + e.what()};
  }
}

}  // namespace davy::net
