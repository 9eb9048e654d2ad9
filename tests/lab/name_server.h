// A name server on UDP port 53 of loopback that answers as badly as a test asks.
//
// For a network namespace of the test's own: there it is the only one.
// Threading: serves on a thread; the behaviour may be changed at any time.
// Failure: throws when the port cannot be had.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <thread>

#include "base/descriptor.h"
#include "davy/time.h"

namespace davy::lab {

class NameServer {
 public:
  enum class Mode { Address, Silent, NoSuchName, Failure };

  NameServer();
  ~NameServer();
  NameServer(const NameServer&) = delete;
  NameServer& operator=(const NameServer&) = delete;

  /// `address` = the answer to every A query, in Mode::Address. Every answer comes after `delay`.
  void become(Mode mode, const std::string& address = "127.0.0.1", Duration delay = {});
  /// Questions that have come.
  int asked() const { return asked_; }

 private:
  void serve(const std::stop_token& stop);
  std::string answer(std::string question) const;

  Descriptor socket_;
  mutable std::mutex mutex_;
  Mode mode_ = Mode::Address;
  std::string address_ = "127.0.0.1";
  Duration delay_{};
  std::atomic<int> asked_ = 0;
  std::jthread thread_;
};

}  // namespace davy::lab
