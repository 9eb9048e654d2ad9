// Where a process's memory is counted, in the layouts that are found in the wild.

#include "base/cgroup.h"

#include <doctest/doctest.h>

using namespace davy;

namespace {

std::string directory(std::string_view cgroups, std::string_view mounts) {
  Result<std::string> found = cgroup::own_directory(cgroups, mounts);
  return found ? *found : found.error().what;
}

constexpr std::string_view kUnified =
    "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr std::string_view kHybrid =
    "30 23 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n"
    "31 30 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    "32 30 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
    "33 30 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";

}  // namespace

TEST_CASE("version 2 of control groups is found by the one line that it has") {
  CHECK(directory("0::/system.slice/davy.service\n", kUnified) ==
        "/sys/fs/cgroup/system.slice/davy.service");
  CHECK(directory("0::/\n", kUnified) == "/sys/fs/cgroup");
}

TEST_CASE("on a hybrid machine the controller decides, not the mount of version 2") {
  CHECK(directory("2:cpu:/\n1:memory:/docker/abc\n0::/init.scope\n", kHybrid) ==
        "/sys/fs/cgroup/memory/docker/abc");
}

TEST_CASE("a container sees its own part of version 1 as the mount's root") {
  CHECK(directory("9:memory:/docker/abc\n",
                  "40 30 0:29 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n") ==
        "/sys/fs/cgroup/memory");
}

TEST_CASE("a machine without a memory controller is told") {
  CHECK(directory("2:cpu:/\n", kHybrid.substr(0, 40)) == "no memory controller is mounted here");
  CHECK(directory("", "") == "no memory controller is mounted here");
}

TEST_CASE("pressure is read as shares of the last ten seconds") {
  Result<cgroup::Pressure> seen = cgroup::parse_pressure(
      "some avg10=12.50 avg60=0.10 avg300=0.00 total=1\nfull avg10=3.00 avg60=0.00 avg300=0.00 "
      "total=0\n");
  REQUIRE(seen);
  CHECK(seen->some == doctest::Approx(0.125));
  CHECK(seen->full == doctest::Approx(0.03));
  CHECK_FALSE(cgroup::parse_pressure("some avg60=1\n"));
  CHECK_FALSE(cgroup::parse_pressure("full avg10=x total=0\n"));
}
