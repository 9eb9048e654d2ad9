// Watchdog: makes a blocking call return at its deadline by shutting its socket.
//
// Why: the libraries' own timeouts are per read, or do not fire at all (a peer that drips a byte a
// second holds them for ever). Shutting the socket from outside ends every one of them.
// Threading: thread-safe; one thread (`davy-watchdog`) serves all guards. A Guard belongs to the
// thread that makes it; its action runs on the watchdog's thread, so it must be short and must not
// throw, nor touch a Guard.
// Failure: none; a Guard that is made too late fires at once.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>

#include "davy/time.h"

namespace davy::net {

class Watchdog {
 public:
  Watchdog();
  /// REQUIRES: no Guard is left.
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// Runs `action` at the deadline unless the Guard is gone by then. When the Guard's destructor
  /// has returned, the action has either finished or will never run.
  class Guard {
   public:
    Guard(Watchdog& dog, Deadline deadline, std::function<void()> action);
    /// Shuts `fd` for reading and writing. The descriptor must outlive the guard.
    Guard(Watchdog& dog, Deadline deadline, int fd);
    ~Guard();
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

    /// True once the deadline has struck: the error that the call returned was ours.
    bool fired() const;

   private:
    Watchdog& dog_;
    std::pair<Time, std::uint64_t> key_;
  };

 private:
  friend class Guard;
  using Key = std::pair<Time, std::uint64_t>;
  void serve(const std::stop_token& stop);

  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  std::condition_variable idle_;
  std::map<Key, std::function<void()>> waiting_;
  std::uint64_t next_ = 0;
  const Key* running_ = nullptr;
  Time wakes_at_{};  // while it sleeps: when at the latest; before every deadline when it does not
  bool is_called_ = false;
  std::jthread thread_;
};

}  // namespace davy::net
