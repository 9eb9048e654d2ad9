// Disk: enough space and enough inodes are left for an ordinary user, and optionally a file can
// still be written.
//
// Fails on: space or inodes below their minimum, a missing or unmounted path, an I/O error, a
// read-only mount when `writable` is asked, a write that does not succeed when `write_probe` is.
// Warns below `warn_below`. Touches one small hidden file in `write_probe`, and removes it.
// Counts what a service that is not root may use (f_bavail), with the percentage that df shows.
// Runs in a helper process: statvfs on a dead network mount, or a write to a frozen filesystem,
// cannot be interrupted.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <fmt/format.h>
#include <algorithm>
#include <cerrno>
#include <optional>

#include "base/descriptor.h"
#include "base/units.h"
#include "davy/probe.h"
#include "probes/errno_outcome.h"

namespace davy::probe {
namespace {

/// How much is left of bytes or inodes.
struct Left {
  double count = 0;
  double share = 0;  // of what an ordinary user can have in all: available / (used + available)
};

Left left_of(fsblkcnt_t total, fsblkcnt_t free, fsblkcnt_t available, double unit) {
  double usable = static_cast<double>(total - free + available);
  double count = static_cast<double>(available);
  return {count * unit, usable > 0 ? count / usable : 0};
}

bool is_below(const Left& left, const std::optional<Amount>& limit) {
  return limit && (limit->is_ratio ? left.share : left.count) < limit->value;
}

/// See Outcome::clear_of_fail.
double clear_of(const Left& left, const std::optional<Amount>& limit) {
  if (!limit || limit->value <= 0) return std::numeric_limits<double>::infinity();
  return (limit->is_ratio ? left.share : left.count) / limit->value - 1;
}

std::string show(const Amount& a, bool bytes) {
  if (a.is_ratio) return units::show_percent(a.value);
  return bytes ? units::show_bytes(a.value) : fmt::format("{:.0f}", a.value);
}

struct Limits {
  std::optional<Amount> min_free;
  std::optional<Amount> min_free_inodes;
  std::optional<Amount> warn_below;
  bool writable = false;
  bool mount = false;
  std::string write_probe;  // a directory, "" = not asked
};

Outcome explain(const std::string& path, int code) {
  switch (code) {
    case ENOENT:
    case ENOTDIR: return Outcome::failed("missing", path + " does not exist", Outcome::kHard);
    case EROFS: return Outcome::failed("read_only", with_errno(path, code), Outcome::kHard);
    case ENOSPC: return Outcome::failed("no_space", with_errno(path, code));
    case EDQUOT: return Outcome::failed("quota", with_errno(path, code));
    default: return outcome_of_errno(path, code);
  }
}

/// 0, or the errno of the step that went wrong.
int write_and_sync(int fd) {
  constexpr char kBytes[512] = "written by davy to see whether it can be\n";
  if (write(fd, kBytes, sizeof kBytes) < 0 || fsync(fd) != 0) return errno;
  return 0;
}

/// Creates, syncs and removes a small file. The name is the check's own: when it is there already,
/// an earlier run was killed before it could remove it.
int write_file(const std::string& directory, std::string_view check) {
  std::string path = fmt::format("{}/.davy-write-probe-{}", directory, check);
  std::replace(path.begin() + static_cast<std::ptrdiff_t>(directory.size()) + 1, path.end(), '/',
               '_');
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  Descriptor file(open(path.c_str(), kFlags, 0600));
  if (!file && errno == EEXIST && unlink(path.c_str()) == 0)
    file = Descriptor(open(path.c_str(), kFlags, 0600));
  if (!file) return errno;
  int code = write_and_sync(file.fd());
  if (unlink(path.c_str()) != 0 && code == 0) code = errno;
  return code;
}

/// Whether something is mounted exactly here. Bind mounts count.
bool is_mount_point(const std::string& path) {
  struct statx here {};
  if (statx(AT_FDCWD, path.c_str(), 0, STATX_BASIC_STATS, &here) != 0) return false;
  if ((here.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0)
    return (here.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
  struct statx above {};  // before Linux 5.8
  if (statx(AT_FDCWD, (path + "/..").c_str(), 0, STATX_BASIC_STATS, &above) != 0) return false;
  return here.stx_dev_major != above.stx_dev_major || here.stx_dev_minor != above.stx_dev_minor ||
         here.stx_ino == above.stx_ino;
}

struct Disk final : Probe {
  Disk(std::string path, Limits limits) : path_(std::move(path)), limits_(std::move(limits)) {}

  Outcome run(const ProbeContext& ctx) override {
    struct statvfs fs {};
    {
      Step step(ctx, "statvfs");
      if (statvfs(path_.c_str(), &fs) != 0) return explain(path_, errno);
    }
    if (limits_.mount && !is_mount_point(path_)) {
      return Outcome::failed("not_mounted",
                             path_ + " is a plain directory, expected something mounted there",
                             Outcome::kHard);
    }
    if (fs.f_blocks == 0)
      return Outcome::unable("no_size", path_ + " is on a filesystem that has no size");

    Left space = left_of(fs.f_blocks, fs.f_bfree, fs.f_bavail, static_cast<double>(fs.f_frsize));
    std::optional<Left> inodes;  // none: the filesystem (btrfs, ...) makes them as they are needed
    if (fs.f_files != 0) inodes = left_of(fs.f_files, fs.f_ffree, fs.f_favail, 1);
    Outcome outcome = judge(fs, space, inodes);
    if (outcome.kind != Outcome::Kind::Fail && !limits_.write_probe.empty()) {
      Step step(ctx, "write");
      if (int code = write_file(limits_.write_probe, ctx.check); code != 0)
        outcome = cannot_write(code);
    }
    outcome.also.push_back({"free_share", space.share, "ratio"});
    if (inodes) outcome.also.push_back({"free_inodes", inodes->count, "1"});
    double of_fail = clear_of(space, limits_.min_free);
    if (inodes) of_fail = std::min(of_fail, clear_of(*inodes, limits_.min_free_inodes));
    return std::move(outcome)
        .measured(space.count, "bytes")
        .clear_by(of_fail, clear_of(space, limits_.warn_below));
  }

 private:
  Outcome judge(const struct statvfs& fs, const Left& space,
                const std::optional<Left>& inodes) const {
    std::string free = fmt::format("{} has {} ({}) free", path_, units::show_bytes(space.count),
                                   units::show_percent(space.share));
    if (limits_.writable && (fs.f_flag & ST_RDONLY) != 0)
      return Outcome::failed("read_only", path_ + " is mounted read-only", Outcome::kHard);
    if (is_below(space, limits_.min_free))
      return Outcome::failed("low_space", free + ", min_free is " + show(*limits_.min_free, true));
    if (inodes && is_below(*inodes, limits_.min_free_inodes)) {
      return Outcome::failed(
          "low_inodes",
          fmt::format("{} has {:.0f} inodes ({}) free, min_free_inodes is {}", path_, inodes->count,
                      units::show_percent(inodes->share), show(*limits_.min_free_inodes, false)));
    }
    if (is_below(space, limits_.warn_below)) {
      return Outcome::warned("low_space",
                             free + ", warn_below is " + show(*limits_.warn_below, true));
    }
    return Outcome::passed(free);
  }

  Outcome cannot_write(int code) const {
    const std::string& directory = limits_.write_probe;
    if (code == EACCES || code == EPERM) {
      return Outcome::unable("denied", "write_probe " + directory + ": davy's user may not write");
    }
    Outcome outcome = explain("writing a small file in " + directory, code);
    if (outcome.reason == "missing")
      outcome.message = "write_probe " + directory + " does not exist";
    return outcome;
  }

  const std::string path_;
  const Limits limits_;
};

std::optional<Amount> amount(const Options& options, std::string_view name) {
  return options.has(name) ? std::optional<Amount>(options.amount(name)) : std::nullopt;
}

Result<std::unique_ptr<Probe>> make(const Options& options) {
  Limits limits{amount(options, "min_free"), amount(options, "min_free_inodes"),
                amount(options, "warn_below"), options.flag("writable"), options.flag("mount")};
  limits.write_probe = options.text_or("write_probe");
  if (!limits.min_free && !limits.min_free_inodes) limits.min_free = Amount{0.05, true};

  if (limits.warn_below && limits.min_free &&
      limits.warn_below->is_ratio == limits.min_free->is_ratio &&
      limits.warn_below->value <= limits.min_free->value) {
    return Error{
        fmt::format("warn_below ({}) must be greater than min_free ({}), or it never warns",
                    show(*limits.warn_below, true), show(*limits.min_free, true)),
        "warn_below"};
  }
  return std::unique_ptr<Probe>(new Disk(options.text("path"), std::move(limits)));
}

}  // namespace

extern const ProbeKind disk{
    .name = "disk",
    .summary = "Enough space and inodes are left on a filesystem, and it can be written.",
    .reach = ProbeKind::Reach::Local,
    .options =
        {
            {"path", OptionType::Path, kRequired, "", "any path on the filesystem"},
            {"min_free", OptionType::Amount, kOptional, "",
             "fails below this much space for ordinary users: bytes or a percentage; 5% when no "
             "limit is given"},
            {"min_free_inodes", OptionType::Amount, kOptional, "",
             "fails below this many inodes: a number or a percentage"},
            {"warn_below", OptionType::Amount, kOptional, "", "warns below this much space"},
            {"writable", OptionType::Flag, kOptional, "false",
             "fails when the filesystem is mounted read-only"},
            {"write_probe", OptionType::Path, kOptional, "",
             "a directory in which each run creates, syncs and removes a file of 512 bytes: sees "
             "quotas, frozen and broken filesystems"},
            {"mount", OptionType::Flag, kOptional, "false",
             "fails when nothing is mounted exactly at `path`"},
        },
    .example = "{ path: /var/lib/app, min_free: 1GiB, min_free_inodes: 5% }",
    .reasons =
        {
            {"low_space", "less space than min_free (fails) or warn_below (warns)"},
            {"low_inodes", "fewer inodes than min_free_inodes: many small files"},
            {"no_space", "write_probe: no space left, also for a quota of the directory"},
            {"quota", "write_probe: the user's quota is used up"},
            {"read_only", "mounted read-only; the kernel does that after errors", true},
            {"missing", "the path does not exist", true},
            {"not_mounted", "`mount`: nothing is mounted there", true},
            {"io", "an I/O error, or the server of a network mount is gone"},
            {"timeout", "the filesystem did not answer in time: a dead network mount, or frozen"},
            {"denied", "write_probe: davy's user may not write there"},
            {"no_size", "the filesystem has no size (/proc, ...)"},
            {"unreadable", "davy could not look: permissions, a path too long, a loop of links"},
            {"resources", "davy's own limits of descriptors, memory or processes"},
        },
    .runner = ProbeKind::Runner::Helper,
    .make = make,
};

}  // namespace davy::probe
