// Redis client: one kept connection, commands with a deadline, errors as stable words.
//
// Why: hiredis' time-outs are per read, its connection cannot go on after any of them, and an error
// reply says only in its first word what it means. The only file with hiredis in it is redis.cpp.
//
// Threading: a client belongs to one thread at a time.
// Failure: a RedisError; an answer of more than 16 MiB is one, too. Never blocks past the deadline,
// except name resolution.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "davy/call.h"
#include "davy/result.h"
#include "net/socket.h"

namespace davy::net {

/// Where a Redis is and how to log in there.
struct RedisTarget {
  Endpoint at;
  std::string socket;  // the path of a Unix socket; "" = TCP
  bool is_tls = false;
  std::string user;
  std::string password;  // "" = no AUTH
  int database = 0;

  std::string where() const;  // "127.0.0.1:6379", "/run/redis.sock"
};

/// redis://[user:password@]host[:port][/database], rediss:// for TLS,
/// unix://[user:password@]/path[?db=N]. The error never repeats any part of the text.
Result<RedisTarget> parse_redis_url(std::string_view url);

/// rediss:// needs a hiredis that can do TLS (1.0; Debian 13).
bool redis_has_tls();

struct RedisError {
  std::string reason;  // see probes/redis_outcome.h for all words
  std::string what;    // one line: who, which command, what it said; never a secret
  bool hard = false;   // asking again will not help
  bool ours = false;   // no descriptors left: says nothing about the server
  std::string code;    // the first word of an error reply: "NOPERM"; "" when there was no reply
  std::string head;    // of an answer that was too large: its first bytes, as they came
};

/// An answer as plain values.
struct RedisReply {
  enum class Kind { Nil, Text, Integer, List } kind = Kind::Nil;
  std::string text;  // binary-safe
  long long integer = 0;
  std::vector<RedisReply> items;
};
using RedisAnswer = std::variant<RedisReply, RedisError>;

class RedisClient {
 public:
  explicit RedisClient(RedisTarget target);
  RedisClient(RedisClient&&) noexcept;
  ~RedisClient();

  /// "redis 127.0.0.1:6379"
  const std::string& name() const { return name_; }

  /// How many connections it has made: a new one may lead to a server that has forgotten.
  std::uint64_t connections() const { return connections_; }

  /// Makes sure that there is a connection that is logged in. To be called once before the commands
  /// of a run.
  std::optional<RedisError> begin(const Call& call);
  /// Asks again on a new connection when the kept one turns out to be closed: that says nothing
  /// about the server. Words are binary-safe; messages show the first one only, AUTH's hold a
  /// password.
  /// REQUIRES: begin() succeeded.
  RedisAnswer command(const std::vector<std::string>& words, const Call& call);

 private:
  struct Connection;
  std::optional<RedisError> connect(const Call& call);
  std::optional<RedisError> log_in(const Call& call);
  std::optional<RedisError> start_tls(const Call& call);
  RedisAnswer ask(const std::vector<std::string>& words, const Call& call);
  RedisAnswer exchange(const std::vector<std::string>& words, const Call& call, bool& is_usable);

  const RedisTarget target_;
  const std::string name_;
  std::unique_ptr<Connection> connection_;
  bool is_kept_ = false;  // from an earlier run
  std::uint64_t connections_ = 0;
};

}  // namespace davy::net
