// Markers of migrations that crashed, hang, lie, or are of another machine.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <ctime>

#include "base/descriptor.h"
#include "base/marker.h"
#include "lab/agent.h"
#include "lab/hung_mount.h"
#include "lab/probe.h"
#include "lab/process.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

/// A marker's file with this content, changed some time ago.
struct MarkerFile {
  explicit MarkerFile(const std::string& content, std::chrono::seconds ago = 0s) {
    lab::write_file(path, content);
    timespec changed{std::time(nullptr) - ago.count(), 0};
    timespec both[] = {changed, changed};
    REQUIRE(utimensat(AT_FDCWD, path.c_str(), both, 0) == 0);
  }
  Outcome look(const std::string& max_age = "30m") const {
    return lab::run_probe("migration_marker", {{"path", path}, {"max_age", max_age}});
  }
  lab::TempDir dir;
  std::string path = dir / "migrating";
};

/// A process that has ended.
Marker of_a_dead_process() {
  Marker marker = Marker::of_this_process();
  lab::Process gone({{"true"}});
  REQUIRE(gone.wait());
  marker.pid = gone.pid();
  return marker;
}

}  // namespace

TEST_CASE("while a marker is held its migration runs, and afterwards there is none") {
  lab::TempDir dir;
  lab::Settings settings = {{"path", dir / "migrating"}};
  {
    Result<HeldMarker> held = HeldMarker::write(dir / "migrating", {.version = "2026_11"});
    REQUIRE(held);
    Outcome seen = lab::run_probe("migration_marker", settings);
    INFO(lab::show(seen));
    CHECK(seen.kind == Outcome::Kind::Warn);
    CHECK(seen.reason == "migrating");
    CHECK(seen.blocks_deploy);
    CHECK(seen.message.find("to version \"2026_11\"") != std::string::npos);
    Result<HeldMarker> second = HeldMarker::write(dir / "migrating", {});
    REQUIRE_FALSE(second);
    CHECK(second.error().what.find("a migration is running") != std::string::npos);
  }
  CHECK(lab::show(lab::run_probe("migration_marker", settings)) == "pass: no migration running");
}

// Run by the next test in a process of its own.
TEST_CASE("inner: hold a marker until killed" * doctest::skip()) {
  Result<HeldMarker> held =
      HeldMarker::write(std::getenv("DAVY_TEST_MARKER"), Marker::of_this_process());
  REQUIRE(held);
  pause();
}

TEST_CASE("a migration that is killed has crashed at once, whatever the marker's age") {
  lab::TempDir dir;
  lab::Process migration({.argv = {"/proc/self/exe", "-tc=inner: hold a marker*", "--no-skip"},
                          .env = {{"DAVY_TEST_MARKER", dir / "migrating"}}});
  lab::Settings settings = {{"path", dir / "migrating"}};
  REQUIRE(lab::eventually(
      [&] { return lab::run_probe("migration_marker", settings).reason == "migrating"; }));
  migration.kill();
  Outcome seen = lab::run_probe("migration_marker", settings);
  INFO(lab::show(seen));
  CHECK(seen.kind == Outcome::Kind::Fail);
  CHECK(seen.hard);
  CHECK(seen.reason == "crashed");
  CHECK(seen.message.find("is not held") != std::string::npos);
}

TEST_CASE("locks of every kind hold a marker") {
  for (int kind : {0, 1, 2}) {
    MarkerFile marker("{\"lock\": true}");
    Descriptor file(open(marker.path.c_str(), O_RDWR | O_CLOEXEC));
    struct flock region {};
    region.l_type = F_WRLCK;
    if (kind == 0) REQUIRE(flock(file.fd(), LOCK_EX) == 0);
    if (kind == 1) REQUIRE(fcntl(file.fd(), F_OFD_SETLK, &region) == 0);
    if (kind == 2) REQUIRE(fcntl(file.fd(), F_SETLK, &region) == 0);
    CHECK(marker.look().reason == "migrating");
  }
}

TEST_CASE("a held marker that is too old is a migration that hangs") {
  MarkerFile marker("{\"lock\": true}", 47min);
  Descriptor file(open(marker.path.c_str(), O_RDWR | O_CLOEXEC));
  REQUIRE(flock(file.fd(), LOCK_EX) == 0);
  CHECK(marker.look().reason == "stale");
  CHECK(marker.look("2h").reason == "migrating");
}

TEST_CASE("a marker's own ttl counts instead of max_age") {
  CHECK(MarkerFile("{\"ttl\": 60}", 2min).look("1h").reason == "stale");
  CHECK(MarkerFile("{\"ttl\": 7200}", 1h).look("30m").reason == "migrating");
}

TEST_CASE("a marker whose process is gone is crashed") {
  Marker marker = of_a_dead_process();
  Outcome seen = MarkerFile(marker.text()).look();
  CHECK(seen.reason == "crashed");
  CHECK(seen.message.find("the process that wrote it is gone") != std::string::npos);
  CHECK(MarkerFile(Marker::of_this_process().text()).look().reason == "migrating");
}

