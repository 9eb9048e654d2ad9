#include "net/watchdog.h"

#include <sys/socket.h>

#include <algorithm>

#include "base/thread_name.h"

namespace davy::net {

// The wait is on the monotonic clock, the deadlines count suspended time too: look again once a
// minute, so that a resumed machine is not late by the time it slept.
constexpr Duration kLongestWait = std::chrono::minutes(1);

Watchdog::Watchdog() : thread_([this](const std::stop_token& stop) { serve(stop); }) {}

Watchdog::~Watchdog() = default;  // the jthread asks its loop to stop, and joins

void Watchdog::serve(const std::stop_token& stop) {
  name_this_thread("davy-watchdog");
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stop.stop_requested()) {
    if (waiting_.empty()) {
      wake_.wait(lock, stop, [this] { return !waiting_.empty(); });
      continue;
    }
    auto first = waiting_.begin();
    const Key key = first->first;
    Duration left = key.first - machine_clock().now();
    if (left > Duration::zero()) {
      wake_.wait_for(lock, stop, std::min(left, kLongestWait),
                     [&] { return waiting_.empty() || waiting_.begin()->first != key; });
      continue;
    }
    std::function<void()> action = std::move(first->second);
    waiting_.erase(first);
    running_ = &key;
    lock.unlock();
    action();
    lock.lock();
    running_ = nullptr;
    idle_.notify_all();
  }
}

Watchdog::Guard::Guard(Watchdog& dog, Deadline deadline, std::function<void()> action) : dog_(dog) {
  std::lock_guard<std::mutex> lock(dog_.mutex_);
  key_ = {deadline.at(), dog_.next_++};
  auto [place, _] = dog_.waiting_.emplace(key_, std::move(action));
  if (place == dog_.waiting_.begin()) dog_.wake_.notify_one();
}

Watchdog::Guard::Guard(Watchdog& dog, Deadline deadline, int fd)
    : Guard(dog, deadline, [fd] { ::shutdown(fd, SHUT_RDWR); }) {}

Watchdog::Guard::~Guard() {
  std::unique_lock<std::mutex> lock(dog_.mutex_);
  if (dog_.waiting_.erase(key_) > 0) return;
  dog_.idle_.wait(lock, [this] { return dog_.running_ == nullptr || *dog_.running_ != key_; });
}

bool Watchdog::Guard::fired() const {
  std::lock_guard<std::mutex> lock(dog_.mutex_);
  return dog_.waiting_.count(key_) == 0;
}

}  // namespace davy::net
