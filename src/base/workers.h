// Workers: a bounded pool of threads for calls that block.
//
// Why: probes and scrapes wait on sockets. Threads are started when needed, up to a limit, and
// kept. Threading: thread-safe. A job must not throw. Failure: when every thread is busy (or
// the kernel gives no more) and the queue is full, submit() says no; nothing waits. Shutdown: the
// destructor discards queued jobs and waits for running ones; the caller first makes them return
// (closes their sockets), or leaves the process by _exit.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace davy {

class Workers {
 public:
  using Job = std::function<void()>;

  /// `name` shows in ps and top, with the thread's number behind it.
  Workers(std::string name, std::size_t max_threads, std::size_t max_queued);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// False when the pool is full (or stopping): the job will not run.
  [[nodiscard]] bool submit(Job job);

  std::size_t busy() const;
  std::size_t limit() const { return max_threads_; }

 private:
  bool start_thread();
  void serve(std::size_t number);

  const std::string name_;
  const std::size_t max_threads_;
  const std::size_t max_queued_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> queue_;
  std::size_t busy_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace davy
