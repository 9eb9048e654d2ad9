#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>

#include "lab/probe.h"
#include "lab/process.h"

using namespace davy;

namespace {

void change_ago(const std::string& path, std::chrono::seconds ago) {
  timespec changed{std::time(nullptr) - ago.count(), 0};
  timespec both[] = {changed, changed};
  REQUIRE(utimensat(AT_FDCWD, path.c_str(), both, 0) == 0);
}

}  // namespace

using namespace std::chrono_literals;

TEST_CASE("a file that is there passes, and one that is not fails") {
  lab::TempDir dir;
  CHECK(lab::show(lab::run_probe("file", {{"path", dir / "x"}})) ==
        "fail missing: " + dir / "x" + " does not exist");
  CHECK(lab::show(lab::run_probe("file", {{"path", dir / "x"}, {"expect", "absent"}})) ==
        "pass: absent");
  lab::write_file(dir / "x", "");
  CHECK(lab::run_probe("file", {{"path", dir / "x"}}).kind == Outcome::Kind::Pass);
  CHECK(lab::run_probe("file", {{"path", dir / "x"}, {"expect", "absent"}}).reason == "present");
}

TEST_CASE("a file that was not changed for too long fails") {
  lab::TempDir dir;
  lab::write_file(dir / "x", "");
  lab::Settings settings = {{"path", dir / "x"}, {"max_age", "1h"}};
  Outcome young = lab::run_probe("file", settings);
  CHECK(young.kind == Outcome::Kind::Pass);
  CHECK(young.clear_of_fail > 0.9);
  change_ago(dir / "x", 2h);
  Outcome old = lab::run_probe("file", settings);
  INFO(lab::show(old));
  CHECK(old.reason == "too_old");
  CHECK(old.value >= 7200);
  CHECK(old.clear_of_fail < 0);
  change_ago(dir / "x", -1h);
  CHECK(lab::run_probe("file", settings).reason == "clock");
}

TEST_CASE("a file that is too small, or does not say what it should, fails") {
  lab::TempDir dir;
  lab::write_file(dir / "x", std::string(100, 'a') + "ready");
  CHECK(lab::run_probe("file", {{"path", dir / "x"}, {"min_size", "105"}}).kind ==
        Outcome::Kind::Pass);
  CHECK(lab::run_probe("file", {{"path", dir / "x"}, {"min_size", "106"}}).reason == "too_small");
  lab::Settings settings = {{"path", dir / "x"}, {"contains", "ready"}, {"max_read", "105"}};
  CHECK(lab::run_probe("file", settings).kind == Outcome::Kind::Pass);
  settings[2].second = "104";
  CHECK(lab::run_probe("file", settings).reason == "no_match");
  CHECK(lab::run_probe("file", {{"path", dir.path()}, {"contains", "x"}}).reason == "not_a_file");
}

TEST_CASE("a file of the wrong owner, or that everybody may write, fails") {
  lab::TempDir dir;
  lab::write_file(dir / "x", "");
  REQUIRE(chmod((dir / "x").c_str(), 0666) == 0);
  lab::Settings open_to_all = {{"path", dir / "x"}, {"not_world_writable", "true"}};
  CHECK(lab::run_probe("file", open_to_all).reason == "world_writable");
  REQUIRE(chmod((dir / "x").c_str(), 0640) == 0);
  CHECK(lab::run_probe("file", open_to_all).kind == Outcome::Kind::Pass);
  CHECK(lab::run_probe("file", {{"path", dir / "x"}, {"owner", "daemon"}}).reason == "wrong_owner");
  CHECK(lab::run_probe("file", {{"path", dir / "x"}, {"owner", "no-such-user"}}).reason ==
        "no_user");
  CHECK(lab::run_probe("file", {{"path", "/etc/passwd"}, {"owner", "root"}}).kind ==
        Outcome::Kind::Pass);
}

TEST_CASE("wishes about a file that should be absent are refused") {
  CHECK(lab::refusal("file", {{"path", "/x"}, {"expect", "absent"}, {"max_age", "1h"}}) != "");
  CHECK(lab::refusal("file", {{"path", "/x"}, {"max_read", "17MiB"}}) ==
        "must be between 1 and 16MiB");
  CHECK(lab::refusal("file", {{"path", "/x"}, {"expect", "absent"}}) == "");
}
