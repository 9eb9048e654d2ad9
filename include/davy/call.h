// Call: what a blocking call needs to come back in time, and who wants to know how it went.
//
// Why: resolving, connecting, shaking hands and asking share one deadline, however many functions
// they pass through. So they all take this one value.
// Threading: a Call belongs to one thread; a Trace may be read from another while it grows.
#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "davy/time.h"

namespace davy {

namespace net {
struct Means;
}

/// The phases of one run, in order: what `davy check` shows. Thread-safe.
class Trace {
 public:
  struct Phase {
    std::string name;  // "resolve", "connect", "tls", "first byte", "query"
    Duration took{0};
    std::string note;  // what came of it, for a person; never a secret
  };

  void add(Phase phase) {
    std::lock_guard<std::mutex> lock(mutex_);
    phases_.push_back(std::move(phase));
  }
  std::vector<Phase> phases() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return phases_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Phase> phases_;
};

/// One blocking call: until when, by what means, watched by whom.
struct Call {
  Deadline deadline;
  net::Means& net;         // the watchdog and the resolver, see net/means.h
  Trace* trace = nullptr;  // null = nobody looks

  /// The same with less time.
  Call until(Deadline earlier) const { return {deadline.earlier(earlier), net, trace}; }
};

/// Times one phase of a call from its making to its end. Costs nothing when nobody looks.
class Step {
 public:
  Step(const Call& call, std::string_view name) : trace_(call.trace) {
    if (trace_ == nullptr) return;
    name_ = name;
    began_ = machine_clock().now();
  }
  ~Step() {
    if (trace_ == nullptr) return;
    trace_->add({std::move(name_), machine_clock().now() - began_, std::move(note_)});
  }
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

  void note(std::string_view what) {
    if (trace_ != nullptr) note_ = what;
  }

 private:
  Trace* trace_;
  std::string name_;
  std::string note_;
  Time began_{};
};

}  // namespace davy
