// davy marker: runs a migration with its marker file held, for checks of the kind migration_marker.
//
// The file appears with its content and its lock, and goes when the command has ended. The command
// inherits the lock, so it stands as long as the migration runs, even when davy is killed. Signals
// are passed on. Exit code: the command's; 3 when the marker cannot be held, 127 and 126 as a
// shell.

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "app/cli/commands.h"
#include "base/marker.h"
#include "base/units.h"

namespace davy::app {
namespace {

sigset_t passed_on() {
  sigset_t set;
  sigemptyset(&set);
  for (int s : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD}) sigaddset(&set, s);
  return set;
}

[[noreturn]] void become(const std::vector<std::string>& command, const sigset_t& before) {
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  sigprocmask(SIG_SETMASK, &before, nullptr);
  std::signal(SIGPIPE, SIG_DFL);
  execvp(argv[0], argv.data());
  int code = errno == ENOENT ? 127 : 126;
  fmt::print(stderr, "{}: {}\n", command[0], std::strerror(errno));
  std::fflush(stderr);
  _exit(code);
}

/// Passes signals on until the command has ended; its exit code.
int follow(pid_t child, const sigset_t& signals) {
  while (true) {
    int status = 0;
    if (waitpid(child, &status, WNOHANG) == child)
      return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    int signal = sigwaitinfo(&signals, nullptr);
    if (signal > 0 && signal != SIGCHLD) kill(child, signal);
  }
}

}  // namespace

int marker(const MarkerOptions& options) {
  Marker content = Marker::of_this_process();
  content.version = options.version;
  content.started_at = units::show_time(machine_clock().wall());
  if (options.ttl > Duration::zero()) content.ttl = options.ttl;
  Result<HeldMarker> held = HeldMarker::write(options.path, content);
  if (!held) {
    fmt::print(stderr, "{}\n", held.error().what);
    return kExitError;
  }
  held->keep_open_in_children();
  sigset_t signals = passed_on();
  sigset_t before;
  sigprocmask(SIG_BLOCK, &signals, &before);
  pid_t child = fork();
  if (child < 0) {
    fmt::print(stderr, "cannot start {}: {}\n", options.command[0], std::strerror(errno));
    return kExitError;
  }
  if (child == 0) become(options.command, before);
  return follow(child, signals);
}

}  // namespace davy::app
