// Processes for tests: start one, read what it says, stop or freeze it.
//
// Why: the lab's servers and the agent itself run as real processes. None outlives the test
// program: the kernel kills them when it dies, the destructor when it does not. Threading: one
// thread; the one that starts a process must live as long as the process. Failure: throws
// std::runtime_error; a test that cannot set up its world fails.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace davy::lab {

struct Command {
  std::vector<std::string> argv;                           // argv[0] is looked up in PATH
  std::vector<std::pair<std::string, std::string>> env{};  // added to ours
  std::string user{};                                      // run as this user ("" = as we are)
  std::string directory{};                                 // "" = ours
};

class Process {
 public:
  explicit Process(const Command& command);
  ~Process();
  Process(Process&& other) noexcept;
  Process& operator=(Process&&) = delete;

  pid_t pid() const { return pid_; }
  /// What it has written to stdout and stderr so far.
  std::string output() const;
  std::string stdout_text() const;
  std::string stderr_text() const;

  bool running();
  void signal(int number);
  /// Its exit code, 128 + N when signal N ended it; nullopt when it still runs after `patience`.
  std::optional<int> wait(std::chrono::milliseconds patience = std::chrono::seconds(30));
  void kill();  // SIGKILL, and waits

  /// SIGSTOP and SIGCONT for it and all its descendants.
  void pause();
  void resume();

 private:
  pid_t pid_ = -1;
  int out_ = -1;
  int err_ = -1;
  std::optional<int> status_;
};

struct Finished {
  int code = 0;
  std::string output;
};
/// Runs a command to its end.
Finished run(const Command& command, std::chrono::milliseconds patience = std::chrono::seconds(60));

/// Whether there is such a program in PATH.
bool is_installed(const std::string& program);

/// A port on loopback on which nobody listens now.
int free_port();

/// Asks until it is true. False when it still is not after `patience`.
bool eventually(const std::function<bool()>& is_true,
                std::chrono::milliseconds patience = std::chrono::seconds(30));

/// A directory that is removed with all its content.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  void give_to(const std::string& user) const;

 private:
  std::string path_;
};

void write_file(const std::string& path, const std::string& content);

}  // namespace davy::lab
