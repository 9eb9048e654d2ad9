// Exchange stream: one Redis stream of blocks, as publishers write it and judges read it.
//
// Why: a stream keeps what nobody has read yet, up to a length; any number of readers each know how
// far they are; and one key is all that anybody needs a right to. Entries have one field, `block`.
// The commands: TIME, XADD, XRANGE and XLEN to publish; TIME, XREAD, XRANGE and XREVRANGE to read.
// Redis 5 or later, or Valkey.
// Threading: not thread-safe; owned by its user's thread. Never blocks past the call's deadline,
// except name resolution.
// Failure: an Error that names the server. Entries that are no block are told one by one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "davy/call.h"
#include "davy/result.h"
#include "net/redis.h"
#include "sources/exchange/clock.h"

namespace davy {
class Archive;
}

namespace davy::source {

/// "1700000000000-0": the time of the server, and a number.
struct StreamId {
  std::uint64_t ms = 0;
  std::uint64_t number = 0;

  static std::optional<StreamId> parse(std::string_view text);
  std::string text() const;
  bool is_start() const { return ms == 0 && number == 0; }  // before every entry
  void archive(Archive& state);

  friend auto operator<=>(const StreamId&, const StreamId&) = default;
};

class ExchangeStream {
 public:
  struct Entry {
    StreamId id;
    std::string bytes;
    std::string wrong;  // why there are no bytes; "" when there are
  };

  ExchangeStream(net::RedisTarget target, std::string key);

  /// "redis 127.0.0.1:6379, stream davy:exchange:shop"
  std::string name() const;
  /// How many connections were made so far: see RedisClient.
  std::uint64_t connections() const { return client_.connections(); }

  /// To be called before the others, once per round.
  Result<Done> begin(const Call& call);
  /// Asks for the server's time, and tells it to `clock`.
  Result<Done> tell_time(ExchangeClock& clock, const Clock& steady, const Call& call);

  /// The new entry's id. The stream is cut to about `longest` entries.
  Result<std::string> add(const std::string& bytes, std::uint64_t longest, const Call& call);
  Result<bool> holds(const std::string& id, const Call& call);
  Result<std::uint64_t> length(const Call& call);
  /// Nothing when it is empty.
  Result<std::optional<StreamId>> first(const Call& call);
  Result<std::optional<StreamId>> last(const Call& call);
  /// Some of the entries after this one, in their order; empty when there are none.
  Result<std::vector<Entry>> read_after(const StreamId& id, const Call& call);

 private:
  Result<net::RedisReply> ask(const std::vector<std::string>& words, const Call& call);
  Result<std::optional<StreamId>> end_of(const char* command, const char* from, const char* to,
                                         const Call& call);
  Error no_answer(std::string_view command) const;

  const std::string key_;
  net::RedisClient client_;
};

}  // namespace davy::source
