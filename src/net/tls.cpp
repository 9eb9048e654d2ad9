#include "net/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <climits>

#include "base/text.h"

namespace davy::net {
namespace {

using Ssl = std::unique_ptr<SSL, decltype(&SSL_free)>;

int clamped(std::size_t size) {
  return static_cast<int>(std::min<std::size_t>(size, INT_MAX));
}

class Session final : public TlsSession {
 public:
  explicit Session(Ssl ssl) : ssl_(std::move(ssl)) {}

  ssize_t read(char* to, std::size_t size) override {
    ERR_clear_error();
    int n = SSL_read(ssl_.get(), to, clamped(size));
    if (n > 0) return n;
    return SSL_get_error(ssl_.get(), n) == SSL_ERROR_ZERO_RETURN ? 0 : -1;
  }

  ssize_t write(const char* from, std::size_t size) override {
    ERR_clear_error();
    int n = SSL_write(ssl_.get(), from, clamped(size));
    return n > 0 ? n : -1;
  }

 private:
  Ssl ssl_;
};

bool is_numeric(const std::string& host) {
  in6_addr unused{};
  return inet_pton(AF_INET, host.c_str(), &unused) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &unused) == 1;
}

/// The reason of the last failed call, as OpenSSL words it.
std::string last_error() {
  unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? "the peer closed the connection" : reason;
}

}  // namespace

struct TlsContext::State {
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context{nullptr, &SSL_CTX_free};
  bool verify = true;
};

TlsContext::TlsContext(bool verify) : state_(std::make_unique<State>()) {
  state_->verify = verify;
  state_->context.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* context = state_->context.get();
  if (context == nullptr) return;  // the handshake will say so
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_mode(context, SSL_MODE_AUTO_RETRY);
  if (verify) {
    SSL_CTX_set_default_verify_paths(context);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  }
}

TlsContext::~TlsContext() = default;

Result<std::unique_ptr<TlsSession>> TlsContext::handshake(int fd, const std::string& host) const {
  ERR_clear_error();
  Ssl ssl(state_->context ? SSL_new(state_->context.get()) : nullptr, &SSL_free);
  if (!ssl || SSL_set_fd(ssl.get(), fd) != 1) return Error{"TLS cannot start: " + last_error()};

  // RFC 6066, section 3: the server name indication holds names only, never addresses.
  bool named;
  if (is_numeric(host)) {
    named = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), host.c_str()) == 1;
  } else {
    SSL_set_hostflags(ssl.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    named = SSL_set1_host(ssl.get(), host.c_str()) == 1 &&
            SSL_set_tlsext_host_name(ssl.get(), host.c_str()) == 1;
  }
  if (!named) return Error{"TLS cannot ask for the name " + text::quoted(host)};

  if (SSL_connect(ssl.get()) == 1) return std::unique_ptr<TlsSession>(new Session(std::move(ssl)));
  long verified = SSL_get_verify_result(ssl.get());
  if (state_->verify && verified != X509_V_OK) {
    return Error{"the certificate is not trusted for " + text::quoted(host) + ": " +
                 X509_verify_cert_error_string(verified)};
  }
  return Error{"the TLS handshake failed: " + last_error()};
}

}  // namespace davy::net
