// Commands that misbehave: none may outlive its run, whatever it does.

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/child.h"
#include "base/family.h"
#include "base/run_in_helper.h"
#include "lab/probe.h"
#include "lab/process.h"
#include "net/means.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

Outcome run_shell(const std::string& script, std::chrono::milliseconds timeout = 20s,
                  const std::string& exit_codes = "zero") {
  return lab::run_probe("exec", {{"command", "sh\n-c\n" + script}, {"exit_codes", exit_codes}},
                        timeout);
}

/// Living processes whose command line holds this word, other than ours.
int living_with(const std::string& word) {
  int count = 0;
  for (const family::Member& member : family::everybody()) {
    if (member.is_dead() || member.pid == getpid()) continue;
    std::ifstream in("/proc/" + std::to_string(member.pid) + "/cmdline", std::ios::binary);
    std::string all{std::istreambuf_iterator<char>(in), {}};
    if (all.find(word) != std::string::npos) ++count;
  }
  return count;
}

/// A length of sleep that no other process has, to recognise it by.
std::string unlikely_sleep(int number) {
  return fmt::format("{}.{}", 31000 + number, getpid());
}

}  // namespace

TEST_CASE("a command that succeeds passes with what it printed first") {
  Outcome seen = run_shell("echo all is well; echo second; echo; echo third; echo fourth");
  CHECK(lab::show(seen) == "pass: all is well / second / third");
  CHECK(seen.unit == "s");
  CHECK(lab::show(run_shell("exit 0")) == "pass");
}

TEST_CASE("an exit code other than 0 fails, with what was printed on either stream") {
  CHECK(lab::show(run_shell("echo broken >&2; exit 1")) ==
        "fail exit_code: sh ended with code 1: broken");
  CHECK(lab::show(run_shell("echo out; echo err >&2; exit 137")) ==
        "fail exit_code: sh ended with code 137: out");
  CHECK(run_shell("exit 127").reason == "exit_code");
}

TEST_CASE("exit codes in Nagios' sense pass, warn, fail or say nothing") {
  CHECK(run_shell("exit 0", 20s, "nagios").kind == Outcome::Kind::Pass);
  CHECK(run_shell("exit 1", 20s, "nagios").kind == Outcome::Kind::Warn);
  CHECK(run_shell("exit 2", 20s, "nagios").kind == Outcome::Kind::Fail);
  for (const char* code : {"3", "4", "126", "127", "137", "255"}) {
    Outcome seen = run_shell(std::string("exit ") + code, 20s, "nagios");
    CHECK(seen.kind == Outcome::Kind::Error);
    CHECK(seen.reason == "unknown");
  }
  Outcome killed = run_shell("kill -KILL $$", 20s, "nagios");
  CHECK(killed.kind == Outcome::Kind::Error);
  CHECK(killed.reason == "signal");
}

TEST_CASE("numbers that a Nagios plugin prints are measured") {
  Outcome seen = run_shell("echo \"LOAD OK | 'load 1'=250ms;5;10;0 disk=20%;80 size=2KB\"; exit 0",
                           20s, "nagios");
  CHECK(lab::show(seen) == "pass: LOAD OK");
  CHECK(seen.unit == "s");
  CHECK(seen.value == doctest::Approx(0.25));
  REQUIRE(seen.also.size() == 3);
  CHECK(seen.also[1].name == "disk");
  CHECK(seen.also[1].value == doctest::Approx(0.2));
  CHECK(seen.also[2].value == 2048);
}

TEST_CASE("a command that a signal ended failed") {
  Outcome seen = run_shell("kill -SEGV $$");
  CHECK(lab::show(seen) == "fail signal: sh was killed by signal 11");
}

TEST_CASE("a program that is not there, or a directory, is our own trouble") {
  Outcome missing = lab::run_probe("exec", {{"command", "/nonexistent/program"}});
  CHECK(lab::show(missing) ==
        "error not_started: cannot start /nonexistent/program: No such file or directory");
  CHECK(lab::run_probe("exec", {{"command", "/etc/passwd"}}).reason == "not_started");
  Outcome nowhere = lab::run_probe("exec", {{"command", "true"}, {"directory", "/nonexistent"}});
  CHECK(lab::show(nowhere) == "error not_started: directory /nonexistent does not exist");
}

