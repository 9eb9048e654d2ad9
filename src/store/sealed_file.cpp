#include "store/sealed_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/checksum.h"

namespace davy::store {

Result<std::string> read_sealed(const std::string& path, std::string_view kind) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    if (errno == ENOENT) return std::string();
    return file_error(path, "read");
  }
  std::ostringstream all;
  all << in.rdbuf();
  std::string bytes = all.str();
  std::size_t end = bytes.find('\n');
  std::istringstream head(bytes.substr(0, end));
  std::string its_kind;
  std::uint64_t size = 0;
  std::uint64_t sum = 0;
  head >> its_kind >> size >> std::hex >> sum;
  if (!head || its_kind != kind)
    return Error{fmt::format("{}: is not a {} file of this davy", path, kind)};
  std::string content = bytes.substr(end + 1);
  if (content.size() != size || checksum(content) != sum) return Error{path + ": is damaged"};
  return content;
}

Result<Done> write_sealed(const std::string& path, std::string_view kind,
                          std::string_view content) {
  std::string fresh = path + ".new";
  std::string head = fmt::format("{} {} {:x}\n", kind, content.size(), checksum(content));
  bool written = false;
  {
    File file(fresh, O_WRONLY | O_CREAT | O_TRUNC);
    written = file.is_open() && file.write_all(head) && file.write_all(content) && file.flush();
  }
  if (written && std::rename(fresh.c_str(), path.c_str()) == 0) return Done{};
  Error error = file_error(path, "written");
  std::remove(fresh.c_str());
  return error;
}

File::File(const std::string& path, int flags)
    : file_(open(path.c_str(), flags | O_CLOEXEC, 0640)) {}

bool File::write_all(std::string_view bytes) const {
  while (!bytes.empty()) {
    ssize_t n = write(file_.fd(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

bool File::cut_to(std::uint64_t length) const {
  return ftruncate(file_.fd(), static_cast<off_t>(length)) == 0 &&
         lseek(file_.fd(), 0, SEEK_END) >= 0;
}

bool File::flush() const {
  return fdatasync(file_.fd()) == 0;
}

bool File::lock() const {
  return flock(file_.fd(), LOCK_EX | LOCK_NB) == 0;
}

Error file_error(const std::string& file, const char* what) {
  return {fmt::format("{}: cannot be {}: {}", file, what, std::strerror(errno))};
}

}  // namespace davy::store
