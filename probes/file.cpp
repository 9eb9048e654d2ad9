// File: a file exists (or does not), is young enough, large enough, and says what it should.
//
// Fails on: missing (or present), too old, too small, without the text, of another owner, writable
// by everybody, an I/O error. Follows symbolic links. Reads at most `max_read`.
// Runs in a helper process: files on a dead network mount cannot be looked at without hanging.

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <algorithm>
#include <cerrno>
#include <limits>
#include <optional>
#include <string>

#include "base/descriptor.h"
#include "base/text.h"
#include "base/units.h"
#include "davy/probe.h"
#include "probes/errno_outcome.h"

namespace davy::probe {
namespace {

constexpr std::chrono::seconds kClockSlack{5};

struct Wanted {
  bool is_absent = false;
  std::optional<Duration> max_age;
  std::optional<double> min_size;
  std::string contains;  // "" = anything
  double max_read = 0;
  std::string owner;  // "" = anybody
  bool not_world_writable = false;

  bool needs_plain_file() const { return min_size || !contains.empty(); }
};

struct File final : Probe {
  File(std::string path, Wanted wanted) : path_(std::move(path)), wanted_(std::move(wanted)) {}

  Outcome run(const ProbeContext& ctx) override {
    struct stat file {};
    {
      Step step(ctx, "stat");
      if (stat(path_.c_str(), &file) != 0) return not_seen(errno);
    }
    if (wanted_.is_absent) return Outcome::failed("present", path_ + " exists, expected absent");
    if (std::optional<Outcome> wrong = wrong_rights(file)) return *std::move(wrong);
    if (wanted_.needs_plain_file() && !S_ISREG(file.st_mode))
      return Outcome::failed("not_a_file", path_ + " is not a plain file", Outcome::kHard);
    double size = static_cast<double>(file.st_size);
    if (wanted_.min_size && size < *wanted_.min_size) {
      return Outcome::failed(
          "too_small", fmt::format("{} has {}, min_size is {}", path_, units::show_bytes(size),
                                   units::show_bytes(*wanted_.min_size)));
    }
    if (!wanted_.contains.empty()) {
      Step step(ctx, "read");
      if (std::optional<Outcome> wrong = wrong_content()) return *std::move(wrong);
    }
    return by_age(file);
  }

 private:
  Outcome by_age(const struct stat& file) const {
    Duration modified = std::chrono::seconds(file.st_mtim.tv_sec) + Duration(file.st_mtim.tv_nsec);
    Duration age = std::chrono::milliseconds(machine_clock().wall()) - modified;
    if (wanted_.max_age && age < -kClockSlack) {
      return Outcome::unable("clock", fmt::format("{} was changed {} in the future: this machine's "
                                                  "clock or the one that wrote it is wrong",
                                                  path_, units::show(-age)));
    }
    age = std::max(age, Duration::zero());
    Duration shown = std::chrono::floor<std::chrono::seconds>(age);
    Outcome outcome = Outcome::passed(fmt::format("changed {} ago", units::show(shown)));
    double clear = std::numeric_limits<double>::infinity();
    if (wanted_.max_age) {
      clear = 1 - seconds(age) / seconds(*wanted_.max_age);
      if (age > *wanted_.max_age) {
        outcome = Outcome::failed("too_old",
                                  fmt::format("{} was changed {} ago, max_age is {}", path_,
                                              units::show(shown), units::show(*wanted_.max_age)));
      }
    }
    return std::move(outcome).measured(seconds(age), "s").clear_by(clear);
  }

  std::optional<Outcome> wrong_rights(const struct stat& file) const {
    if (wanted_.not_world_writable && (file.st_mode & S_IWOTH) != 0)
      return Outcome::failed("world_writable", path_ + " may be written by everybody");
    if (wanted_.owner.empty()) return std::nullopt;
    errno = 0;
    const passwd* owner = getpwnam(wanted_.owner.c_str());
    if (owner == nullptr)
      return Outcome::unable("no_user", "there is no user " + text::quoted(wanted_.owner));
    if (owner->pw_uid == file.st_uid) return std::nullopt;
    return Outcome::failed(
        "wrong_owner", fmt::format("{} belongs to user {}, expected {} ({})", path_, file.st_uid,
                                   wanted_.owner, owner->pw_uid));
  }

