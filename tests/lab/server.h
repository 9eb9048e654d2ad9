// A TCP server on loopback that behaves as badly as a test asks.
//
// Why: what a probe must survive is a peer that is silent, drips, resets or never ends; such peers
// are written here in a line each and are real sockets.
//   lab::Server server(lab::drip("HTTP/1.1 200 OK\r\n\r\n", 10));
// Threading: each connection is served on a thread of its own; the destructor ends them all.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "net/socket.h"

namespace davy::lab {

/// One accepted connection, in the hands of a behaviour. It is closed when the behaviour returns.
class Connection {
 public:
  Connection(int fd, int stop) : fd_(fd), stop_(stop) {}

  /// False when the peer is gone or the server stops.
  bool send(std::string_view bytes) const;
  /// What came next, "" at the end.
  std::string receive() const;
  /// Reads until the text so far holds `end`.
  std::string receive_until(std::string_view end) const;
  /// Lets time pass. False when the server stops.
  bool pause(std::chrono::milliseconds time) const;
  /// Until the server stops.
  void hang() const;
  /// The peer sees a reset instead of an end.
  void reset_on_close() const;
  void shut_writing() const;
  /// Passes bytes both ways between the peer and another socket until either ends.
  void relay(int other, const std::function<void(std::string_view)>& from_other) const;

 private:
  bool wait_for(short events) const;
  int fd_;
  int stop_;
};

using Behaviour = std::function<void(const Connection&)>;

class Server {
 public:
  explicit Server(Behaviour behaviour);
  /// On a Unix socket at this path.
  Server(Behaviour behaviour, const std::string& path);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  int port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  std::string url(const std::string& target = "/") const { return "http://" + address() + target; }
  int connections() const { return connections_; }

 private:
  void listen_at(const void* address, std::size_t size);
  void accept_all();

  Behaviour behaviour_;
  net::Socket listener_;
  net::Socket stop_;
  int port_ = 0;
  std::atomic<int> connections_ = 0;
  std::vector<std::thread> serving_;  // touched by the accepting thread until it has ended
  std::thread accepting_;
};

/// Stands before a real server on this port of loopback. What the server says is given to
/// `deliver`, which may keep it, cut it or send it to the client later; without one it is passed
/// on.
using Deliver = std::function<void(const Connection& client, std::string_view bytes)>;
Behaviour relay_to(int port, Deliver deliver = {});

/// Accepts and says nothing.
Behaviour mute();
/// Sends `head` at once and then one byte at a time, `per_second` of them, without end.
Behaviour drip(std::string head, int per_second);
/// Answers with a reset.
Behaviour reset();
/// Resets before anything was asked.
Behaviour reset_on_accept();
/// Reads the request, says `text`, and ends its side.
Behaviour half_close(std::string text);
/// Answers each request on the connection.
Behaviour http(int status, std::string body,
               std::vector<std::pair<std::string, std::string>> headers = {});
/// Reads the request and sends these bytes as they are, then closes.
Behaviour raw(std::string bytes);
/// The same, each byte in a packet of its own.
Behaviour byte_at_a_time(std::string bytes);
/// Sends `head` and then zeros for as long as they are taken.
Behaviour huge(std::string head);
/// Sends `banner` before anything was asked, then waits for the peer to close.
Behaviour banner(std::string text);

}  // namespace davy::lab
