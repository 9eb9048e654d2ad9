// Resolver: names to addresses, never later than asked.
//
// Why: getaddrinfo is the one call that no guard can end, and with a dead resolver it takes 10 to
// 40 s. So a helper process makes it, and is killed at the deadline.
// Cache: an answer is fresh for 10 s. While the resolver does not answer, the last one is served
// for up to 10 min (the idea of RFC 8767): a dead resolver must not look like dead dependencies.
// "No such name" is an answer, and ends that. One query per name is in flight; others wait for it.
// After a time-out, callers of the next 5 s are told at once: a dead resolver costs one deadline.
// Threading: thread-safe; resolve() blocks.
// Failure: an Error that says whether the name does not exist, nobody answered, or we could not
// ask. The log tells once when the resolver stops answering, and once when it answers again.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/helper_wire.h"
#include "base/helpers.h"
#include "davy/result.h"
#include "davy/time.h"

namespace davy::net {

/// Whether `host` needs no looking up.
bool is_numeric_address(const std::string& host);

/// One query, answered by the deadline.
using LookUp = std::function<wire::LookedUp(const std::string& host, Deadline)>;

/// getaddrinfo in this process: may take as long as it likes.
wire::LookedUp look_up_here(const std::string& host, Deadline);
/// The same in a helper process, which is killed at the deadline.
LookUp look_up_by(Helpers& helpers);

class Resolver {
 public:
  using Addresses = std::vector<std::string>;

  explicit Resolver(LookUp look_up, const Clock& clock = machine_clock());

  /// The numeric addresses of `host`, in the system's order without duplicates. A numeric host is
  /// returned as it is, without a query.
  Result<Addresses> resolve(const std::string& host, Deadline deadline);

  /// Queries that no name server answered (in time).
  std::uint64_t timeouts() const { return timeouts_; }
  /// Calls that were given an old answer because of that.
  std::uint64_t stale_answers() const { return stale_answers_; }

 private:
  struct Name {
    Addresses addresses;       // of the last good answer; empty = none
    Time answered{};           // when it came
    wire::LookedUp last;       // the last answer of any kind
    Duration waited{0};        // for the last answer, when it was Cut
    Time silent_until{};       // until then nobody asks again with the same patience
    std::uint64_t rounds = 0;  // queries that have ended
    bool is_asked = false;     // one is in flight
  };

  bool has_old_answer(const Name& name) const;
  Result<Addresses> conclude(const std::string& host, const Name& name,
                             const wire::LookedUp& answer);
  void take(const std::string& host, Name& name, wire::LookedUp answer, Duration waited);
  std::shared_ptr<Name> name_of(const std::string& host);

  const LookUp look_up_;
  const Clock& clock_;
  std::atomic<std::uint64_t> timeouts_ = 0;
  std::atomic<std::uint64_t> stale_answers_ = 0;

  std::mutex mutex_;
  std::condition_variable answered_;
  std::map<std::string, std::shared_ptr<Name>> names_;
  bool is_silent_ = false;  // as the log was told
};

}  // namespace davy::net
