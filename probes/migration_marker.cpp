// Migration marker: a file that a deployment's migration step makes when it starts and removes when
// it ends.
//
// Passes while the file is absent, warns while it is there, fails hard once it is older than
// `max_age`: then the migration has crashed or hangs, and nobody else would notice.
// A missing directory, a symlink or a time in the future is an error: the marker says nothing then.

#include <sys/stat.h>

#include <fmt/format.h>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <system_error>

#include "base/units.h"
#include "davy/probe.h"

namespace davy::probe {
namespace {

// Clocks of a network filesystem's server and ours are seldom closer.
constexpr std::chrono::seconds kClockSlack{5};

struct MigrationMarker final : Probe {
  MigrationMarker(std::string path, Duration max_age) : path_(std::move(path)), max_age_(max_age) {}

  Outcome run(const ProbeContext&) override {
    struct stat file {};
    // Not followed: whoever may make a link here could point it at any old file.
    if (lstat(path_.c_str(), &file) != 0) return errno == ENOENT ? absent() : unreadable(errno);
    if (S_ISLNK(file.st_mode)) {
      return Outcome::unable("symlink",
                             "marker " + path_ + " is a symbolic link, expected a plain file");
    }
    if (!S_ISREG(file.st_mode)) {
      return Outcome::unable("not_a_file", "marker " + path_ + " is not a plain file");
    }

    Duration modified = std::chrono::seconds(file.st_mtim.tv_sec) + Duration(file.st_mtim.tv_nsec);
    Duration age = std::chrono::milliseconds(machine_clock().wall()) - modified;
    if (age < -kClockSlack) {
      return Outcome::unable(
          "clock", fmt::format("marker {} is {} in the future: this machine's clock or the one "
                               "that wrote the file is wrong",
                               path_, units::show(-age)));
    }
    return judge(std::chrono::floor<std::chrono::seconds>(std::max(age, Duration::zero())))
        .measured(seconds(std::max(age, Duration::zero())), "s");
  }

 private:
  Outcome judge(Duration age) const {
    if (age > max_age_) {
      return Outcome::failed(
          "stale",
          fmt::format("marker {} is {} old, max_age {}: the migration crashed or hangs; remove the "
                      "file once it is sure",
                      path_, units::show(age), units::show(max_age_)),
          Outcome::kHard);
    }
    return Outcome::warned(
        "migrating",
        fmt::format("a migration has been running for {} (marker {})", units::show(age), path_));
  }

  /// Without its directory, a marker could not be made: absence means nothing.
  Outcome absent() const {
    std::string directory = std::filesystem::path(path_).parent_path();
    struct stat parent {};
    if (stat(directory.c_str(), &parent) != 0 || !S_ISDIR(parent.st_mode)) {
      return Outcome::unable("no_directory", "directory " + directory + " of marker " + path_ +
                                                 " does not exist: is the volume mounted?");
    }
    return Outcome::passed("no migration running");
  }

  Outcome unreadable(int code) const {
    if (code == ENOTDIR) return absent();
    return Outcome::unable("unreadable",
                           "marker " + path_ + ": " + std::system_category().message(code));
  }

  const std::string path_;
  const Duration max_age_;
};

}  // namespace

extern const ProbeKind migration_marker{
    .name = "migration_marker",
    .summary = "No migration is running, as told by a marker file.",
    .reach = ProbeKind::Reach::Local,
    .options =
        {
            {"path", OptionType::Path, kRequired, "",
             "the file that exists while a migration runs"},
            {"max_age", OptionType::Duration, kOptional, "30m",
             "a marker older than this was left behind: the check fails"},
        },
    .example = "{ path: /run/app/migrating, max_age: 30m }",
    .make = [](const Options& options) -> Result<std::unique_ptr<Probe>> {
      return std::unique_ptr<Probe>(
          new MigrationMarker(options.text("path"), options.duration("max_age")));
    },
};

}  // namespace davy::probe
