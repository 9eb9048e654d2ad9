// Sealed file: bytes on disk that are replaced whole, and known to be whole when read.
//
// Why: davy may be killed, and the disk full, in the middle of a write. The new content is written
// beside the old, flushed, and renamed over it; a head line names the kind, the size and a
// checksum. Threading: pure; blocks as long as the disk does. Failure: an Error that names the
// file; a failed write leaves the old content.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/descriptor.h"
#include "davy/result.h"

namespace davy::store {

/// The content; "" when there is no such file. `kind` is the head's first word, such as
/// "davy-run-1".
Result<std::string> read_sealed(const std::string& path, std::string_view kind);
Result<Done> write_sealed(const std::string& path, std::string_view kind, std::string_view content);

/// An open file that closes itself.
class File {
 public:
  File(const std::string& path, int flags);

  bool is_open() const { return static_cast<bool>(file_); }
  bool write_all(std::string_view bytes) const;
  bool cut_to(std::uint64_t length) const;
  bool flush() const;
  /// Takes the file for this process, until it is closed. False when another one has it.
  bool lock() const;

 private:
  Descriptor file_;
};

/// What errno says of `file`: "FILE: cannot be written: No space left on device".
Error file_error(const std::string& file, const char* what);

}  // namespace davy::store
