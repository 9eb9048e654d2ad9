#include <doctest/doctest.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "lab/probe.h"
#include "lab/process.h"
#include "lab/tmpfs.h"

using namespace davy;

TEST_CASE("a disk with room passes and tells its free bytes") {
  lab::TempDir dir;
  Outcome seen =
      lab::run_probe("disk", {{"path", dir.path()}, {"min_free", "1"}, {"min_free_inodes", "1"}});
  INFO(lab::show(seen));
  CHECK(seen.kind == Outcome::Kind::Pass);
  CHECK(seen.unit == "bytes");
  CHECK(seen.value > 0);
}

TEST_CASE("a disk that fills up passes, then warns, then fails") {
  lab::Tmpfs fs("size=1m");
  if (!fs) return;
  lab::Settings settings = {{"path", fs.path()}, {"min_free", "200KiB"}, {"warn_below", "600KiB"}};
  CHECK(lab::run_probe("disk", settings).kind == Outcome::Kind::Pass);

  lab::write_file(fs / "a", std::string(500 * 1024, 'a'));
  Outcome warned = lab::run_probe("disk", settings);
  INFO(lab::show(warned));
  CHECK(warned.kind == Outcome::Kind::Warn);
  CHECK(warned.reason == "low_space");
  CHECK(warned.value == doctest::Approx(524 * 1024));

  lab::write_file(fs / "b", std::string(400 * 1024, 'b'));
  Outcome failed = lab::run_probe("disk", settings);
  INFO(lab::show(failed));
  CHECK(failed.kind == Outcome::Kind::Fail);
  CHECK_FALSE(failed.hard);
  CHECK(failed.reason == "low_space");
  CHECK(failed.message.find("min_free is 200 KiB") != std::string::npos);
}

TEST_CASE("a disk without limits must have five percent left") {
  lab::Tmpfs fs("size=1m");
  if (!fs) return;
  CHECK(lab::run_probe("disk", {{"path", fs.path()}}).kind == Outcome::Kind::Pass);
  lab::write_file(fs / "a", std::string(980 * 1024, 'a'));
  Outcome seen = lab::run_probe("disk", {{"path", fs.path()}});
  INFO(lab::show(seen));
  CHECK(seen.kind == Outcome::Kind::Fail);
  CHECK(seen.message.find("min_free is 5.00%") != std::string::npos);
}

TEST_CASE("a disk that has room but no inodes fails") {
  lab::Tmpfs fs("size=1m,nr_inodes=20");
  if (!fs) return;
  lab::Settings settings = {{"path", fs.path()}, {"min_free_inodes", "20%"}};
  CHECK(lab::run_probe("disk", settings).kind == Outcome::Kind::Pass);
  for (int i = 0; i < 17; ++i) lab::write_file(fs / std::to_string(i), "");
  Outcome seen = lab::run_probe("disk", settings);
  INFO(lab::show(seen));
  CHECK(seen.kind == Outcome::Kind::Fail);
  CHECK(seen.reason == "low_inodes");
  CHECK(lab::run_probe("disk", {{"path", fs.path()}, {"min_free_inodes", "10"}}).reason ==
        "low_inodes");
  CHECK(lab::run_probe("disk", {{"path", fs.path()}, {"min_free_inodes", "1"}}).kind ==
        Outcome::Kind::Pass);
}

TEST_CASE("a filesystem that counts no inodes is not failed for them") {
  lab::Tmpfs fs("size=1m,nr_inodes=0");
  if (!fs) return;
  struct statvfs raw {};
  REQUIRE(statvfs(fs.path().c_str(), &raw) == 0);
  REQUIRE(raw.f_files == 0);
  CHECK(lab::run_probe("disk", {{"path", fs.path()}, {"min_free_inodes", "50%"}}).kind ==
        Outcome::Kind::Pass);
}

TEST_CASE("a read-only mount fails hard when it must be writable and passes otherwise") {
  lab::Tmpfs fs("size=1m");
  if (!fs) return;
  fs.make_read_only();
  CHECK(lab::run_probe("disk", {{"path", fs.path()}}).kind == Outcome::Kind::Pass);
  Outcome seen = lab::run_probe("disk", {{"path", fs.path()}, {"writable", "true"}});
  CHECK(seen.kind == Outcome::Kind::Fail);
  CHECK(seen.hard);
  CHECK(seen.reason == "read_only");
}

TEST_CASE("a path that does not exist fails hard") {
  lab::TempDir dir;
  Outcome seen = lab::run_probe("disk", {{"path", dir / "nothing"}});
  CHECK(seen.kind == Outcome::Kind::Fail);
  CHECK(seen.hard);
  CHECK(seen.reason == "missing");
  CHECK(seen.message == dir / "nothing" + " does not exist");
}

TEST_CASE("a path that we may not see, or that has no size, is our own trouble") {
  CHECK(lab::run_probe("disk", {{"path", "/" + std::string(300, 'x')}}).kind ==
        Outcome::Kind::Error);
  Outcome proc = lab::run_probe("disk", {{"path", "/proc"}});
  CHECK(proc.kind == Outcome::Kind::Error);
  CHECK(proc.reason == "no_size");
}

TEST_CASE("a disk warning that could never be seen is refused") {
  CHECK(lab::refusal("disk", {{"path", "/"}, {"min_free", "2GiB"}, {"warn_below", "1GiB"}}) ==
        "warn_below (1 GiB) must be greater than min_free (2 GiB), or it never warns");
  CHECK(lab::refusal("disk", {{"path", "/"}, {"warn_below", "4%"}}) != "");  // min_free is 5% then
  CHECK(lab::refusal("disk", {{"path", "/"}, {"min_free", "2GiB"}, {"warn_below", "10%"}}) == "");
}
