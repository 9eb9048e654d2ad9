#include "net/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <sys/socket.h>
#include <algorithm>
#include <cerrno>
#include <climits>
#include <ctime>
#include <vector>

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

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using X509Ptr = std::unique_ptr<X509, decltype(&X509_free)>;

Bio bio_of(const std::string& pem) {
  return {BIO_new_mem_buf(pem.data(), clamped(pem.size())), &BIO_free};
}

/// Without this, OpenSSL would ask for a key's password at the terminal.
int no_password(char*, int, int, void*) {
  return 0;
}

/// Every certificate of the text; none when it holds what is not one.
std::vector<X509Ptr> certificates_of(const std::string& pem) {
  std::vector<X509Ptr> all;
  Bio bio = bio_of(pem);
  while (X509* one = PEM_read_bio_X509(bio.get(), nullptr, &no_password, nullptr))
    all.emplace_back(one, &X509_free);
  // The end of the text is an error to it, too.
  if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) return {};
  if (!all.empty()) ERR_clear_error();
  return all;
}

bool trust(SSL_CTX* context, const std::string& pem) {
  std::vector<X509Ptr> all = certificates_of(pem);
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  return !all.empty() && std::all_of(all.begin(), all.end(), [&](const X509Ptr& one) {
    return X509_STORE_add_cert(store, one.get()) == 1;
  });
}

/// The first certificate is our own, the others lead to its authority.
bool show(SSL_CTX* context, const std::string& pem) {
  std::vector<X509Ptr> all = certificates_of(pem);
  if (all.empty() || SSL_CTX_use_certificate(context, all[0].get()) != 1) return false;
  return std::all_of(all.begin() + 1, all.end(), [&](const X509Ptr& one) {
    return SSL_CTX_add1_chain_cert(context, one.get()) == 1;
  });
}

bool use_key(SSL_CTX* context, const std::string& pem) {
  Bio bio = bio_of(pem);
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      PEM_read_bio_PrivateKey(bio.get(), nullptr, &no_password, nullptr), &EVP_PKEY_free);
  return key && SSL_CTX_use_PrivateKey(context, key.get()) == 1;
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
  SSL_CTX_set_default_passwd_cb(context, &no_password);
  ERR_clear_error();
  auto need = [&](bool ok, const std::string& file) {
    if (!ok && state_->trouble.empty()) state_->trouble = file + ": " + last_error();
  };
  if (how.verify != TlsSettings::Verify::No) {
    if (!how.ca_pem.empty()) {
      need(trust(context, how.ca_pem), how.ca_file);
    } else if (!how.ca_file.empty()) {
      need(SSL_CTX_load_verify_locations(context, how.ca_file.c_str(), nullptr) == 1, how.ca_file);
    } else {
      SSL_CTX_set_default_verify_paths(context);
    }
  }
  if (how.verify == TlsSettings::Verify::Yes) SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  if (how.cert_file.empty()) return;
  if (how.cert_pem.empty()) {
    need(SSL_CTX_use_certificate_chain_file(context, how.cert_file.c_str()) == 1, how.cert_file);
    need(SSL_CTX_use_PrivateKey_file(context, how.key_file.c_str(), SSL_FILETYPE_PEM) == 1,
         how.key_file);
  } else {
    need(show(context, how.cert_pem), how.cert_file);
    need(use_key(context, how.key_pem), how.key_file);
  }
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