TEST_CASE("a command gets the environment that was asked for and nothing else") {
  REQUIRE(setenv("DAVY_TEST_SECRET", "hunter2", 1) == 0);
  REQUIRE(setenv("DAVY_TEST_WANTED", "wanted", 1) == 0);
  Outcome seen = lab::run_probe("exec", {{"command", "sh\n-c\nenv | sort | tr '\\n' ' '; pwd"},
                                         {"env", "DAVY_TEST_WANTED\nA=b c"}});
  unsetenv("DAVY_TEST_SECRET");
  unsetenv("DAVY_TEST_WANTED");
  CHECK(seen.message.find("hunter2") == std::string::npos);
  CHECK(seen.message.find("DAVY_TEST_WANTED=wanted") != std::string::npos);
  CHECK(seen.message.find("A=b c") != std::string::npos);
  CHECK(seen.message.find("PATH=/") != std::string::npos);
  CHECK(seen.message.find("HOME=") == std::string::npos);
  CHECK(seen.message.ends_with("/"));  // the directory
}

TEST_CASE("a command has no stdin, no descriptors and no controlling terminal of ours") {
  Outcome seen = run_shell("cat; ls /proc/$$/fd | tr '\\n' ' '; cat </dev/tty");
  INFO(lab::show(seen));
  CHECK(seen.message.find("0 1 2") != std::string::npos);
  CHECK(seen.kind == Outcome::Kind::Fail);  // there is no /dev/tty
}

TEST_CASE("a background process that holds the streams does not hold up the answer") {
  std::string length = unlikely_sleep(1);
  Time began = machine_clock().now();
  Outcome seen = run_shell("sleep " + length + " & echo ok", 60s);
  CHECK(lab::show(seen) == "pass: ok");
  CHECK(machine_clock().now() - began < 30s);  // not the deadline
  CHECK(living_with(length) == 0);
}

TEST_CASE("a background process does not make a failure pass") {
  CHECK(run_shell("sleep " + unlikely_sleep(2) + " & exit 1").reason == "exit_code");
}

TEST_CASE("what leaves the session, or forks twice, is killed at the deadline too") {
  std::string length = unlikely_sleep(3);
  Outcome seen =
      run_shell("setsid setsid sleep " + length + " & (sh -c 'sleep " + length +
                    " &') ; (trap '' TERM HUP; sleep " + length + ") & echo begun; sleep " + length,
                500ms);
  INFO(lab::show(seen));
  CHECK(seen.kind == Outcome::Kind::Fail);
  CHECK(seen.reason == "timeout");
  CHECK(seen.message.find("after it said: begun") != std::string::npos);
  CHECK(living_with(length) == 0);
}

TEST_CASE("a command that ignores TERM, or stops itself, is killed at the deadline") {
  std::string length = unlikely_sleep(4);
  CHECK(run_shell("trap '' TERM INT HUP; sleep " + length + "; sleep " + length, 300ms).reason ==
        "timeout");
  CHECK(run_shell("kill -STOP $$; : " + length, 300ms).reason == "timeout");
  CHECK(living_with(length) == 0);
}

TEST_CASE("ten megabytes of output are read to the end and four kilobytes kept") {
  Outcome seen = run_shell("head -c 10000000 /dev/zero | tr '\\0' x; echo; exit 2", 60s);
  CHECK(seen.reason == "exit_code");
  CHECK(seen.message.size() <= 4096 + 64);
  Outcome endless = run_shell("yes", 500ms);
  CHECK(endless.reason == "timeout");
}

TEST_CASE("binary output becomes a message of valid text") {
  Outcome seen = run_shell("printf 'a\\000b\\377\\033[31mred\\n'; exit 1");
  CHECK(seen.message.find("a b\xEF\xBF\xBD [31mred") != std::string::npos);
  CHECK(std::none_of(seen.message.begin(), seen.message.end(),
                     [](char c) { return static_cast<unsigned char>(c) < ' '; }));
}

