// Helpers: processes of ours that do what cannot be interrupted, so that it can be killed.
//
// Why: statvfs on a dead mount, getaddrinfo with a dead resolver, somebody's script: nothing ends
// these from within a process. A helper is our own program once more (/proc/self/exe, "davy-helper"
// in ps) on the other end of a socket pair. It answers one request at a time, lives on between
// requests, and is killed when it has not answered by the deadline.
// Threading: thread-safe. ask() blocks the calling thread. One thread of ours (`davy-helpers`)
// starts all helpers, as the kernel kills them when the thread that started them ends.
// Failure: told in the Reply. A helper that does not die (uninterruptible sleep) keeps its ask()
// and its place among the `total` until it is gone: that run has not come back.
// Leaves behind: no zombie, no descriptor; and no process when ours is killed: helpers then get a
// signal from the kernel and see the end of their socket.
#pragma once

#include <sys/types.h>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/descriptor.h"
#include "base/guarded.h"
#include "davy/result.h"
#include "davy/time.h"

namespace davy {

struct HelperLimits {
  std::size_t total = 64;                  // alive at once
  std::size_t idle = 4;                    // kept while there is nothing to do
  std::string program = "/proc/self/exe";  // another one only in tests
};

class Helpers {
 public:
  struct Reply {
    enum class Kind {
      Answered,
      TimedOut,    // and was killed
      NotStarted,  // our own limits, or we are stopping; `text` says which
      Failed,      // died or answered rubbish; `text` says how
    } kind = Kind::Failed;
    std::string text;
  };
  /// Whether an answer can be read. One that cannot comes from a helper that is not to be trusted.
  using MakesSense = std::function<bool(const std::string&)>;

  explicit Helpers(HelperLimits limits = {});
  /// Ends all helpers, and waits for calls of ask() to return.
  ~Helpers();
  Helpers(const Helpers&) = delete;
  Helpers& operator=(const Helpers&) = delete;

  Reply ask(const std::string& request, Deadline deadline, const MakesSense& makes_sense = {});

  /// Every ask(), running or to come, returns soon; a helper that does not die is left behind.
  void stop();

  /// Reaps dead children of ours that nobody waits for. As process 1 of a container we are given
  /// the orphans of others. REQUIRES: all children that we start ourselves are helpers.
  void reap_adopted();

  std::uint64_t started() const { return started_; }
  /// Those that had not answered: not the ones that were merely too many.
  std::uint64_t killed() const { return killed_; }
  /// Alive, idle ones and those that do not die included.
  std::size_t alive() const;

 private:
  struct One {
    pid_t pid = -1;
    Descriptor socket;
    Descriptor death;  // readable once it is dead (pidfd); none on old kernels
  };

  Result<One> take();
  Result<One> start();
  Result<One> spawn();
  void serve_starts(const std::stop_token& stop);
  Reply hear(const One& one, std::uint64_t number, Deadline deadline,
             const MakesSense& makes_sense);
  void give_back(One one);
  std::optional<int> end(One one);
  std::optional<int> bury(const One& one);

  const HelperLimits limits_;
  Descriptor stop_;  // an eventfd, readable once we stop
  std::atomic<std::uint64_t> started_ = 0;
  std::atomic<std::uint64_t> killed_ = 0;
  std::atomic<std::uint64_t> number_ = 0;

  Guarded<std::set<pid_t>> children_;  // not reaped yet
  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  std::condition_variable returned_;
  std::vector<One> idle_;
  std::size_t taken_ = 0;  // places among `total` that are not idle ones
  std::size_t asking_ = 0;
  bool stopping_ = false;
  std::deque<std::promise<Result<One>>> wanted_;
  std::jthread starter_;
};

/// The other end: when this process was started as a helper, answers requests until our parent is
/// gone and returns the exit code; otherwise returns nothing at once.
std::optional<int> serve_as_helper(int argc, char** argv,
                                   const std::function<std::string(const std::string&)>& answer);

}  // namespace davy
