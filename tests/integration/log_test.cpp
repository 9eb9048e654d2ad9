// A log that nobody reads must not hold the agent, neither while it runs nor when it ends.

#include "base/log.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <thread>

using namespace davy;
using namespace std::chrono_literals;

namespace {

// ThreadSanitizer's own _exit flushes stderr and hangs on it, so the end cannot be tested under it.
#ifdef __SANITIZE_THREAD__
constexpr bool kExitHangs = true;
#else
constexpr bool kExitHangs = false;
#endif

}  // namespace

// Runs in a process of its own, started by the test below.
TEST_CASE("flood stderr" * doctest::skip()) {
  log::start(log::Format::Json, log::Level::Info);
  for (int i = 0; i < 20000; ++i) log::info("a line", {{"number", std::to_string(i)}});
  if (log::dropped() == 0) _exit(1);
  log::stop();
  _exit(0);
}

TEST_CASE("a blocked stderr stops neither logging nor the end, and what is dropped is counted" *
          doctest::skip(kExitHangs)) {
  int pipe_ends[2];
  REQUIRE(pipe(pipe_ends) == 0);
  pid_t child = fork();
  if (child == 0) {
    dup2(pipe_ends[1], STDERR_FILENO);
    execl("/proc/self/exe", "flood", "-tc=flood stderr", "-ns", static_cast<char*>(nullptr));
    _exit(127);
  }
  int status = 0;
  bool ended = false;
  for (int i = 0; i < 1500 && !ended; ++i) {
    ended = waitpid(child, &status, WNOHANG) == child;
    if (!ended) std::this_thread::sleep_for(20ms);
  }
  if (!ended) kill(child, SIGKILL);
  close(pipe_ends[0]);
  close(pipe_ends[1]);
  REQUIRE(ended);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
