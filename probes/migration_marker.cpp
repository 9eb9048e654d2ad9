// Migration marker: a file that a deployment's migration step makes when it starts and removes when
// it ends.
//
// Passes while the file is absent, warns while the migration runs, fails hard when it has crashed
// (the lock that its content speaks of is not held, or its process is gone), and once it is older
// than `max_age`: then it hangs, or has crashed in a way that cannot be seen from here.
// A missing directory, a symlink, a time in the future or half a content is an error: the marker
// says nothing then. A file that is empty or not JSON works by its age alone.
// Runs in a helper process: the volume may be a network mount that is dead.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <optional>
#include <system_error>

#include "base/descriptor.h"
#include "base/family.h"
#include "base/marker.h"
#include "base/text.h"
#include "base/units.h"
#include "davy/probe.h"

namespace davy::probe {
namespace {

// Clocks of a network filesystem's server and ours are seldom closer.
constexpr std::chrono::seconds kClockSlack{5};
constexpr std::size_t kMostContent = 4096;

/// Whether the process that wrote the marker still runs, if that can be told from here.
enum class Owner { Unknown, Alive, Gone };

Owner owner_of(const Marker& marker) {
  Marker here = Marker::of_this_process();
  if (!marker.boot_id.empty() && marker.boot_id != here.boot_id) {
    // Another machine, or this one before it was started again.
    return !marker.host.empty() && marker.host == here.host ? Owner::Gone : Owner::Unknown;
  }
  if (!marker.pid || marker.boot_id.empty() || !marker.pidns_inode ||
      marker.pidns_inode != here.pidns_inode) {
    return Owner::Unknown;  // its pids are not ours
  }
  std::optional<family::Member> member = family::look_at(*marker.pid);
  if (!member || member->is_dead()) return Owner::Gone;
  if (marker.start_ticks && *marker.start_ticks != member->started) return Owner::Gone;  // reused
  return Owner::Alive;
}

/// What the file says at this moment.
struct Seen {
  Duration age{0};  // at least 0
  std::string content;
  bool is_locked = false;
};

struct MigrationMarker final : Probe {
  MigrationMarker(std::string path, Duration max_age) : path_(std::move(path)), max_age_(max_age) {}

  Outcome run(const ProbeContext& ctx) override {
    Step step(ctx, "read");
    struct stat file {};
    // Not followed: whoever may make a link here could point it at any old file.
    if (lstat(path_.c_str(), &file) != 0) return errno == ENOENT ? absent() : unreadable(errno);
    if (!S_ISREG(file.st_mode)) return not_a_file(S_ISLNK(file.st_mode));
    Descriptor fd(open(path_.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!fd && errno == ENOENT) return absent();  // it has ended this moment
    if (!fd && errno == ELOOP) return not_a_file(true);
    if (!fd || fstat(fd.fd(), &file) != 0) return unreadable(errno);

    Duration modified = std::chrono::seconds(file.st_mtim.tv_sec) + Duration(file.st_mtim.tv_nsec);
    Duration age = std::chrono::milliseconds(machine_clock().wall()) - modified;
    if (age < -kClockSlack) return from_the_future(-age);
    Seen seen{std::max(age, Duration::zero()), std::string(kMostContent + 1, '\0'), false};
    ssize_t n = read(fd.fd(), seen.content.data(), seen.content.size());
    if (n < 0) return unreadable(errno);
    seen.content.resize(static_cast<std::size_t>(n));
    if (text::trim(seen.content).starts_with('{')) seen.is_locked = is_locked(fd.fd());
    double shown = seconds(seen.age);
    return judge(std::move(seen)).measured(shown, "s");
  }

 private:
  Outcome judge(Seen seen) const {
    seen.age = std::chrono::floor<std::chrono::seconds>(seen.age);
    if (!text::trim(seen.content).starts_with('{')) return by_age(seen.age, max_age_, "");
    if (seen.content.size() > kMostContent) return garbled("is longer than 4 KiB");
    Result<Marker> marker = Marker::parse(seen.content);
    if (!marker) return garbled(marker.error().what);

    std::string release =
        marker->version.empty() ? "" : " to version " + text::quoted(marker->version);
    Duration most = marker->ttl.value_or(max_age_);
    if (marker->lock && !seen.is_locked)
      return crashed(release, "the lock that its content speaks of is not held");
    if (seen.is_locked) return by_age(seen.age, most, release);
    if (owner_of(*marker) == Owner::Gone)
      return crashed(release, "the process that wrote it is gone");
    return by_age(seen.age, most, release);
  }

  Outcome by_age(Duration age, Duration most, const std::string& release) const {
    if (age > most) {
      return Outcome::failed(
          "stale",
          fmt::format("marker {} is {} old, max_age {}: the migration{} crashed or hangs; remove "
                      "the file once it is sure",
                      path_, units::show(age), units::show(most), release),
          Outcome::kHard);
    }
    Outcome migrating = Outcome::warned(
        "migrating", fmt::format("a migration{} has been running for {} (marker {})", release,
                                 units::show(age), path_));
    migrating.blocks_deploy = true;
    return migrating;
  }

  Outcome crashed(const std::string& release, const std::string& proof) const {
    return Outcome::failed("crashed",
                           fmt::format("marker {}: the migration{} has crashed: {}; repair the "
                                       "database, then remove the file",
                                       path_, release, proof),
                           Outcome::kHard);
  }

  Outcome garbled(const std::string& what) const {
    return Outcome::unable("garbled", "the content of marker " + path_ + " " + what +
                                          ": write it beside and rename it");
  }

  Outcome not_a_file(bool is_link) const {
    if (!is_link) return Outcome::unable("not_a_file", "marker " + path_ + " is not a plain file");
    return Outcome::unable("symlink",
                           "marker " + path_ + " is a symbolic link, expected a plain file");
  }

  Outcome from_the_future(Duration by) const {
    return Outcome::unable("clock",
                           fmt::format("marker {} is {} in the future: this machine's clock or the "
                                       "one that wrote the file is wrong",
                                       path_, units::show(by)));
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
    .summary =
        "No migration is running, as told by a marker file: an empty one, or one that says "
        "in JSON who migrates.",
    .reach = ProbeKind::Reach::Local,
    .options =
        {
            {"path", OptionType::Path, kRequired, "",
             "the file that exists while a migration runs"},
            {"max_age", OptionType::Duration, kOptional, "30m",
             "a marker older than this was left behind, or its migration hangs: the check fails. A "
             "`ttl` (seconds) in the marker's JSON counts instead"},
        },
    .example = "{ path: /run/app/migrating, max_age: 30m }",
    .reasons =
        {
            {"migrating", "a migration is running: a warning, which blocks the role deploy"},
            {"stale", "older than max_age: the migration hangs or has crashed", true},
            {"crashed", "its lock is not held, or its process is gone: repair, then remove it",
             true},
            {"garbled", "begins as JSON but is not whole, or has wrong types"},
            {"symlink", "a symbolic link is not followed"},
            {"not_a_file", "a directory or device is in its place"},
            {"no_directory", "its directory does not exist: is the volume mounted?"},
            {"clock", "it is from the future: one of the clocks is wrong"},
            {"timeout", "its filesystem did not answer in time"},
            {"unreadable", "davy may not look there"},
            {"resources", "davy's own limits of descriptors, memory or processes"},
        },
    .runner = ProbeKind::Runner::Helper,
    .make = [](const Options& options) -> Result<std::unique_ptr<Probe>> {
      return std::unique_ptr<Probe>(
          new MigrationMarker(options.text("path"), options.duration("max_age")));
    },
};

}  // namespace davy::probe
