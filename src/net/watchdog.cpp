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
    Time now = machine_clock().now();
    Time next = waiting_.empty() ? Time::never() : waiting_.begin()->first.first;
    if (next > now) {
      // Guards that go away in the meantime leave the sleep as it is: a wake-up per guard would
      // cost more than the calls they guard.
      wakes_at_ = std::min(next, now + kLongestWait);
      wake_.wait_for(lock, stop, wakes_at_ - now, [this] { return is_called_; });
      is_called_ = false;
      wakes_at_ = Time{};
      continue;
    }
    auto first = waiting_.begin();
    const Key key = first->first;
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
  if (place->first.first >= dog_.wakes_at_) return;
  dog_.is_called_ = true;
  dog_.wake_.notify_one();
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
