// Helper processes, real ones: our own program, and scripts that misbehave in its place.
//
// A script echoes a request with `dd`: one packet in, the same packet out.

#include "base/helpers.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <thread>

#include "base/family.h"
#include "base/helper_wire.h"
#include "base/run_in_helper.h"
#include "lab/probe.h"
#include "lab/process.h"
#include "net/means.h"

using namespace davy;
using namespace std::chrono_literals;
using Kind = Helpers::Reply::Kind;

namespace {

const std::string kEcho = "dd bs=65545 count=1 <&3 >&3 2>/dev/null";

/// A program that is started as a helper.
struct Script {
  explicit Script(const std::string& body) {
    lab::write_file(dir / "helper", "#!/bin/sh\n" + body + "\n");
    REQUIRE(chmod((dir / "helper").c_str(), 0755) == 0);
  }
  HelperLimits limits() const { return {.program = dir / "helper"}; }
  lab::TempDir dir;
};

std::vector<pid_t> children() {
  std::vector<pid_t> ours;
  for (const family::Member& member : family::everybody()) {
    if (member.parent == getpid()) ours.push_back(member.pid);
  }
  return ours;
}

std::size_t open_descriptors() {
  auto all = std::filesystem::directory_iterator("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

std::string look_up_localhost() {
  return wire::write(wire::Request(wire::LookUp{"localhost"}));
}

Helpers::Reply ask(Helpers& helpers, const std::string& what, Duration patience = 20s) {
  return helpers.ask(what, Deadline::in(patience));
}

}  // namespace

TEST_CASE("one helper process serves many requests") {
  Helpers helpers;
  for (int i = 0; i < 20; ++i) {
    Helpers::Reply reply = ask(helpers, look_up_localhost());
    REQUIRE(reply.kind == Kind::Answered);
    std::optional<wire::LookedUp> found = wire::read_looked_up(reply.text);
    REQUIRE(found);
    CHECK(found->kind == wire::LookedUp::Kind::Found);
  }
  CHECK(helpers.started() == 1);
  CHECK(helpers.alive() == 1);
}

TEST_CASE("a helper is davy-helper to ps, and inherits no descriptor") {
  lab::TempDir dir;
  Descriptor file(open((dir / "ours").c_str(), O_RDWR | O_CREAT, 0600));  // not closed by exec
  Helpers helpers;
  std::vector<pid_t> before = children();
  REQUIRE(ask(helpers, look_up_localhost()).kind == Kind::Answered);
  std::vector<pid_t> now = children();
  std::erase_if(now, [&](pid_t pid) { return std::count(before.begin(), before.end(), pid) > 0; });
  REQUIRE(now.size() == 1);
  CHECK(family::look_at(now[0])->name == "davy-helper");
  std::string descriptors = "/proc/" + std::to_string(now[0]) + "/fd";
  for (const auto& entry : std::filesystem::directory_iterator(descriptors))
    CHECK(std::filesystem::read_symlink(entry.path()) != dir / "ours");
}

TEST_CASE("a helper that does not answer is killed at the deadline and replaced") {
  Script script(kEcho + "\nsleep 1000");
  Helpers helpers(script.limits());
  CHECK(ask(helpers, "a").text == "a");
  Helpers::Reply late = ask(helpers, "b", 100ms);
  CHECK(late.kind == Kind::TimedOut);
  CHECK(helpers.alive() == 0);
  CHECK(ask(helpers, "c").text == "c");
  CHECK(helpers.started() == 2);
}

TEST_CASE("what a killed helper had started is gone before ask returns") {
  lab::TempDir dir;  // a name that nothing else has
  std::string name = "dvyorphan" + std::to_string(getpid() % 100000);
  std::filesystem::copy_file("/bin/sleep", dir / name);
  std::string sleep = dir / name + " 1000";
  Script script("setsid sh -c '" + sleep + " & " + sleep + "' & " + sleep);
  Helpers helpers(script.limits());
  auto living = [&] {
    std::vector<family::Member> all = family::everybody();
    return std::count_if(all.begin(), all.end(), [&](const family::Member& member) {
      return member.name == name && !member.is_dead();
    });
  };
  std::jthread asks([&] { CHECK(ask(helpers, "a", 2s).kind == Kind::TimedOut); });
  CHECK(lab::eventually([&] { return living() == 3; }));
  asks.join();
  CHECK(living() == 0);
}

TEST_CASE("a helper that is killed from outside in the middle of a run is told, and replaced") {
  Script script("kill -KILL $$");
  Helpers helpers(script.limits());
  Helpers::Reply reply = ask(helpers, "a");
  CHECK(reply.kind == Kind::Failed);
  CHECK(reply.text.find("killed by signal 9") != std::string::npos);
  CHECK(helpers.alive() == 0);
}

TEST_CASE("a helper that dies while idle costs nobody an answer") {
  Script script(kEcho);  // ends after its first answer
  Helpers helpers(script.limits());
  std::vector<pid_t> before = children();
  for (int i = 0; i < 5; ++i) {
    CHECK(ask(helpers, "a").text == "a");
    CHECK(lab::eventually([&] {
      std::vector<pid_t> now = children();
      return std::all_of(now.begin(), now.end(), [&](pid_t pid) {
        std::optional<family::Member> seen = family::look_at(pid);
        return std::count(before.begin(), before.end(), pid) > 0 || !seen || seen->is_dead();
      });
    }));
  }
}

TEST_CASE("a helper that answers rubbish is killed") {
  for (const char* rubbish :
       {"printf x >&3", "printf 'much longer, but of no number' >&3",
        "head -c 100000 /dev/zero | dd bs=100000 iflag=fullblock >&3 2>/dev/null"}) {
    INFO(rubbish);
    Script script(std::string(rubbish) + "\nsleep 1000");
    Helpers helpers(script.limits());
    Helpers::Reply reply = ask(helpers, "a");
    CHECK(reply.kind == Kind::Failed);
    CHECK(helpers.alive() == 0);
  }
  Script script("while :; do " + kEcho + "; done");
  Helpers helpers(script.limits());
  Helpers::Reply refused =
      helpers.ask("a", Deadline::in(20s), [](const std::string&) { return false; });
  CHECK(refused.kind == Kind::Failed);
  CHECK(refused.text.find("rubbish") != std::string::npos);
  CHECK(helpers.alive() == 0);
}

TEST_CASE("a program that is not there, and too long a request, are told and not fatal") {
  Helpers helpers({.program = "/nonexistent/davy"});
  Helpers::Reply reply = ask(helpers, "a");
  CHECK(reply.kind == Kind::NotStarted);
  CHECK(reply.text == "cannot start a helper process: No such file or directory");
  CHECK(helpers.alive() == 0);
  Helpers own;
  CHECK(ask(own, std::string(100'000, 'x')).kind == Kind::Failed);
}

TEST_CASE("only so many helpers are alive at once, and only so many are kept") {
  Script script("while :; do " + kEcho + "; sleep 0.2; done");
  HelperLimits limits = script.limits();
  limits.total = 3;
  limits.idle = 2;
  Helpers helpers(limits);
  std::atomic<int> answered = 0;
  std::atomic<int> refused = 0;
  {
    std::vector<std::jthread> callers;
    for (int i = 0; i < 12; ++i) {
      callers.emplace_back([&] {
        Helpers::Reply reply = ask(helpers, "a");
        (reply.kind == Kind::Answered ? answered : refused)++;
        CHECK(helpers.alive() <= 3);
      });
    }
  }
  CHECK(answered + refused == 12);
  CHECK(answered >= 3);
  CHECK(helpers.alive() <= 2);
}

TEST_CASE("no zombie and no descriptor is left after two hundred kills") {
  Script script("sleep 1000");
  std::size_t descriptors = open_descriptors();
  std::vector<pid_t> before = children();
  {
    Helpers helpers(script.limits());
    std::vector<std::jthread> callers;
    for (int i = 0; i < 8; ++i) {
      callers.emplace_back([&] {
        for (int n = 0; n < 25; ++n) CHECK(ask(helpers, "a", 1ms).kind == Kind::TimedOut);
      });
    }
    callers.clear();
    CHECK(helpers.killed() == 200);
    CHECK(helpers.alive() == 0);
  }
  CHECK(children() == before);
  CHECK(open_descriptors() == descriptors);
}

TEST_CASE("without descriptors no helper starts, and later one does") {
  Helpers helpers;
  std::vector<int> eaten;
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit few{open_descriptors() + 8, before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &few) == 0);
  for (int fd; (fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) eaten.push_back(fd);
  Helpers::Reply reply = ask(helpers, look_up_localhost());
  for (int fd : eaten) close(fd);
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(reply.kind == Kind::NotStarted);
  CHECK(reply.text.find("Too many open files") != std::string::npos);
  CHECK(ask(helpers, look_up_localhost()).kind == Kind::Answered);
}

TEST_CASE("an outcome of our own limits is an error and says nothing about what was probed") {
  Helpers helpers({.program = "/nonexistent/davy"});
  net::Means means;
  const ProbeKind& kind = lab::kind("disk");
  Outcome seen = run_in_helper(helpers, kind, lab::options_for(kind.options, {{"path", "/"}}),
                               ProbeContext{{Deadline::in(10s), means}});
  CHECK(lab::show(seen) ==
        "error resources: cannot start a helper process: No such file or directory");
}

TEST_CASE("a probe runs in a helper as it does here, with its phases") {
  net::Means means;
  Trace trace;
  const ProbeKind& kind = lab::kind("disk");
  Options options = lab::options_for(kind.options, {{"path", "/"}, {"min_free", "1"}});
  for (int i = 0; i < 3; ++i) {
    Outcome seen = run_in_helper(means.helpers, kind, options,
                                 ProbeContext{{Deadline::in(20s), means, &trace}, "data"});
    CHECK(seen.kind == Outcome::Kind::Pass);
    CHECK(seen.unit == "bytes");
    CHECK(seen.value > 0);
  }
  CHECK(means.helpers.started() == 1);
}

// Run by the next test in a process of its own.
TEST_CASE("inner: ask once, say the helper's pid, and wait to be killed" * doctest::skip()) {
  Helpers helpers;
  REQUIRE(ask(helpers, look_up_localhost()).kind == Kind::Answered);
  for (pid_t pid : children()) fmt::print(stderr, "helper {} end", pid);
  pause();
}

TEST_CASE("a helper ends when its parent is killed") {
  lab::Process parent({{"/proc/self/exe", "-tc=inner: ask once*", "--no-skip"}});
  REQUIRE(lab::eventually([&] { return parent.output().find(" end") != std::string::npos; }));
  std::string said = parent.output();
  pid_t helper = std::atoi(said.c_str() + said.find("helper ") + 7);
  REQUIRE(helper > 0);
  REQUIRE(family::look_at(helper));
  kill(parent.pid(), SIGKILL);
  CHECK(lab::eventually([&] {
    std::optional<family::Member> seen = family::look_at(helper);
    return !seen || seen->is_dead();
  }));
}

// Run by the next test as a user whose processes are counted.
TEST_CASE("inner: ask without a process left" * doctest::skip()) {
  rlimit none{1, 1};
  REQUIRE(setrlimit(RLIMIT_NPROC, &none) == 0);
  Helpers helpers;
  Helpers::Reply reply = ask(helpers, look_up_localhost());
  CHECK(reply.kind == Kind::NotStarted);
  CHECK(reply.text.find("Resource temporarily unavailable") != std::string::npos);
}

TEST_CASE("without a process left no helper starts") {
  if (geteuid() != 0) {
    MESSAGE("skipped: running as another user needs root");
    return;
  }
  lab::TempDir dir;  // the build's directory may be closed to others
  std::filesystem::copy_file("/proc/self/exe", dir / "tests");
  REQUIRE(chmod(dir.path().c_str(), 0755) == 0);
  lab::Finished inner =
      lab::run({.argv = {dir / "tests", "-tc=inner: ask without*", "--no-skip"}, .user = "nobody"});
  CHECK_MESSAGE(inner.code == 0, inner.output);
}
