// Child: a process of ours that dies with us.
//
// Why: helpers and the demo's services must never outlive their parent. Created with posix
// semantics that matter here: own signal mask, SIGKILL when the parent dies, output into a file.
// Threading: a Child belongs to one thread. Failure: spawn() returns an Error, nothing throws.
#pragma once

#include <sys/types.h>
#include <optional>
#include <string>
#include <vector>

#include "davy/result.h"
#include "davy/time.h"

namespace davy {

class Child {
 public:
  /// `output` = file that gets stdout and stderr; "" = ours. argv[0] is the program's path.
  static Result<Child> spawn(const std::vector<std::string>& argv, const std::string& output = "");

  /// Kills what still runs, and waits for it.
  ~Child();
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;

  pid_t pid() const { return pid_; }
  void signal(int number) const;
  /// The exit code (128 + signal when it was killed) once it has ended.
  std::optional<int> ended();
  /// Waits up to `limit`; nullopt = still running.
  std::optional<int> wait(Duration limit);

 private:
  explicit Child(pid_t pid) : pid_(pid) {}

  pid_t pid_ = -1;
  std::optional<int> code_;
};

/// The path of the running program itself.
std::string own_path();

}  // namespace davy
