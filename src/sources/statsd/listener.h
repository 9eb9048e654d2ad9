// StatsdListener: the sockets of a StatsD server, and the thread that empties them.
//
// Why: a wake-up costs far more than a packet. So the thread takes whatever is there with recvmmsg,
// and then sleeps a millisecond while the kernel collects the next ones in a large buffer; with
// nothing to take it waits in poll, and an idle davy stays asleep. A Unix socket's queue is counted
// in packets (net.unix.max_dgram_qlen); where that is short, nobody sleeps.
// A socket file that a dead server has left is replaced, one that somebody listens on is not; ours
// is removed at the end.
// Threading: owned by one thread. Its own thread, `davy-statsd`, begins with the first address that
// could be bound and ends with the listener; it calls `deliver`.
// Failure: addresses that cannot be bound are told and tried again by the next open().
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/descriptor.h"
#include "davy/result.h"
#include "davy/time.h"

namespace davy::source {

/// "127.0.0.1:8125", "[::]:8125", "localhost:8125", "unix:/run/davy/statsd.sock".
struct StatsdAddress {
  std::string host;  // a number; "" for a Unix socket
  int port = 0;
  std::string path;

  bool is_unix() const { return !path.empty(); }
  /// "udp 127.0.0.1:8125", "unix:/run/davy/statsd.sock"
  std::string text() const;
  static Result<StatsdAddress> parse(std::string_view text);

  friend bool operator==(const StatsdAddress&, const StatsdAddress&) = default;
};

struct StatsdPacket {
  std::string_view bytes;
  bool is_truncated = false;
};

class StatsdListener {
 public:
  /// Called by the thread with the packets of one recvmmsg, one at least.
  using Deliver = std::function<void(std::span<const StatsdPacket>, Time now)>;

  /// `mode` = the permissions of socket files.
  StatsdListener(std::vector<StatsdAddress> addresses, mode_t mode, Deliver deliver);
  ~StatsdListener();
  StatsdListener(const StatsdListener&) = delete;
  StatsdListener& operator=(const StatsdListener&) = delete;

  /// Binds what is not bound yet; returns what stands in the way.
  std::vector<std::string> open();
  bool is_open() const { return !sockets_.empty(); }
  /// Packets that the kernel has had no room for since the last call.
  double take_lost();

 private:
  struct Socket {
    StatsdAddress address;
    Descriptor descriptor;
    std::uint32_t lost = 0;  // all that the kernel has counted, modulo 2^32
    dev_t device = 0;        // of the socket file that we made
    ino_t inode = 0;
  };
  struct Buffers;

  Result<Socket> bind(const StatsdAddress& address) const;
  bool start();
  void stop();
  void close_all();
  void serve(const std::stop_token& stop);
  int drain(int fd, Buffers& buffers) const;

  const std::vector<StatsdAddress> addresses_;
  const mode_t mode_;
  const Deliver deliver_;
  std::vector<Socket> sockets_;  // not changed while the thread runs
  bool is_patient_ = true;       // all of them hold what comes in a millisecond
  Descriptor wake_;              // an eventfd that ends the thread's wait
  std::jthread thread_;
};

}  // namespace davy::source
