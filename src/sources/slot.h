// Slot: one value on its way from a worker to the thread that waits for it, but not for ever.
//
// Why: a worker that comes too late puts its value into a slot that nobody looks at any more; the
// shared_ptr to it keeps that harmless. std::promise throws when the pool drops the job.
// Threading: thread-safe.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

#include "davy/time.h"

namespace davy::source {

template <typename T>
class Slot {
 public:
  void put(T value) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      value_.emplace(std::move(value));
    }
    filled_.notify_one();
  }

  /// The value, or nothing when it is not there by the deadline.
  std::optional<T> take(Deadline deadline) {
    std::unique_lock<std::mutex> lock(mutex_);
    while (!value_ && !deadline.expired()) filled_.wait_for(lock, deadline.left());
    return std::exchange(value_, std::nullopt);
  }

 private:
  std::mutex mutex_;
  std::condition_variable filled_;
  std::optional<T> value_;
};

}  // namespace davy::source
