// Files: found and read by a helper process, for those whose file system may hang.
//
// Why: nothing ends a stat() or a read() on a dead network mount from within a process. Whoever
// follows a file that others change looks at its stamp, and reads it again when that is another.
// Threading: pure but for the files; find() and read() block their caller.
// Failure: in words, with the file's path. A helper that hangs is killed at the deadline; one that
// cannot be killed keeps its caller (base/helpers.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "davy/result.h"
#include "davy/time.h"

namespace davy {
class Archive;
class Helpers;
}  // namespace davy

namespace davy::files {

/// Changes when the file does, unless that happens twice within the file system's own precision.
struct Stamp {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t modified = 0;  // nanoseconds since 1970
  std::int64_t changed = 0;

  friend bool operator==(const Stamp&, const Stamp&) = default;
  void archive(Archive& a);
};

struct Found {
  std::string path;
  Stamp stamp;
  bool is_fresh = false;  // changed within the last 2 s: the next change may leave the same stamp

  void archive(Archive& a);
};

/// What a pattern finds, by path; or why that cannot be said.
struct Sight {
  std::vector<Found> files;
  std::string trouble;

  void archive(Archive& a);
};

/// Some of a file's bytes; none at its end.
struct Part {
  Stamp stamp;
  std::string bytes;
  std::string trouble;

  void archive(Archive& a);
};

bool is_pattern(std::string_view path);

/// By this process. `*` in the last part of the path stands for any characters; hidden files are
/// not meant by it. A path without one must be there.
Sight find_here(const std::string& pattern);
Part read_here(const std::string& path, std::uint64_t from);

/// By a helper.
Result<std::vector<Found>> find(Helpers& helpers, const std::string& pattern, Deadline deadline);
/// The whole file; an Error when it is larger than `limit`, or changes meanwhile.
Result<std::string> read(Helpers& helpers, const std::string& path, std::size_t limit,
                         Deadline deadline);

}  // namespace davy::files
