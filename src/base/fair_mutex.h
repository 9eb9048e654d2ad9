// FairMutex: a mutex that is handed over to who waits for it.
//
// Why: a thread that unlocks a std::mutex and locks it again at once, over and over, may keep
// another one waiting for as long as it has work. Here whoever waits holds the turn, so the other
// one queues behind it. Costs a second, free mutex per lock.
// Threading: thread-safe. Locked and unlocked by std::lock_guard and its like.
#pragma once

#include <mutex>

namespace davy {

class FairMutex {
 public:
  void lock() {
    turn_.lock();
    work_.lock();
    turn_.unlock();
  }
  void unlock() { work_.unlock(); }

 private:
  std::mutex turn_;
  std::mutex work_;
};

}  // namespace davy
