// Guarded<T> and Published<T>: the two ways in which threads share something here.
//
// Why: a value that is only reachable with its lock held cannot be touched without it, and a
// snapshot that never changes needs no care at all.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>

namespace davy {

/// A value and its lock. Thread-safe.
template <typename T>
class Guarded {
 public:
  class Lock {
   public:
    explicit Lock(Guarded& g) : lock_(g.mutex_), value_(&g.value_) {}
    T* operator->() const { return value_; }
    T& operator*() const { return *value_; }
    std::unique_lock<std::mutex>& mutex() { return lock_; }

   private:
    std::unique_lock<std::mutex> lock_;
    T* value_;
  };

  Guarded() = default;
  explicit Guarded(T value) : value_(std::move(value)) {}

  Lock lock() { return Lock(*this); }

 private:
  std::mutex mutex_;
  T value_{};
};

/// One immutable snapshot, swapped whole. Thread-safe.
/// A mutex, not std::atomic<std::shared_ptr>: libstdc++ 12's is not clean under TSan.
template <typename T>
class Published {
 public:
  Published() = default;
  explicit Published(T first) : now_(std::make_shared<const T>(std::move(first))) {}

  std::shared_ptr<const T> get() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return now_;
  }
  void set(std::shared_ptr<const T> next) {
    std::lock_guard<std::mutex> lock(mutex_);
    now_.swap(next);  // the old one is freed by our caller, after the lock
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const T> now_;
};

}  // namespace davy
