#include "base/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <system_error>

#include "base/archive.h"
#include "base/descriptor.h"
#include "base/helper_wire.h"
#include "base/helpers.h"
#include "base/units.h"

namespace davy::files {
namespace {

constexpr std::size_t kMostFound = 300;         // an answer of a helper holds no more
constexpr std::size_t kMostPaths = 40'000;      // bytes of them, for the same reason
constexpr std::size_t kPartBytes = 48'000;      // of a file that go into one answer
constexpr std::int64_t kFresh = 2'000'000'000;  // ns

struct Close {
  void operator()(DIR* folder) const { closedir(folder); }
};

std::string with_reason(const std::string& path, int code) {
  return path + ": " + std::system_category().message(code);
}

std::int64_t nanoseconds(const timespec& t) {
  return static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

Stamp stamp_of(const struct stat& file) {
  return {file.st_dev, file.st_ino, static_cast<std::uint64_t>(file.st_size),
          nanoseconds(file.st_mtim), nanoseconds(file.st_ctim)};
}

bool is_fresh(const Stamp& stamp) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  std::int64_t age = nanoseconds(now) - stamp.modified;
  return age < kFresh && age > -kFresh;
}

/// Nothing for what is gone again, or no plain file.
std::optional<Found> look_at(const std::string& path) {
  struct stat file {};
  if (stat(path.c_str(), &file) != 0 || !S_ISREG(file.st_mode)) return std::nullopt;
  Stamp stamp = stamp_of(file);
  return Found{path, stamp, is_fresh(stamp)};
}

Sight find_one(const std::string& path) {
  struct stat file {};
  if (stat(path.c_str(), &file) != 0) return {{}, with_reason(path, errno)};
  if (!S_ISREG(file.st_mode)) return {{}, path + " is not a plain file"};
  Stamp stamp = stamp_of(file);
  return {{{path, stamp, is_fresh(stamp)}}, ""};
}

template <typename Answer>
Result<Answer> ask(Helpers& helpers, const wire::Request& request, const std::string& path,
                   Deadline deadline, std::optional<Answer> (*read)(const std::string&)) {
  std::optional<Answer> answer;
  Helpers::Reply reply = helpers.ask(wire::write(request), deadline, [&](const std::string& bytes) {
    answer = read(bytes);
    return answer.has_value();
  });
  if (reply.kind == Helpers::Reply::Kind::TimedOut)
    return Error{path + ": its file system does not answer"};
  if (reply.kind != Helpers::Reply::Kind::Answered) return Error{path + ": " + reply.text};
  if (!answer->trouble.empty()) return Error{answer->trouble};
  return *std::move(answer);
}

}  // namespace

void Stamp::archive(Archive& a) {
  a(device, inode, size, modified, changed);
}

void Found::archive(Archive& a) {
  a(path, stamp, is_fresh);
}

void Sight::archive(Archive& a) {
  a(files, trouble);
}

void Part::archive(Archive& a) {
  a(stamp, bytes, trouble);
}

bool is_pattern(std::string_view path) {
  return path.find('*') != std::string_view::npos;
}

Sight find_here(const std::string& pattern) {
  if (!is_pattern(pattern)) return find_one(pattern);
  std::size_t slash = pattern.rfind('/');
  std::string folder = pattern.substr(0, slash + 1);
  std::unique_ptr<DIR, Close> open(opendir(folder.c_str()));
  if (open == nullptr) return {{}, with_reason(folder, errno)};
  Sight sight;
  std::size_t paths = 0;
  errno = 0;
  while (const dirent* entry = readdir(open.get())) {
    if (fnmatch(pattern.c_str() + slash + 1, entry->d_name, FNM_PERIOD) != 0) continue;
    std::optional<Found> found = look_at(folder + entry->d_name);
    errno = 0;
    if (!found) continue;
    paths += found->path.size();
    sight.files.push_back(*std::move(found));
    if (sight.files.size() > kMostFound || paths > kMostPaths)
      return {{}, fmt::format("{} finds more than {} files", pattern, sight.files.size() - 1)};
  }
  if (errno != 0) return {{}, with_reason(folder, errno)};
  std::sort(sight.files.begin(), sight.files.end(),
            [](const Found& a, const Found& b) { return a.path < b.path; });
  return sight;
}

Part read_here(const std::string& path, std::uint64_t from) {
  // A pipe would be waited for; what is no plain file is refused below.
  Descriptor file(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  struct stat seen {};
  if (!file || fstat(file.fd(), &seen) != 0) return {{}, "", with_reason(path, errno)};
  if (!S_ISREG(seen.st_mode)) return {{}, "", path + " is not a plain file"};
  Part part{stamp_of(seen), std::string(kPartBytes, '\0'), ""};
  ssize_t n = 0;
  do n = pread(file.fd(), part.bytes.data(), part.bytes.size(), static_cast<off_t>(from));
  while (n < 0 && errno == EINTR);
  if (n < 0) return {{}, "", with_reason(path, errno)};
  part.bytes.resize(static_cast<std::size_t>(n));
  return part;
}

Result<std::vector<Found>> find(Helpers& helpers, const std::string& pattern, Deadline deadline) {
  Result<Sight> sight = ask(helpers, wire::FindFiles{pattern}, pattern, deadline, wire::read_sight);
  if (!sight) return sight.error();
  return std::move(sight->files);
}

Result<std::string> read(Helpers& helpers, const std::string& path, std::size_t limit,
                         Deadline deadline) {
  std::string text;
  std::optional<Stamp> stamp;
  while (true) {
    Result<Part> part =
        ask(helpers, wire::ReadFile{path, text.size()}, path, deadline, wire::read_part);
    if (!part) return part.error();
    if (stamp && !(part->stamp == *stamp)) return Error{path + " changes while it is read"};
    stamp = part->stamp;
    if (part->bytes.empty()) return text;
    text += part->bytes;
    if (text.size() > limit) {
      return Error{
          fmt::format("{} is larger than {}", path, units::show_bytes(static_cast<double>(limit)))};
    }
  }
}

}  // namespace davy::files
