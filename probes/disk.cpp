// Disk: enough space and enough inodes are left for an ordinary user.
//
// Fails on: space or inodes below their minimum, a missing path, an I/O error, a read-only mount
// when `writable` is asked. Warns below `warn_below`.
// Counts what a service that is not root may use (f_bavail), with the percentage that df shows.
// May overrun its deadline: statvfs on a dead network mount cannot be interrupted.

#include <sys/statvfs.h>

#include <fmt/format.h>
#include <cerrno>
#include <optional>
#include <system_error>

#include "base/units.h"
#include "davy/probe.h"

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

std::string show(const Amount& a, bool bytes) {
  if (a.is_ratio) return units::show_percent(a.value);
  return bytes ? units::show_bytes(a.value) : fmt::format("{:.0f}", a.value);
}

struct Limits {
  std::optional<Amount> min_free;
  std::optional<Amount> min_free_inodes;
  std::optional<Amount> warn_below;
  bool writable = false;
};

struct Disk final : Probe {
  Disk(std::string path, Limits limits) : path_(std::move(path)), limits_(limits) {}

  Outcome run(const ProbeContext&) override {
    struct statvfs fs {};
    if (statvfs(path_.c_str(), &fs) != 0) return explain(errno);
    if (fs.f_blocks == 0) {
      return Outcome::unable("no_size", path_ + " is on a filesystem that has no size");
    }

    Left space = left_of(fs.f_blocks, fs.f_bfree, fs.f_bavail, static_cast<double>(fs.f_frsize));
    return judge(fs, space).measured(space.count, "bytes");
  }

 private:
  Outcome judge(const struct statvfs& fs, const Left& space) const {
    std::string free = fmt::format("{} has {} ({}) free", path_, units::show_bytes(space.count),
                                   units::show_percent(space.share));
    if (limits_.writable && (fs.f_flag & ST_RDONLY) != 0) {
      return Outcome::failed("read_only", path_ + " is mounted read-only", Outcome::kHard);
    }
    if (is_below(space, limits_.min_free)) {
      return Outcome::failed("low_space", free + ", min_free is " + show(*limits_.min_free, true));
    }
    if (fs.f_files != 0) {  // 0: the filesystem (btrfs, ...) makes inodes as they are needed
      Left inodes = left_of(fs.f_files, fs.f_ffree, fs.f_favail, 1);
      if (is_below(inodes, limits_.min_free_inodes)) {
        return Outcome::failed("low_inodes",
                               fmt::format("{} has {:.0f} inodes ({}) free, min_free_inodes is {}",
                                           path_, inodes.count, units::show_percent(inodes.share),
                                           show(*limits_.min_free_inodes, false)));
      }
    }
    if (is_below(space, limits_.warn_below)) {
      return Outcome::warned("low_space",
                             free + ", warn_below is " + show(*limits_.warn_below, true));
    }
    return Outcome::passed(free);
  }

  Outcome explain(int code) const {
    std::string what = path_ + ": " + std::system_category().message(code);
    switch (code) {
      case ENOENT:
      case ENOTDIR: return Outcome::failed("missing", path_ + " does not exist", Outcome::kHard);
      case EIO:
      case ESTALE:    // NFS: the server has forgotten us
      case ENOTCONN:  // FUSE: its process is gone
      case ETIMEDOUT: return Outcome::failed("io", what);
      default: return Outcome::unable("unreadable", what);
    }
  }

  const std::string path_;
  const Limits limits_;
};

std::optional<Amount> amount(const Options& options, std::string_view name) {
  return options.has(name) ? std::optional<Amount>(options.amount(name)) : std::nullopt;
}

Result<std::unique_ptr<Probe>> make(const Options& options) {
  Limits limits{amount(options, "min_free"), amount(options, "min_free_inodes"),
                amount(options, "warn_below"), options.flag("writable")};
  if (!limits.min_free && !limits.min_free_inodes) limits.min_free = Amount{0.05, true};

  if (limits.warn_below && limits.min_free &&
      limits.warn_below->is_ratio == limits.min_free->is_ratio &&
      limits.warn_below->value <= limits.min_free->value) {
    return Error{
        fmt::format("warn_below ({}) must be greater than min_free ({}), or it never warns",
                    show(*limits.warn_below, true), show(*limits.min_free, true)),
        "warn_below"};
  }
  return std::unique_ptr<Probe>(new Disk(options.text("path"), limits));
}

}  // namespace

extern const ProbeKind disk{
    .name = "disk",
    .summary = "Enough space and inodes are left on a filesystem.",
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
        },
    .example = "{ path: /var/lib/app, min_free: 1GiB, min_free_inodes: 5% }",
    .make = make,
};

}  // namespace davy::probe
