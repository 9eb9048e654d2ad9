#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "lab/probe.h"
#include "lab/process.h"

using namespace davy;

namespace {

/// A control group of version 1 with a limit. Absent where none can be made.
class Group {
 public:
  Group() : path_("/sys/fs/cgroup/memory/davy-test-" + std::to_string(getpid())) {
    std::error_code error;
    std::filesystem::create_directory(path_, error);
    std::ofstream limit(path_ + "/memory.limit_in_bytes");
    limit << (64 << 20) << std::flush;
    is_there_ = !error && limit;
    if (!is_there_) MESSAGE("skipped: no memory cgroup of version 1 can be made here");
  }
  ~Group() {
    if (is_there_) lab::eventually([&] { return rmdir(path_.c_str()) == 0; });
  }
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;
  explicit operator bool() const { return is_there_; }
  const std::string& path() const { return path_; }
  lab::Finished run(const std::string& script) const {
    return lab::run({{"sh", "-c", "echo $$ > " + path_ + "/cgroup.procs; " + script}});
  }

 private:
  std::string path_;
  bool is_there_ = false;
};

/// The files of a group of version 2, as the kernel writes them.
void write_group(const std::string& directory, const std::string& usage, const std::string& limit,
                 const std::string& inactive, const std::string& kills) {
  lab::write_file(directory + "/memory.current", usage + "\n");
  lab::write_file(directory + "/memory.max", limit + "\n");
  lab::write_file(directory + "/memory.stat",
                  "anon 1000\nfile 5000\ninactive_anon 1\ninactive_file " + inactive + "\n");
  lab::write_file(directory + "/memory.events",
                  "low 0\nhigh 0\nmax 0\noom 0\noom_kill " + kills + "\noom_group_kill 0\n");
}

}  // namespace

TEST_CASE("our own control group is found and judged") {
  Outcome seen = lab::run_probe("memory", {});
  INFO(lab::show(seen));
  if (seen.reason == "no_controller") {
    MESSAGE("skipped: " << seen.message);
    return;
  }
  CHECK(seen.unit == "ratio");
  CHECK(seen.value > 0);
  CHECK(seen.value < 10);
}

TEST_CASE("a group full of page cache is not full") {
  Group group;
  if (!group) return;
  lab::TempDir dir;
  group.run("dd if=/dev/zero of=" + dir / "big" + " bs=1M count=200");
  std::ifstream in(group.path() + "/memory.usage_in_bytes");
  double usage = 0;
  in >> usage;
  Outcome seen = lab::run_probe("memory", {{"cgroup", group.path()}, {"max_used", "70%"}});
  INFO(lab::show(seen) << " usage " << usage);
  CHECK(usage > 0.5 * (64 << 20));
  CHECK(seen.kind == Outcome::Kind::Pass);
  CHECK(seen.value < 0.7);
}

TEST_CASE("a process killed for want of memory is warned about, but not one of before") {
  Group group;
  if (!group) return;
  std::string hog = "python3 -c 'x = bytearray(200 << 20)'";
  group.run(hog);
  lab::ProbeRunner probe("memory", {{"cgroup", group.path()}});
  CHECK(probe.run().kind == Outcome::Kind::Pass);
  group.run(hog);
  Outcome seen = probe.run();
  INFO(lab::show(seen));
  CHECK(seen.kind == Outcome::Kind::Warn);
  CHECK(seen.reason == "oom_kill");
  CHECK(probe.run().reason == "oom_kill");  // for a while
}

TEST_CASE("a group of version 2 is held against its limit, without its dropable cache") {
  lab::TempDir dir;
  write_group(dir.path(), "900000", "1000000", "500000", "0");
  Outcome seen = lab::run_probe("memory", {{"cgroup", dir.path()}, {"warn_used", "30%"}});
  CHECK(seen.kind == Outcome::Kind::Warn);
  CHECK(seen.reason == "used");
  CHECK(seen.value == doctest::Approx(0.4));
  CHECK(seen.clear_of_fail == doctest::Approx(1 - 0.4 / 0.95));
  CHECK(seen.clear_of_warn < 0);
  write_group(dir.path(), "990000", "1000000", "0", "0");
  Outcome full = lab::run_probe("memory", {{"cgroup", dir.path()}});
  CHECK(full.kind == Outcome::Kind::Fail);
  CHECK(full.message.find("max_used is 95.0%") != std::string::npos);
}

TEST_CASE("a limit further up counts, and without any the machine's memory does") {
  lab::TempDir dir;
  std::filesystem::create_directory(dir / "below");
  write_group(dir.path(), "990000", "1000000", "0", "0");
  write_group(dir / "below", "500000", "max", "0", "0");
  CHECK(lab::run_probe("memory", {{"cgroup", dir / "below"}}).value == doctest::Approx(0.5));
  write_group(dir.path(), "990000", "max", "0", "0");
  Outcome unlimited = lab::run_probe("memory", {{"cgroup", dir / "below"}});
  CHECK(unlimited.value < 0.01);
  CHECK(unlimited.message.find("no limit") != std::string::npos);
}

TEST_CASE("pressure above its limit fails") {
  lab::TempDir dir;
  write_group(dir.path(), "1000", "1000000", "0", "0");
  lab::write_file(dir / "memory.pressure",
                  "some avg10=30.00 avg60=1.00 avg300=0.00 total=1\nfull avg10=5.00 avg60=0.00 "
                  "avg300=0.00 total=0\n");
  lab::Settings settings = {{"cgroup", dir.path()}, {"max_pressure_full", "4%"}};
  Outcome seen = lab::run_probe("memory", settings);
  INFO(lab::show(seen));
  CHECK(seen.reason == "pressure");
  settings[1].second = "6%";
  CHECK(lab::run_probe("memory", settings).kind == Outcome::Kind::Pass);
  CHECK(lab::run_probe("memory", {{"cgroup", dir.path()}, {"max_pressure_some", "20%"}}).reason ==
        "pressure");
}

TEST_CASE("a directory that is no control group is our own trouble") {
  lab::TempDir dir;
  CHECK(lab::run_probe("memory", {{"cgroup", dir.path()}}).reason == "no_controller");
  CHECK(lab::refusal("memory", {{"max_used", "50%"}, {"warn_used", "60%"}}) != "");
  CHECK(lab::refusal("memory", {{"max_used", "0%"}}) != "");
}
