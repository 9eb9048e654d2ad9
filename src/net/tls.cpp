#include "net/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <sys/socket.h>
#include <algorithm>
#include <cerrno>
#include <climits>
#include <ctime>

#include "base/text.h"
#include "net/resolver.h"

namespace davy::net {
namespace {

using Ssl = std::unique_ptr<SSL, decltype(&SSL_free)>;

int clamped(std::size_t size) {
  return static_cast<int>(std::min<std::size_t>(size, INT_MAX));
}

/// Milliseconds since 1970; 0 when it cannot be read.
WallMillis wall(const ASN1_TIME* time) {
  std::tm utc{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &utc) != 1) return 0;
  return static_cast<WallMillis>(timegm(&utc)) * 1000;
}

/// The earliest end in a chain; 0 when it is empty.
WallMillis earliest_end(const STACK_OF(X509) * chain) {
  WallMillis earliest = 0;
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    WallMillis end = wall(X509_get0_notAfter(sk_X509_value(chain, i)));
    if (earliest == 0 || end < earliest) earliest = end;
  }
  return earliest;
}

class Plain final : public ByteStream {
 public:
  explicit Plain(int fd) : fd_(fd) {}
  ssize_t read(char* to, std::size_t size) override {
    ssize_t n;
    do n = ::recv(fd_, to, size, 0);
    while (n < 0 && errno == EINTR);
    return n;
  }
  ssize_t write(const char* from, std::size_t size) override {
    ssize_t n;
    do n = ::send(fd_, from, size, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n;
  }

 private:
  int fd_;
};

class Session final : public TlsSession {
 public:
  explicit Session(Ssl ssl) : ssl_(std::move(ssl)) {}

  Certificate certificate() const override {
    Certificate out;
    std::unique_ptr<X509, decltype(&X509_free)> leaf(SSL_get1_peer_certificate(ssl_.get()),
                                                     &X509_free);
    if (!leaf) return out;
    char name[256] = "";
    X509_NAME_oneline(X509_get_subject_name(leaf.get()), name, sizeof name);
    out.subject = text::valid_utf8(name);
    out.not_before = wall(X509_get0_notBefore(leaf.get()));
    out.not_after = wall(X509_get0_notAfter(leaf.get()));
    out.presented_until = earliest_end(SSL_get_peer_cert_chain(ssl_.get()));
    out.verified_until = earliest_end(SSL_get0_verified_chain(ssl_.get()));
    long verified = SSL_get_verify_result(ssl_.get());
    if (verified != X509_V_OK) out.distrust = X509_verify_cert_error_string(verified);
    return out;
  }

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

/// The reason of the last failed call, as OpenSSL words it.
std::string last_error() {
  unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? "the peer closed the connection" : reason;
}

}  // namespace

std::unique_ptr<ByteStream> plain_stream(int fd) {
  return std::make_unique<Plain>(fd);
}

struct TlsContext::State {
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context{nullptr, &SSL_CTX_free};
  TlsSettings settings;
  std::string trouble;
};

TlsContext::TlsContext(TlsSettings settings) : state_(std::make_unique<State>()) {
  state_->settings = std::move(settings);
  const TlsSettings& how = state_->settings;
  state_->context.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* context = state_->context.get();
  if (context == nullptr) return;  // the handshake will say so
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_mode(context, SSL_MODE_AUTO_RETRY);
  if (!how.protocol.empty()) {
    std::string list = static_cast<char>(how.protocol.size()) + how.protocol;
    SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(list.data()),
                            static_cast<unsigned int>(list.size()));
  }
  auto need = [&](int ok, const std::string& file) {
    if (ok != 1 && state_->trouble.empty()) state_->trouble = file + ": " + last_error();
  };
  if (how.verify != TlsSettings::Verify::No) {
    if (how.ca_file.empty()) {
      SSL_CTX_set_default_verify_paths(context);
    } else {
      need(SSL_CTX_load_verify_locations(context, how.ca_file.c_str(), nullptr), how.ca_file);
    }
  }
  if (how.verify == TlsSettings::Verify::Yes) SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  if (how.cert_file.empty()) return;
  need(SSL_CTX_use_certificate_chain_file(context, how.cert_file.c_str()), how.cert_file);
  need(SSL_CTX_use_PrivateKey_file(context, how.key_file.c_str(), SSL_FILETYPE_PEM), how.key_file);
}

const std::string& TlsContext::trouble() const {
  return state_->trouble;
}

TlsContext::~TlsContext() = default;

Result<std::unique_ptr<TlsSession>> TlsContext::handshake(int fd, const std::string& host) const {
  if (!state_->trouble.empty()) return Error{"TLS cannot start: " + state_->trouble};
  ERR_clear_error();
  Ssl ssl(state_->context ? SSL_new(state_->context.get()) : nullptr, &SSL_free);
  if (!ssl || SSL_set_fd(ssl.get(), fd) != 1) return Error{"TLS cannot start: " + last_error()};

  // RFC 6066, section 3: the server name indication holds names only, never addresses.
  bool named;
  if (is_numeric_address(host)) {
    named = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), host.c_str()) == 1;
  } else {
    SSL_set_hostflags(ssl.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    named = SSL_set1_host(ssl.get(), host.c_str()) == 1 &&
            SSL_set_tlsext_host_name(ssl.get(), host.c_str()) == 1;
  }
  if (!named) return Error{"TLS cannot ask for the name " + text::quoted(host)};

  if (SSL_connect(ssl.get()) == 1) return std::unique_ptr<TlsSession>(new Session(std::move(ssl)));
  long verified = SSL_get_verify_result(ssl.get());
  if (state_->settings.verify == TlsSettings::Verify::Yes && verified != X509_V_OK) {
    return Error{"the certificate is not trusted for " + text::quoted(host) + ": " +
                 X509_verify_cert_error_string(verified)};
  }
  return Error{"the TLS handshake failed: " + last_error()};
}

}  // namespace davy::net
