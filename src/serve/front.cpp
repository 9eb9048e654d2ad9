#include "serve/front.h"

#include <httplib.h>
#include <algorithm>
#include <cstring>
#include <exception>

#include "base/log.h"

namespace davy::serve {
namespace {

/// A whole request in, a whole response out.
class MemoryStream final : public httplib::Stream {
 public:
  MemoryStream(const std::string& in, const std::string& remote) : in_(in), remote_(remote) {}

  bool is_readable() const override { return read_ < in_.size(); }
// httplib renames these after 0.18: each overrides in some versions and is its own in others.
#ifdef __clang__
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Winconsistent-missing-override"
#endif
  virtual bool is_writable() const {
    return true;
  }
  virtual bool wait_readable() const {
    return true;
  }
  virtual bool wait_writable() const {
    return true;
  }
  virtual time_t duration() const {
    return 0;
  }
#ifdef __clang__
#pragma clang diagnostic pop
#endif

  ssize_t read(char* to, std::size_t size) override {
    std::size_t n = std::min(size, in_.size() - read_);
    std::memcpy(to, in_.data() + read_, n);
    read_ += n;
    return static_cast<ssize_t>(n);
  }
  ssize_t write(const char* from, std::size_t size) override {
    out_.append(from, size);
    return static_cast<ssize_t>(size);
  }
  void get_remote_ip_and_port(std::string& ip, int& port) const override {
    ip = remote_;
    port = 0;
  }
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override {
    return INVALID_SOCKET;
  }

  std::string take() {
    return std::move(out_);
  }

 private:
  const std::string& in_;
  const std::string& remote_;
  std::size_t read_ = 0;
  std::string out_;
};

bool is_loopback(const std::string& address) {
  return address.starts_with("127.") || address == "::1" || address.starts_with("::ffff:127.");
}

}  // namespace

class Front::Parser final : public httplib::Server {
 public:
  explicit Parser(serve::Handler handler) : handler_(std::move(handler)) {
    // GET and HEAD are answered before the library's own routing, the others only after it has read
    // their bodies. The one pattern is ours: the library's are std::regex, which recurses.
    set_pre_routing_handler([this](const httplib::Request& in, httplib::Response& out) {
      if (in.method != "GET" && in.method != "HEAD") return HandlerResponse::Unhandled;
      respond(in, out);
      return HandlerResponse::Handled;
    });
    Server::Handler with_body = [this](const httplib::Request& in, httplib::Response& out) {
      respond(in, out);
    };
    Post(".*", with_body)
        .Put(".*", with_body)
        .Patch(".*", with_body)
        .Delete(".*", with_body)
        .Options(".*", with_body);
    set_keep_alive_timeout(15);  // announced only; Connections keeps the time
    set_keep_alive_max_count(100000);
    set_exception_handler([](const httplib::Request& in, httplib::Response& out,
                             std::exception_ptr thrown) {
      try {
        std::rethrow_exception(std::move(thrown));
      } catch (const std::exception& e) {
        log::error("a handler threw; please report this", {{"path", in.path}, {"what", e.what()}});
      } catch (...) {
        log::error("a handler threw; please report this", {{"path", in.path}});
      }
      out.status = 500;
      out.set_content("internal error\n", "text/plain; charset=utf-8");
    });
  }

  Reply reply(const std::string& request, const std::string& remote) {
    MemoryStream stream(request, remote);
    remote_ = &remote;
    hold_ = Duration::zero();
    routed_ = false;
    bool closed = false;
    process(*this, stream, remote, closed);
    std::string bytes = stream.take();
    bool close = closed || !routed_;  // what the parser refused by itself may be out of step
    return {std::move(bytes), close, hold_};
  }

 private:
  /// A template, because the signature changed after 0.11 and only one branch may be compiled.
  template <typename Self>
  static void process(Self& self, MemoryStream& stream, const std::string& remote, bool& closed) {
    if constexpr (requires { self.process_request(stream, false, closed, nullptr); }) {
      self.process_request(stream, false, closed, nullptr);
    } else {
      self.process_request(stream, remote, 0, "", 0, false, closed, nullptr);
    }
  }

  void respond(const httplib::Request& in, httplib::Response& out) {
    routed_ = true;
    // The library would answer a thousand ranges with a thousand parts; nothing here has ranges.
    const_cast<httplib::Request&>(in).ranges.clear();
    out.set_header("Accept-Ranges", "none");
    Request request;
    request.method = in.method;
    request.path = in.path;
    request.query.assign(in.params.begin(), in.params.end());
    request.accept = in.get_header_value("Accept");
    request.body = in.body;
    request.from_loopback = is_loopback(*remote_);
    Response response = handler_(request);
    hold_ = response.hold;
    out.status = response.status;
    for (const auto& [name, value] : response.headers) out.set_header(name, value);
    out.set_content(response.body, response.content_type);
  }

  serve::Handler handler_;
  // Of the request in hand; one thread serves them all.
  const std::string* remote_ = nullptr;
  Duration hold_{0};
  bool routed_ = false;
};

Front::Front(const std::string& name, ConnectionLimits limits, Handler handler,
             std::function<void()> shed)
    : parser_(std::make_unique<Parser>(std::move(handler))),
      connections_(
          name, limits,
          [this](const std::string& request, const std::string& remote) {
            return parser_->reply(request, remote);
          },
          std::move(shed)) {}

Front::~Front() {
  stop();
}

}  // namespace davy::serve
