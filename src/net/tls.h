// TLS: a client's session over a connected socket.
//
// Why: httplib's own TLS client cannot be bounded (its handshake ignores a deadline, and from 0.18
// on the class is final). Blocking calls end when a guard shuts the socket.
// Threading: a context may be used from any thread; a session belongs to one thread at a time.
// Failure: an Error that says what was not trusted; nothing is thrown.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <string>

#include "davy/result.h"
#include "davy/time.h"

namespace davy::net {

/// A connection as bytes, plain or encrypted. Blocks; ends when a guard shuts its socket.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  /// As read(2): 0 only when the peer closed properly, so that a body cut short is seen as such.
  virtual ssize_t read(char* to, std::size_t size) = 0;
  virtual ssize_t write(const char* from, std::size_t size) = 0;
};

/// Over a connected socket without TLS. `fd` must outlive it.
std::unique_ptr<ByteStream> plain_stream(int fd);

/// What the peer showed of itself.
struct Certificate {
  std::string subject;        // the leaf's, one line
  WallMillis not_before = 0;  // of the leaf
  WallMillis not_after = 0;
  WallMillis presented_until = 0;  // the earliest end of all that were presented
  WallMillis verified_until = 0;   // the earliest end of the chain that was verified; 0 = none was
  std::string distrust;            // why it is not trusted for the name; "" = it is
};

class TlsSession : public ByteStream {
 public:
  virtual Certificate certificate() const = 0;
};

struct TlsSettings {
  enum class Verify {
    Yes,     // peers must show a certificate for their name that an authority signed
    No,      // anything will do
    Report,  // anything will do, and certificate() says what was wrong with it
  } verify = Verify::Yes;
  std::string ca_file{};    // the authorities, as PEM; "" = the system's
  std::string cert_file{};  // who we are, for peers that ask (mTLS); "" = nobody
  std::string key_file{};
  // The files' texts, for who reads them himself; their names are then for messages only.
  std::string ca_pem{};
  std::string cert_pem{};
  std::string key_pem{};
  std::string protocol{};  // ALPN, such as "h2"; "" = not said
};

class TlsContext {
 public:
  /// Reading the system's authorities takes tens of milliseconds: keep the context, or share it.
  explicit TlsContext(TlsSettings settings);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  /// Why no handshake can succeed: a file that cannot be read; "" = none.
  const std::string& trouble() const;

  /// `fd` must outlive the session and stays its owner's. `host` is a name or an IP address.
  Result<std::unique_ptr<TlsSession>> handshake(int fd, const std::string& host) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace davy::net
