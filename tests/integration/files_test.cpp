#include "base/files.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>

#include "base/helpers.h"
#include "lab/process.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

std::vector<std::string> names(const files::Sight& sight) {
  std::vector<std::string> names;
  for (const files::Found& found : sight.files)
    names.push_back(found.path.substr(found.path.rfind('/') + 1));
  return names;
}

}  // namespace

TEST_CASE("a pattern finds plain files by their names, in order, and no hidden ones") {
  lab::TempDir dir;
  for (const char* name : {"b.json", "a.json", ".c.json", "d.yml", "e.jsonx"})
    lab::write_file(dir / name, "");
  mkdir((dir / "folder.json").c_str(), 0700);
  REQUIRE(symlink((dir / "d.yml").c_str(), (dir / "link.json").c_str()) == 0);
  REQUIRE(symlink((dir / "nowhere").c_str(), (dir / "dangling.json").c_str()) == 0);
  files::Sight sight = files::find_here(dir / "*.json");
  CHECK(sight.trouble == "");
  CHECK(names(sight) == std::vector<std::string>{"a.json", "b.json", "link.json"});
  CHECK(names(files::find_here(dir / "*.none")).empty());
  CHECK(files::find_here((dir / "none") + "/*.json").trouble ==
        (dir / "none") + "/: No such file or directory");
}

TEST_CASE("more files than an answer can hold are refused") {
  lab::TempDir dir;
  for (int i = 0; i < 310; ++i) lab::write_file(dir / (std::to_string(i) + ".json"), "");
  CHECK(files::find_here(dir / "*.json").trouble ==
        (dir / "*.json") + " finds more than 300 files");
}

TEST_CASE("a path without a pattern must be there, as a plain file") {
  lab::TempDir dir;
  CHECK(files::find_here(dir / "x").trouble == (dir / "x") + ": No such file or directory");
  CHECK(files::find_here(dir.path()).trouble == dir.path() + " is not a plain file");
  lab::write_file(dir / "x", "");
  CHECK(names(files::find_here(dir / "x")) == std::vector<std::string>{"x"});
}

TEST_CASE("a file has another stamp when it was written, replaced or changed in place") {
  lab::TempDir dir;
  auto stamp = [&] { return files::find_here(dir / "x").files.at(0).stamp; };
  lab::write_file(dir / "x", "one");
  files::Stamp first = stamp();
  CHECK(stamp() == first);
  lab::write_file(dir / "x", "three");
  files::Stamp larger = stamp();
  CHECK_FALSE(larger == first);
  lab::write_file(dir / "new", "three");
  REQUIRE(rename((dir / "new").c_str(), (dir / "x").c_str()) == 0);
  CHECK_FALSE(stamp() == larger);
}

TEST_CASE(
    "a file is fresh for two seconds after it was written, for its next change may not show") {
  lab::TempDir dir;
  lab::write_file(dir / "x", "");
  auto is_fresh = [&](long ago) {
    timespec changed{std::time(nullptr) - ago, 0};
    timespec both[] = {changed, changed};
    REQUIRE(utimensat(AT_FDCWD, (dir / "x").c_str(), both, 0) == 0);
    return files::find_here(dir / "x").files.at(0).is_fresh;
  };
  CHECK(is_fresh(0));
  CHECK_FALSE(is_fresh(10));
  CHECK_FALSE(is_fresh(-3600));  // written by a clock that is ahead
}

TEST_CASE("a helper reads a file whole, in as many parts as it takes") {
  lab::TempDir dir;
  Helpers helpers;
  std::string text;
  for (int i = 0; i < 40'000; ++i) text += std::to_string(i) + "\n";
  lab::write_file(dir / "x", text);
  Result<std::string> all = files::read(helpers, dir / "x", text.size(), Deadline::in(20s));
  REQUIRE_MESSAGE(static_cast<bool>(all), all.error().what);
  CHECK((*all == text));
  CHECK(files::read(helpers, dir / "x", text.size() - 1, Deadline::in(20s)).error().what ==
        (dir / "x") + " is larger than 224 KiB");
  auto found = files::find(helpers, dir / "*", Deadline::in(20s));
  REQUIRE(found);
  CHECK(found->at(0).path == dir / "x");
}

TEST_CASE("what is no plain file is not waited for") {
  lab::TempDir dir;
  REQUIRE(mkfifo((dir / "pipe").c_str(), 0600) == 0);
  CHECK(files::read_here(dir / "pipe", 0).trouble == (dir / "pipe") + " is not a plain file");
  CHECK(files::read_here("/dev/zero", 0).trouble == "/dev/zero is not a plain file");
}