TEST_CASE("a reused process number is told by the time of its start") {
  Marker marker = Marker::of_this_process();
  *marker.start_ticks -= 1;
  CHECK(MarkerFile(marker.text()).look().reason == "crashed");
}

TEST_CASE("a process of another pid namespace or machine is judged by age alone") {
  Marker marker = of_a_dead_process();
  *marker.pidns_inode += 1;
  CHECK(MarkerFile(marker.text()).look().reason == "migrating");
  CHECK(MarkerFile(marker.text(), 47min).look().reason == "stale");
  marker.pidns_inode.reset();
  CHECK(MarkerFile(marker.text()).look().reason == "migrating");
  Marker elsewhere = of_a_dead_process();
  elsewhere.boot_id = "another";
  elsewhere.host = "another";
  CHECK(MarkerFile(elsewhere.text()).look().reason == "migrating");
}

TEST_CASE("a marker from before this machine was started again is crashed") {
  Marker marker = Marker::of_this_process();
  marker.boot_id = "an earlier one";
  CHECK(MarkerFile(marker.text()).look().reason == "crashed");
}

TEST_CASE("a content that is cut, too long or of wrong types is an error") {
  std::string whole = Marker::of_this_process().text();
  for (std::size_t n = 1; n + 2 < whole.size(); n += 7)
    CHECK(MarkerFile(whole.substr(0, n)).look().reason == "garbled");
  for (const char* wrong : {"{\"pid\": \"x\"}", "{\"pid\": -1}", "{\"lock\": 1}", "{\"ttl\": -1}",
                            "{\"ttl\": 1e99}", "{\"host\": {}}", "{} {}"}) {
    INFO(wrong);
    Outcome seen = MarkerFile(wrong).look();
    CHECK(seen.kind == Outcome::Kind::Error);
    CHECK(seen.reason == "garbled");
  }
  CHECK(MarkerFile("{\"version\": \"" + std::string(5000, 'x') + "\"}").look().reason == "garbled");
}

TEST_CASE("a content that is not meant as JSON works by its age") {
  for (const char* plain : {"", "\n", "1234\n", "since yesterday"}) {
    CHECK(MarkerFile(plain).look().reason == "migrating");
    CHECK(MarkerFile(plain, 47min).look().reason == "stale");
  }
}

TEST_CASE("a clock that is behind the marker's is told and forgives some seconds") {
  CHECK(MarkerFile("{}", -60s).look().reason == "clock");
  CHECK(MarkerFile("{}", -2s).look().reason == "migrating");
}

TEST_CASE("a marker on a mount that is dead is not waited for beyond the deadline") {
  lab::HungMount mount;
  if (!mount) return;
  std::jthread later([&] {
    lab::eventually([] { return false; }, 500ms);
    mount.abort();
  });
  Outcome seen = lab::run_probe("migration_marker", {{"path", mount.path() + "/migrating"}}, 100ms);
  CHECK(seen.reason == "timeout");
}

TEST_CASE("davy marker holds the marker while a command runs, and hands its exit code on") {
  lab::TempDir dir;
  std::string path = dir / "migrating";
  lab::Process migration(
      {{DAVY_BINARY, "marker", path, "--version", "2026_11", "--", "sleep", "1000"}});
  REQUIRE(lab::eventually([&] {
    return lab::run_probe("migration_marker", {{"path", path}}).reason == "migrating";
  }));
  lab::Finished second = lab::davy({"marker", path, "--", "true"});
  CHECK(second.code == 3);
  CHECK(second.output.find("is held") != std::string::npos);
  migration.signal(SIGTERM);  // passed on
  CHECK(migration.wait() == 128 + SIGTERM);
  CHECK(lab::run_probe("migration_marker", {{"path", path}}).kind == Outcome::Kind::Pass);
  CHECK(lab::davy({"marker", path, "--", "sh", "-c", "exit 4"}).code == 4);
  CHECK(lab::davy({"marker", path, "--", "no-such-command"}).code == 127);
}

TEST_CASE("a migration whose davy was killed still holds its marker until it ends itself") {
  lab::TempDir dir;
  std::string path = dir / "migrating";
  lab::Process migration(
      {{DAVY_BINARY, "marker", path, "--", "sh", "-c", "echo $$; exec sleep 1000"}});
  REQUIRE(lab::eventually([&] {
    return migration.stdout_text().find('\n') != std::string::npos &&
           lab::run_probe("migration_marker", {{"path", path}}).reason == "migrating";
  }));
  pid_t command = std::stoi(migration.stdout_text());
  ::kill(migration.pid(), SIGKILL);
  migration.wait();
  CHECK(lab::run_probe("migration_marker", {{"path", path}}).reason == "migrating");
  ::kill(command, SIGKILL);
  CHECK(lab::eventually([&] {
    return lab::run_probe("migration_marker", {{"path", path}}).reason == "crashed";
  }));
}
