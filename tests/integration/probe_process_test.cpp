#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "base/family.h"
#include "lab/hung_mount.h"
#include "lab/probe.h"
#include "lab/process.h"

using namespace davy;

namespace {

/// A program of a name that nothing else has.
struct Program {
  Program() { std::filesystem::copy_file("/bin/sleep", path); }
  std::string name = "dvy" + std::to_string(getpid());
  lab::TempDir dir;
  std::string path = dir / name;
  lab::Process start() const { return lab::Process({{path, "1000"}}); }
};

bool is_called(pid_t pid, const std::string& name) {
  std::optional<family::Member> seen = family::look_at(pid);
  return seen && seen->name == name.substr(0, 15);
}

}  // namespace

TEST_CASE("a process is found by its name, its path and its number") {
  Program program;
  CHECK(lab::show(lab::run_probe("process", {{"name", program.name}})) ==
        "fail not_running: process \"" + program.name + "\" does not run");
  lab::Process running = program.start();
  REQUIRE(lab::eventually([&] { return is_called(running.pid(), program.name); }));
  CHECK(lab::show(lab::run_probe("process", {{"name", program.name}})) == "pass: runs");
  CHECK(lab::run_probe("process", {{"name", program.path}}).kind == Outcome::Kind::Pass);
  std::string pid = std::to_string(running.pid());
  CHECK(lab::run_probe("process", {{"pid", pid}}).kind == Outcome::Kind::Pass);
  CHECK(lab::run_probe("process", {{"pid", pid}, {"name", program.name}}).kind ==
        Outcome::Kind::Pass);
  lab::write_file(program.dir / "pid", pid + "\n");
  lab::Settings by_file = {{"pidfile", program.dir / "pid"}};
  CHECK(lab::run_probe("process", by_file).kind == Outcome::Kind::Pass);
  running.kill();
  CHECK(lab::run_probe("process", by_file).reason == "not_running");
}

TEST_CASE("a long name is told apart from others that begin alike") {
  Program program;
  std::string longer = program.dir / "a-very-long-program-name";
  std::filesystem::copy_file("/bin/sleep", longer + "-1");
  lab::Process running({{longer + "-1", "1000"}});
  REQUIRE(lab::eventually([&] { return is_called(running.pid(), "a-very-long-program-name"); }));
  CHECK(lab::run_probe("process", {{"name", "a-very-long-program-name-1"}}).kind ==
        Outcome::Kind::Pass);
  CHECK(lab::run_probe("process", {{"name", "a-very-long-program-name-2"}}).reason ==
        "not_running");
}

TEST_CASE("a number that another program has now is a stale pidfile") {
  lab::TempDir dir;
  lab::write_file(dir / "pid", std::to_string(getpid()));
  Outcome seen = lab::run_probe("process", {{"pidfile", dir / "pid"}, {"name", "nginx"}});
  CHECK(seen.reason == "other_process");
  lab::write_file(dir / "pid", "soon");
  CHECK(lab::run_probe("process", {{"pidfile", dir / "pid"}}).reason == "no_pidfile");
  CHECK(lab::run_probe("process", {{"pidfile", dir / "nothing"}}).reason == "no_pidfile");
}

TEST_CASE("too few and too many of a name fail") {
  Program program;
  lab::Process one = program.start();
  lab::Process two = program.start();
  REQUIRE(lab::eventually(
      [&] { return is_called(one.pid(), program.name) && is_called(two.pid(), program.name); }));
  auto with = [&](const char* option, const char* value) {
    return lab::run_probe("process", {{"name", program.name}, {option, value}});
  };
  CHECK(with("min_instances", "2").value == 2);
  CHECK(with("min_instances", "2").kind == Outcome::Kind::Pass);
  CHECK(with("min_instances", "3").reason == "too_few");
  CHECK(with("max_instances", "1").reason == "too_many");
}

TEST_CASE("stopped processes and zombies do not count as running") {
  Program program;
  lab::Process running = program.start();
  REQUIRE(lab::eventually([&] { return is_called(running.pid(), program.name); }));
  kill(running.pid(), SIGSTOP);
  lab::Settings settings = {{"pid", std::to_string(running.pid())}};
  CHECK(lab::eventually([&] { return lab::run_probe("process", settings).reason == "stopped"; }));
  kill(running.pid(), SIGKILL);  // not reaped until `running` is asked
  CHECK(lab::eventually([&] { return lab::run_probe("process", settings).reason == "zombie"; }));
}

TEST_CASE("a process that waits for a dead disk is warned about") {
  lab::HungMount mount;
  if (!mount) return;
  lab::Process waits({{"stat", "-f", mount.path()}});
  lab::Settings settings = {{"pid", std::to_string(waits.pid())}};
  REQUIRE(lab::eventually([&] {
    std::optional<family::Member> seen = family::look_at(waits.pid());
    return seen && seen->name == "stat" && seen->state == 'S';
  }));
  waits.signal(SIGKILL);  // FUSE waits so that a signal can end it, until one has come
  CHECK(
      lab::eventually([&] { return lab::run_probe("process", settings).reason == "disk_sleep"; }));
  mount.abort();
}

TEST_CASE("a process that has used up its descriptors fails") {
  lab::Process hungry(
      {{"sh", "-c", "ulimit -n 20; exec 5</dev/null 6<&5 7<&5 8<&5 9<&5; sleep 1000"}});
  lab::Settings settings = {{"pid", std::to_string(hungry.pid())}, {"max_fds_used", "30%"}};
  CHECK(
      lab::eventually([&] { return lab::run_probe("process", settings).reason == "descriptors"; }));
  settings[1].second = "90%";
  Outcome seen = lab::run_probe("process", settings);
  INFO(lab::show(seen));
  CHECK(seen.kind == Outcome::Kind::Pass);
  REQUIRE(seen.also.size() == 1);
  CHECK(seen.also[0].value >= 8.0 / 20);
  CHECK(seen.clear_of_fail > 0);
}

TEST_CASE("a process that was started too short ago is warned about") {
  Program program;
  lab::Process running = program.start();
  REQUIRE(lab::eventually([&] { return is_called(running.pid(), program.name); }));
  CHECK(lab::run_probe("process", {{"name", program.name}, {"min_age", "10m"}}).reason == "young");
  CHECK(lab::run_probe("process", {{"pid", "1"}, {"min_age", "1ms"}}).kind != Outcome::Kind::Fail);
}

TEST_CASE("settings that name no process, or contradict each other, are refused") {
  CHECK(lab::refusal("process", {}) == "says of no process which: give name, pidfile or pid");
  CHECK(lab::refusal("process", {{"pid", "1"}, {"pidfile", "/run/x"}}) != "");
  CHECK(lab::refusal("process", {{"pid", "0.5"}}) == "is not a process's number");
  CHECK(lab::refusal("process", {{"name", "x"}, {"min_instances", "2"}, {"max_instances", "1"}}) !=
        "");
}
