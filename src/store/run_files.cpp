#include "store/run_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <sstream>
#include <string_view>

#include "store/sealed_file.h"

namespace davy::store {
namespace {

constexpr std::string_view kKind = "davy-run-2";

std::uint64_t length_of(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

}  // namespace

RunFiles::RunFiles(const std::string& directory, const std::string& deployment)
    : state_(directory + "/" + deployment + ".state"),
      recording_(directory + "/" + deployment + ".ndjson"),
      previous_(directory + "/" + deployment + ".previous.ndjson") {}

Result<std::string> RunFiles::load() {
  Result<std::string> content = read_sealed(state_, kKind);
  if (!content || content->empty()) return content;
  std::size_t end = content->find('\n');
  std::istringstream head(content->substr(0, end));
  std::uint64_t recorded = 0;
  head >> recorded;
  if (!head || end == std::string::npos) return Error{state_ + ": is damaged"};
  std::string state = content->substr(end + 1);
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
    return file_error(recording_, "written");
  recorded_ += lines.size();
  return Done{};
}

Result<Done> RunFiles::save(const std::string& state, const std::string& lines, bool is_new_run) {
  std::uint64_t before = recorded_;
  if (is_new_run) {
    if (!is_moved_ && std::rename(recording_.c_str(), previous_.c_str()) != 0 && errno != ENOENT)
      return file_error(recording_, "renamed");
    is_moved_ = true;
    before = recorded_ = 0;
    is_full_ = false;
  }
  if (auto done = append(lines); !done) return done;
  Result<Done> written = write_sealed(state_, kKind, fmt::format("{}\n{}", recorded_, state));
  if (!written) {
    recorded_ = before;
    return written;
  }
  is_moved_ = false;
  return Done{};
}

}  // namespace davy::store