  std::optional<Outcome> wrong_content() const {
    Descriptor file(open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (!file) return not_seen(errno);
    std::string seen(static_cast<std::size_t>(wanted_.max_read), '\0');
    std::size_t size = 0;
    while (size < seen.size()) {
      ssize_t n = read(file.fd(), seen.data() + size, seen.size() - size);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return not_seen(errno);
      if (n == 0) break;
      size += static_cast<std::size_t>(n);
    }
    seen.resize(size);
    if (seen.find(wanted_.contains) != std::string::npos) return std::nullopt;
    return Outcome::failed("no_match", fmt::format("{} does not contain {} in its first {}", path_,
                                                   text::quoted(wanted_.contains),
                                                   units::show_bytes(static_cast<double>(size))));
  }

  Outcome not_seen(int code) const {
    if (code != ENOENT && code != ENOTDIR) return outcome_of_errno(path_, code);
    if (wanted_.is_absent) return Outcome::passed("absent");
    return Outcome::failed("missing", path_ + " does not exist");
  }

  const std::string path_;
  const Wanted wanted_;
};

Result<std::unique_ptr<Probe>> make(const Options& options) {
  Wanted wanted{.is_absent = options.text("expect") == "absent",
                .max_read = options.number("max_read"),
                .not_world_writable = options.flag("not_world_writable")};
  if (options.has("max_age")) wanted.max_age = options.duration("max_age");
  if (options.has("min_size")) wanted.min_size = options.number("min_size");
  wanted.contains = options.text_or("contains");
  wanted.owner = options.text_or("owner");
  if (wanted.is_absent && (wanted.max_age || wanted.needs_plain_file() || !wanted.owner.empty() ||
                           wanted.not_world_writable)) {
    return Error{"absent cannot be combined with what the file should be like", "expect"};
  }
  if (wanted.max_age && *wanted.max_age <= Duration::zero())
    return Error{"0s would always be over (try 5m)", "max_age"};
  constexpr double kMostRead = 16 << 20;
  if (wanted.max_read < 1 || wanted.max_read > kMostRead)
    return Error{"must be between 1 and 16MiB", "max_read"};
  return std::unique_ptr<Probe>(new File(options.text("path"), std::move(wanted)));
}

}  // namespace

extern const ProbeKind file{
    .name = "file",
    .summary = "A file exists, is young and large enough, and says what it should; or is absent.",
    .reach = ProbeKind::Reach::Local,
    .options =
        {
            {"path", OptionType::Path, kRequired, "", "the file; symbolic links are followed"},
            {"expect",
             OptionType::Choice,
             kOptional,
             "exists",
             "whether it should be there",
             {"exists", "absent"}},
            {"max_age", OptionType::Duration, kOptional, "",
             "fails when it was changed longer ago: a job that should write it regularly does not"},
            {"min_size", OptionType::Bytes, kOptional, "", "fails when it is smaller"},
            {"contains", OptionType::Text, kOptional, "",
             "fails when this text is not in its first max_read"},
            {"max_read", OptionType::Bytes, kOptional, "1MiB", "how much of it is read, to 16MiB"},
            {"owner", OptionType::Text, kOptional, "", "fails when it belongs to another user"},
            {"not_world_writable", OptionType::Flag, kOptional, "false",
             "fails when everybody may write it"},
        },
    .example = "{ path: /var/backups/last, max_age: 26h, min_size: 1MiB }",
    .reasons =
        {
            {"missing", "it does not exist"},
            {"present", "`expect: absent`, and it exists"},
            {"too_old", "not changed for longer than max_age"},
            {"too_small", "smaller than min_size"},
            {"no_match", "the text is not in it"},
            {"not_a_file", "a directory or device, where a size or a text was asked", true},
            {"wrong_owner", "it belongs to somebody else"},
            {"world_writable", "everybody may write it"},
            {"io", "an I/O error, or the server of a network mount is gone"},
            {"timeout", "its filesystem did not answer in time"},
            {"clock", "it was changed in the future: one of the clocks is wrong"},
            {"no_user", "the user named by `owner` does not exist here"},
            {"unreadable", "davy may not look at it or read it"},
            {"resources", "davy's own limits of descriptors, memory or processes"},
        },
    .runner = ProbeKind::Runner::Helper,
    .make = make,
};

}  // namespace davy::probe
