#include "base/workers.h"

#include <fmt/format.h>
#include <system_error>

#include "base/thread_name.h"

namespace davy {

Workers::Workers(std::string name, std::size_t max_threads, std::size_t max_queued)
    : name_(std::move(name)), max_threads_(max_threads), max_queued_(max_queued) {}

Workers::~Workers() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    queue_.clear();
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool Workers::submit(Job job) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (stopping_) return false;
  bool all_taken = busy_ + queue_.size() >= threads_.size();
  if (all_taken && !start_thread() && queue_.size() >= max_queued_) return false;
  queue_.push_back(std::move(job));
  wake_.notify_one();
  return true;
}

bool Workers::start_thread() {
  if (threads_.size() >= max_threads_) return false;
  try {
    threads_.emplace_back([this, number = threads_.size()] { serve(number); });
    return true;
  } catch (const std::system_error&) {  // the kernel gives us no more of them
    return false;
  }
}

std::size_t Workers::busy() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return busy_;
}

void Workers::serve(std::size_t number) {
  name_this_thread(fmt::format("{}-{}", name_, number));
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    Job job = std::move(queue_.front());
    queue_.pop_front();
    ++busy_;
    lock.unlock();
    job();
    job = nullptr;  // what it holds is freed before it counts as done
    lock.lock();
    --busy_;
  }
}

}  // namespace davy