TEST_CASE("a fork bomb ends with its run") {
  // Bounded by a group of its own; without one this test would be the attack.
  std::string group = "/sys/fs/cgroup/pids/davy-test-" + std::to_string(getpid());
  std::error_code error;
  if (!std::filesystem::exists("/sys/fs/cgroup/pids", error)) {
    group = "/sys/fs/cgroup/davy-test-" + std::to_string(getpid());
  }
  std::filesystem::create_directory(group, error);
  std::ofstream limit(group + "/pids.max");
  limit << 60 << std::flush;
  if (error || !limit) {
    std::filesystem::remove(group, error);
    MESSAGE("skipped: a fork bomb needs a pids cgroup to bound it");
    return;
  }
  std::string mark = unlikely_sleep(5);
  Outcome seen = run_shell("echo $$ > " + group + "/cgroup.procs || exit 9; bomb() { bomb " + mark +
                               " | bomb " + mark + " & }; bomb; sleep " + mark,
                           2s);
  INFO(lab::show(seen));
  CHECK(seen.reason == "timeout");
  std::ifstream left(group + "/cgroup.procs");
  std::string first;
  CHECK_FALSE(std::getline(left, first));
  CHECK(living_with(mark) == 0);
  CHECK(lab::eventually([&] { return rmdir(group.c_str()) == 0; }));
}

// Run by the next test in a process of its own.
TEST_CASE("inner: run a command until we are killed" * doctest::skip()) {
  run_shell(std::string("setsid sleep ") + std::getenv("DAVY_TEST_SLEEP") + " & sleep " +
                std::getenv("DAVY_TEST_SLEEP"),
            10min);
}

TEST_CASE("when davy is killed, what a running command has started ends too") {
  std::string length = unlikely_sleep(6);
  lab::Process davy({.argv = {"/proc/self/exe", "-tc=inner: run a command*", "--no-skip"},
                     .env = {{"DAVY_TEST_SLEEP", length}}});
  REQUIRE(lab::eventually([&] { return living_with("sleep") > 0 && living_with(length) >= 3; }));
  kill(davy.pid(), SIGKILL);
  CHECK(lab::eventually([&] { return living_with(length) == 0; }));
}

// Run by the next test as process 1 of a pid namespace.
TEST_CASE("inner: process 1 reaps what it is given" * doctest::skip()) {
  REQUIRE(getpid() == 1);
  net::Means means;
  const ProbeKind& kind = lab::kind("exec");
  auto run = [&](const std::string& script, Duration timeout) {
    return run_in_helper(means.helpers, kind,
                         lab::options_for(kind.options, {{"command", "sh\n-c\n" + script}}),
                         ProbeContext{{Deadline::in(timeout), means}, "test"});
  };
  for (int i = 0; i < 10; ++i) {
    CHECK(run("(setsid true &); (sh -c 'true & true' &); true", 20s).kind == Outcome::Kind::Pass);
    CHECK(run("(setsid sleep 1000 &); sleep 1000", 100ms).reason == "timeout");
  }
  // Orphans that have nothing to do with us, as `kubectl exec` leaves them.
  lab::run({{"sh", "-c", "(sh -c 'sleep 0.1' &) ; exit 0"}});
  CHECK(lab::eventually([&] {
    means.helpers.reap_adopted();
    std::vector<family::Member> all = family::everybody();
    return std::none_of(all.begin(), all.end(), [](const family::Member& member) {
      return member.pid != 1 && member.name != "davy-helper";
    });
  }));
  CHECK(run("true", 20s).kind == Outcome::Kind::Pass);
}

TEST_CASE("as process 1 of a container no zombies pile up") {
  lab::Finished inner = lab::run({{"unshare", "-pf", "--mount-proc", "--kill-child", own_path(),
                                   "-tc=inner: process 1*", "--no-skip"}});
  if (inner.output.find("unshare:") != std::string::npos) {
    MESSAGE("skipped: a pid namespace needs root: " << inner.output);
    return;
  }
  CHECK_MESSAGE(inner.code == 0, inner.output);
}

TEST_CASE("a command that could only be meant for a shell is refused") {
  CHECK(
      lab::refusal("exec", {{"command", "test -e /tmp"}}) ==
      "\"test -e /tmp\" is neither an absolute path nor a program's name: there is no shell, each "
      "argument is an item of the list");
  CHECK(lab::refusal("exec", {{"command", "./here"}}) != "");
  CHECK(lab::refusal("exec", {{"command", ""}}) != "");
  CHECK(lab::refusal("exec", {{"command", "true"}, {"env", "=x"}}) ==
        "an entry is empty (try NAME, or NAME=value)");
  CHECK(lab::refusal("exec", {{"command", "true"}}) == "");
}
