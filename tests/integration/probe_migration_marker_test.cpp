#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>

#include "lab/probe.h"
#include "lab/process.h"

using namespace davy;

namespace {

/// A marker file that was written some time ago; negative is in the future.
void write_marker(const std::string& path, std::chrono::seconds ago) {
  lab::write_file(path, "");
  timespec modified{std::time(nullptr) - ago.count(), 0};
  timespec both[] = {modified, modified};
  REQUIRE(utimensat(AT_FDCWD, path.c_str(), both, 0) == 0);
}

}  // namespace

using namespace std::chrono_literals;

TEST_CASE("without a marker no migration runs") {
  lab::TempDir dir;
  Outcome seen = lab::run_probe("migration_marker", {{"path", dir / "migrating"}});
  CHECK(lab::show(seen) == "pass: no migration running");
}

TEST_CASE("a young marker warns with its age") {
  lab::TempDir dir;
  write_marker(dir / "migrating", 10min);
  Outcome seen = lab::run_probe("migration_marker", {{"path", dir / "migrating"}});
  INFO(lab::show(seen));
  CHECK(seen.kind == Outcome::Kind::Warn);
  CHECK(seen.reason == "migrating");
  CHECK(seen.message.find("running for 10m") != std::string::npos);
  CHECK(seen.unit == "s");
  CHECK(seen.value >= 600);
}

TEST_CASE("an old marker fails hard and says what to do") {
  lab::TempDir dir;
  write_marker(dir / "migrating", 47min);
  Outcome seen =
      lab::run_probe("migration_marker", {{"path", dir / "migrating"}, {"max_age", "30m"}});
  INFO(lab::show(seen));
  CHECK(seen.kind == Outcome::Kind::Fail);
  CHECK(seen.hard);
  CHECK(seen.reason == "stale");
  CHECK(seen.message.find(", max_age 30m: the migration crashed or hangs; remove the file") !=
        std::string::npos);
  CHECK(lab::run_probe("migration_marker", {{"path", dir / "migrating"}, {"max_age", "2h"}}).kind ==
        Outcome::Kind::Warn);
}

TEST_CASE("a marker from the future is a clock error, but a few seconds are forgiven") {
  lab::TempDir dir;
  write_marker(dir / "migrating", -60s);
  Outcome seen = lab::run_probe("migration_marker", {{"path", dir / "migrating"}});
  CHECK(seen.kind == Outcome::Kind::Error);
  CHECK(seen.reason == "clock");
  write_marker(dir / "migrating", -2s);
  CHECK(lab::run_probe("migration_marker", {{"path", dir / "migrating"}}).reason == "migrating");
}

TEST_CASE("a missing directory is an error and not the absence of a migration") {
  lab::TempDir dir;
  Outcome seen = lab::run_probe("migration_marker", {{"path", dir / "no/migrating"}});
  CHECK(seen.kind == Outcome::Kind::Error);
  CHECK(seen.reason == "no_directory");
  lab::write_file(dir / "file", "");
  CHECK(lab::run_probe("migration_marker", {{"path", dir / "file/migrating"}}).reason ==
        "no_directory");
}

TEST_CASE("a symbolic link or a directory is not a marker") {
  lab::TempDir dir;
  write_marker(dir / "real", 1s);
  REQUIRE(symlink((dir / "real").c_str(), (dir / "migrating").c_str()) == 0);
  Outcome link = lab::run_probe("migration_marker", {{"path", dir / "migrating"}});
  CHECK(link.kind == Outcome::Kind::Error);
  CHECK(link.reason == "symlink");
  REQUIRE(mkdir((dir / "folder").c_str(), 0700) == 0);
  CHECK(lab::run_probe("migration_marker", {{"path", dir / "folder"}}).reason == "not_a_file");
}
