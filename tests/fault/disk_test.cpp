// Disks that break in every way: full, frozen, read-only, gone, dead.

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/family.h"
#include "base/run_in_helper.h"
#include "lab/agent.h"
#include "lab/hung_mount.h"
#include "lab/loop_disk.h"
#include "lab/probe.h"
#include "lab/tmpfs.h"
#include "net/means.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

std::vector<pid_t> helpers_of(pid_t parent) {
  std::vector<pid_t> helpers;
  for (const family::Member& member : family::everybody()) {
    if (member.parent == parent && member.name == "davy-helper") helpers.push_back(member.pid);
  }
  return helpers;
}

/// One run on a thread of its own, as the agent has it.
class Running {
 public:
  Running(const std::string& kind_name, const lab::Settings& settings, Duration timeout)
      : thread_([this, kind_name, settings, timeout] {
          const ProbeKind& kind = lab::kind(kind_name);
          seen_ = run_in_helper(means_.helpers, kind, lab::options_for(kind.options, settings),
                                ProbeContext{{Deadline::in(timeout), means_}, "test"});
          is_back_ = true;
        }) {}
  Helpers& helpers() { return means_.helpers; }
  bool is_back() const { return is_back_; }
  Outcome wait() {
    thread_.join();
    return seen_;
  }

 private:
  net::Means means_;
  Outcome seen_;
  std::atomic<bool> is_back_ = false;
  std::jthread thread_;
};

/// The run has passed its deadline, its helper was killed and does not die.
bool is_stuck(Running& running) {
  std::vector<pid_t> helpers = helpers_of(getpid());
  if (running.is_back() || helpers.size() != 1) return false;
  std::optional<family::Member> helper = family::look_at(helpers[0]);
  return helper && helper->state == 'D' && running.helpers().killed() == 1;
}

void fill_as_nobody(const std::string& directory) {
  REQUIRE(chmod(directory.c_str(), 0777) == 0);
  lab::Finished filled = lab::run(
      {.argv = {"dd", "if=/dev/zero", "of=" + directory + "/big", "bs=1k"}, .user = "nobody"});
  REQUIRE(filled.output.find("No space left") != std::string::npos);
}

}  // namespace

// Run by the next test as a user for whom nothing is reserved.
TEST_CASE("inner: the write probe of a full disk" * doctest::skip()) {
  const char* directory = std::getenv("DAVY_TEST_DIRECTORY");
  REQUIRE(directory != nullptr);
  Outcome seen = lab::run_probe("disk", {{"path", directory},
                                         {"min_free", "0"},
                                         {"min_free_inodes", "0"},
                                         {"write_probe", directory}});
  INFO(lab::show(seen));
  CHECK(seen.kind == Outcome::Kind::Fail);
  CHECK(seen.reason == "no_space");
}

TEST_CASE("a disk that is full for ordinary users fails while root has some left") {
  lab::LoopDisk disk;
  if (!disk) return;
  lab::Settings settings = {{"path", disk.path()}, {"min_free", "5%"}};
  CHECK(lab::run_probe("disk", settings).kind == Outcome::Kind::Pass);
  fill_as_nobody(disk.path());
  struct statvfs raw {};
  REQUIRE(statvfs(disk.path().c_str(), &raw) == 0);
  CHECK(raw.f_bfree > raw.f_bavail);
  Outcome seen = lab::run_probe("disk", settings);
  INFO(lab::show(seen));
  CHECK(seen.reason == "low_space");
  CHECK(seen.clear_of_fail < 0);

  lab::TempDir dir;  // the build's directory may be closed to others
  std::filesystem::copy_file("/proc/self/exe", dir / "tests");
  REQUIRE(chmod(dir.path().c_str(), 0755) == 0);
  lab::Finished inner =
      lab::run({.argv = {dir / "tests", "-tc=inner: the write probe*", "--no-skip"},
                .env = {{"DAVY_TEST_DIRECTORY", disk.path()}},
                .user = "nobody"});
  CHECK_MESSAGE(inner.code == 0, inner.output);
}

TEST_CASE("a disk without inodes fails although nearly all of its bytes are free") {
  lab::LoopDisk disk("-N 32");
  if (!disk) return;
  lab::Settings settings = {{"path", disk.path()},
                            {"min_free", "1%"},
                            {"min_free_inodes", "1"},
                            {"write_probe", disk.path()}};
  CHECK(lab::run_probe("disk", settings).kind == Outcome::Kind::Pass);
  for (int i = 0; std::ofstream(disk / std::to_string(i)).is_open(); ++i) REQUIRE(i < 100);
  Outcome seen = lab::run_probe("disk", settings);
  INFO(lab::show(seen));
  CHECK(seen.reason == "low_inodes");
  Outcome written = lab::run_probe(
      "disk", {{"path", disk.path()}, {"min_free", "1%"}, {"write_probe", disk.path()}});
  CHECK(written.reason == "no_space");
}

