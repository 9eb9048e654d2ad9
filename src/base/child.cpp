#include "base/child.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>
#include <utility>

namespace davy {
namespace {

constexpr int kNotStarted = 127;

/// Runs in the child between fork and exec: only async-signal-safe calls.
[[noreturn]] void become(char* const* argv, const char* output, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kNotStarted);  // the parent died before we asked
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (output != nullptr) {
    int fd = open(output, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0) _exit(kNotStarted);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
  }
  int nothing = open("/dev/null", O_RDONLY);
  if (nothing >= 0) dup2(nothing, STDIN_FILENO);
  execv(argv[0], argv);
  _exit(kNotStarted);
}

int code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

Result<Child> Child::spawn(const std::vector<std::string>& argv, const std::string& output) {
  std::vector<char*> args;
  for (const std::string& arg : argv) args.push_back(const_cast<char*>(arg.c_str()));
  args.push_back(nullptr);
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid < 0) return Error{argv[0] + ": cannot fork: " + std::strerror(errno)};
  if (pid == 0) become(args.data(), output.empty() ? nullptr : output.c_str(), parent);
  return Child(pid);
}

Child::~Child() {
  if (pid_ < 0 || code_) return;
  signal(SIGKILL);
  wait(std::chrono::seconds(5));
}

Child::Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)), code_(other.code_) {}

Child& Child::operator=(Child&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(code_, other.code_);
  return *this;
}

void Child::signal(int number) const {
  if (pid_ > 0 && !code_) kill(pid_, number);
}

std::optional<int> Child::ended() {
  int status = 0;
  if (pid_ > 0 && !code_ && waitpid(pid_, &status, WNOHANG) == pid_) code_ = code_of(status);
  return code_;
}

std::optional<int> Child::wait(Duration limit) {
  Deadline deadline = Deadline::in(limit);
  while (!ended() && !deadline.expired()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  return code_;
}

std::string own_path() {
  char path[4096];
  ssize_t n = readlink("/proc/self/exe", path, sizeof path);
  return n > 0 ? std::string(path, static_cast<std::size_t>(n)) : "davy";
}

}  // namespace davy
