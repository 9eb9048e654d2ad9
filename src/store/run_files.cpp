#include "store/run_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string_view>

namespace davy::store {
namespace {

constexpr std::string_view kMagic = "davy-run-1";

/// FNV-1a, 64 bits: against torn writes, not against people.
std::uint64_t checksum(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return hash;
}

Error failed(const std::string& file, const char* what) {
  return {fmt::format("{}: cannot be {}: {}", file, what, std::strerror(errno))};
}

std::uint64_t length_of(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

/// An open file that closes itself.
class File {
 public:
  File(const std::string& path, int flags) : fd_(open(path.c_str(), flags | O_CLOEXEC, 0640)) {}
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  bool is_open() const { return fd_ >= 0; }
  bool write_all(std::string_view bytes) const {
    while (!bytes.empty()) {
      ssize_t n = write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  bool cut_to(std::uint64_t length) const {
    return ftruncate(fd_, static_cast<off_t>(length)) == 0 && lseek(fd_, 0, SEEK_END) >= 0;
  }
  bool flush() const { return fdatasync(fd_) == 0; }

 private:
  int fd_;
};

}  // namespace

RunFiles::RunFiles(const std::string& directory, const std::string& deployment)
    : state_(directory + "/" + deployment + ".state"),
      recording_(directory + "/" + deployment + ".ndjson"),
      previous_(directory + "/" + deployment + ".previous.ndjson") {}

Result<std::string> RunFiles::load() {
  std::ifstream in(state_, std::ios::binary);
  if (!in) {
    if (errno == ENOENT) return std::string();
    return failed(state_, "read");
  }
  std::ostringstream all;
  all << in.rdbuf();
  std::string bytes = all.str();
  std::size_t end = bytes.find('\n');
  std::istringstream head(bytes.substr(0, end));
  std::string magic;
  std::uint64_t recorded = 0;
  std::uint64_t size = 0;
  std::uint64_t sum = 0;
  head >> magic >> recorded >> size >> std::hex >> sum;
  if (!head || magic != kMagic) return Error{state_ + ": is not a run's state of this davy"};
  std::string state = bytes.substr(end + 1);
  if (state.size() != size || checksum(state) != sum) return Error{state_ + ": is damaged"};
  recorded_ = recorded;
  // Killed between moving the recording and replacing the state: the state is still the old run's.
  if (length_of(recording_) < recorded && length_of(previous_) >= recorded)
    std::rename(previous_.c_str(), recording_.c_str());
  recorded_ = std::min(recorded_, length_of(recording_));
  return state;
}

Result<Done> RunFiles::append(const std::string& lines) {
  if (recorded_ + lines.size() > kLongestRecording) {
    is_full_ = true;
    return Done{};
  }
  File file(recording_, O_WRONLY | O_CREAT);
  // What a save that did not finish has left behind goes.
  if (!file.is_open() || !file.cut_to(recorded_) || !file.write_all(lines))
    return failed(recording_, "written");
  recorded_ += lines.size();
  return Done{};
}

Result<Done> RunFiles::save(const std::string& state, const std::string& lines, bool is_new_run) {
  std::uint64_t before = recorded_;
  if (is_new_run) {
    if (!is_moved_ && std::rename(recording_.c_str(), previous_.c_str()) != 0 && errno != ENOENT)
      return failed(recording_, "renamed");
    is_moved_ = true;
    before = recorded_ = 0;
    is_full_ = false;
  }
  if (auto done = append(lines); !done) return done;
  std::string fresh = state_ + ".new";
  std::string head =
      fmt::format("{} {} {} {:x}\n", kMagic, recorded_, state.size(), checksum(state));
  bool written = false;
  {
    File file(fresh, O_WRONLY | O_CREAT | O_TRUNC);
    written = file.is_open() && file.write_all(head) && file.write_all(state) && file.flush();
  }
  if (!written || std::rename(fresh.c_str(), state_.c_str()) != 0) {
    recorded_ = before;
    Error error = failed(state_, "written");
    std::remove(fresh.c_str());
    return error;
  }
  is_moved_ = false;
  return Done{};
}

}  // namespace davy::store