TEST_CASE("a disk that was remounted read-only fails its write probe hard") {
  lab::LoopDisk disk;
  if (!disk) return;
  lab::Settings settings = {{"path", disk.path()}, {"write_probe", disk.path()}};
  CHECK(lab::run_probe("disk", settings).kind == Outcome::Kind::Pass);
  REQUIRE(mount(nullptr, disk.path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0);
  Outcome seen = lab::run_probe("disk", settings);
  INFO(lab::show(seen));
  CHECK(seen.kind == Outcome::Kind::Fail);
  CHECK(seen.hard);
  CHECK(seen.reason == "read_only");
}

TEST_CASE("a write probe leaves nothing behind, and cleans up after one that was killed") {
  lab::TempDir dir;
  lab::write_file(dir / ".davy-write-probe-test", "left behind");
  Outcome seen = lab::run_probe(
      "disk", {{"path", dir.path()}, {"min_free", "1"}, {"write_probe", dir.path()}});
  INFO(lab::show(seen));
  CHECK(seen.kind == Outcome::Kind::Pass);
  CHECK(std::filesystem::is_empty(dir.path()));
}

TEST_CASE("on a frozen disk statvfs passes, and the write probe is stuck until it thaws") {
  lab::LoopDisk disk;
  if (!disk) return;
  disk.freeze();
  CHECK(lab::run_probe("disk", {{"path", disk.path()}}).kind == Outcome::Kind::Pass);
  Running running("disk", {{"path", disk.path()}, {"write_probe", disk.path()}}, 300ms);
  CHECK(lab::eventually([&] { return is_stuck(running); }));
  disk.thaw();
  Outcome seen = running.wait();
  CHECK(lab::show(seen) ==
        "fail timeout: no answer within 300ms: the helper process that waited was killed");
  CHECK(helpers_of(getpid()).empty());
}

TEST_CASE("a mount that never answers holds one helper process, until it is aborted") {
  lab::HungMount mount;
  if (!mount) return;
  Running running("disk", {{"path", mount.path()}}, 300ms);
  CHECK(lab::eventually([&] { return is_stuck(running); }));
  CHECK_FALSE(running.is_back());
  mount.abort();
  CHECK(running.wait().reason == "timeout");
  CHECK(helpers_of(getpid()).empty());
  Outcome gone = lab::run_probe("disk", {{"path", mount.path()}});
  INFO(lab::show(gone));
  CHECK(gone.reason == "io");
}

TEST_CASE("a helper that does not die does not hold up the end of the program") {
  lab::HungMount mount;
  if (!mount) return;
  auto running = std::make_unique<Running>("disk", lab::Settings{{"path", mount.path()}}, 100ms);
  REQUIRE(lab::eventually([&] { return is_stuck(*running); }));
  running->helpers().stop();
  CHECK(running->wait().reason == "timeout");  // and the helper is still there
  CHECK(helpers_of(getpid()).size() == 1);
  mount.abort();
  CHECK(lab::eventually([] {
    std::vector<pid_t> left = helpers_of(getpid());
    return left.size() == 1 && family::look_at(left[0])->is_dead();
  }));
  running->helpers().reap_adopted();  // keeps away from what it has started itself
  CHECK(helpers_of(getpid()).size() == 1);
  for (pid_t pid : helpers_of(getpid())) waitpid(pid, nullptr, 0);
}

TEST_CASE("the agent answers while a mount is dead, tells that the check is stuck, and recovers") {
  lab::HungMount mount;
  if (!mount) return;
  lab::Agent agent(fmt::format(
      "checks:\n  - {{ name: data, disk: {{ path: {}, min_free: 1 }}, roles: [readiness], period: "
      "500ms, timeout: 300ms, failure_threshold: 2 }}\n",
      mount.path()));
  CHECK(lab::eventually(
      [&] { return agent.get("/readyz?verbose").body.find("stuck") != std::string::npos; }));
  for (int i = 0; i < 20; ++i) CHECK(agent.health("/livez").status == 200);
  CHECK(agent.health("/readyz").status == 503);
  CHECK(helpers_of(agent.process().pid()).size() <= 1);
  mount.abort();
  mount.unmount();
  CHECK(lab::eventually([&] { return agent.health("/readyz").status == 200; }));
  CHECK(helpers_of(agent.process().pid()).size() <= 1);
}

TEST_CASE("a suspended device holds one helper process, until it is resumed") {
  const std::string name = "davy-test-" + std::to_string(getpid());
  lab::LoopDisk disk;  // for its right to make loop devices
  if (!disk) return;
  if (lab::run({{"dmsetup", "version"}}).code != 0) {
    MESSAGE("skipped: dmsetup does not work here (no device mapper in this kernel)");
    return;
  }
  lab::TempDir dir;
  std::filesystem::create_directory(dir / "mounted");
  lab::Finished made = lab::run(
      {{"sh", "-c",
        fmt::format("set -e; truncate -s 16M {0}/image; loop=$(losetup -f --show {0}/image); "
                    "dmsetup create {1} --table \"0 32768 linear $loop 0\"; mkfs.ext4 -q "
                    "/dev/mapper/{1}; mount /dev/mapper/{1} {0}/mounted; dmsetup suspend "
                    "--nolockfs {1}; echo $loop",
                    dir.path(), name)}});
  REQUIRE_MESSAGE(made.code == 0, made.output);
  {
    Running running("disk", {{"path", dir / "mounted"}, {"write_probe", dir / "mounted"}}, 300ms);
    CHECK(lab::eventually([&] { return is_stuck(running); }));
    lab::run({{"dmsetup", "resume", name}});
    CHECK(running.wait().reason == "timeout");
  }
  lab::run({{"sh", "-c",
             fmt::format("umount {0}/mounted; dmsetup remove {1}; losetup -D", dir.path(), name)}});
}

TEST_CASE("a path where nothing is mounted fails hard when a mount is expected") {
  lab::TempDir dir;
  Outcome seen =
      lab::run_probe("disk", {{"path", dir.path()}, {"min_free", "1"}, {"mount", "true"}});
  INFO(lab::show(seen));
  CHECK(seen.kind == Outcome::Kind::Fail);
  CHECK(seen.hard);
  CHECK(seen.reason == "not_mounted");
  // Mounted everywhere, with or without rights; it has no size, which is another matter.
  CHECK(lab::run_probe("disk", {{"path", "/proc"}, {"mount", "true"}}).reason == "no_size");
  lab::Tmpfs fs("size=1m");
  if (!fs) return;
  CHECK(lab::run_probe("disk", {{"path", fs.path()}, {"mount", "true"}}).kind ==
        Outcome::Kind::Pass);
  // Also what is mounted from the same filesystem.
  REQUIRE(mount("/usr", dir.path().c_str(), nullptr, MS_BIND, nullptr) == 0);
  Outcome bound =
      lab::run_probe("disk", {{"path", dir.path()}, {"min_free", "1"}, {"mount", "true"}});
  umount2(dir.path().c_str(), MNT_DETACH);
  CHECK(lab::show(bound).starts_with("pass"));
}

TEST_CASE("paths that lead nowhere are told apart") {
  lab::TempDir dir;
  lab::write_file(dir / "file", "");
  CHECK(lab::run_probe("disk", {{"path", dir / "file/below"}}).reason == "missing");
  REQUIRE(symlink((dir / "loop").c_str(), (dir / "loop").c_str()) == 0);
  Outcome loop = lab::run_probe("disk", {{"path", dir / "loop"}});
  CHECK(loop.kind == Outcome::Kind::Error);
  CHECK(loop.reason == "unreadable");
  CHECK(lab::run_probe("disk", {{"path", "/" + std::string(5000, 'x')}}).reason == "unreadable");
  Outcome missing =
      lab::run_probe("disk", {{"path", "/"}, {"min_free", "1"}, {"write_probe", dir / "nothing"}});
  CHECK(missing.reason == "missing");
}

TEST_CASE("a working directory that was deleted harms no probe") {
  std::filesystem::path before = std::filesystem::current_path();
  {
    lab::TempDir dir;
    std::filesystem::current_path(dir.path());
  }
  Outcome disk = lab::run_probe("disk", {{"path", "/"}, {"min_free", "1"}});
  Outcome exec = lab::run_probe("exec", {{"command", "true"}});
  std::filesystem::current_path(before);
  CHECK(lab::show(disk).starts_with("pass"));
  CHECK(lab::show(exec) == "pass");
}
