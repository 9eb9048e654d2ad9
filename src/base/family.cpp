#include "base/family.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <memory>
#include <thread>

#include "base/descriptor.h"
#include "base/text.h"

namespace davy::family {
namespace {

constexpr Duration kLookAgain = std::chrono::milliseconds(2);
constexpr int kMostRounds = 50;  // of stopping; a bomb without any limit is killed as it goes

template <typename T>
bool read_number(std::string_view text, T& number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

/// Stops everybody first: what is stopped cannot fork, and still counts for the limit of processes.
void stop_all(pid_t root) {
  std::vector<pid_t> before;
  for (int round = 0; round < kMostRounds; ++round) {
    std::vector<pid_t> now = living_descendants(root);
    if (std::includes(before.begin(), before.end(), now.begin(), now.end())) return;
    for (pid_t pid : now) kill(pid, SIGSTOP);
    before = std::move(now);
  }
}

}  // namespace

std::optional<Member> parse_stat(std::string_view line) {
  // The name is in parentheses and may hold any byte, also parentheses and spaces.
  std::size_t open = line.find(" (");
  std::size_t close = line.rfind(") ");
  if (open == std::string_view::npos || close == std::string_view::npos || close < open + 2)
    return std::nullopt;
  Member member;
  member.name = line.substr(open + 2, close - open - 2);
  std::vector<std::string_view> rest = text::split(text::trim(line.substr(close + 2)), ' ');
  constexpr std::size_t kStarted = 19;  // proc(5): field 22, and the state is field 3
  if (rest.size() <= kStarted || rest[0].size() != 1) return std::nullopt;
  member.state = rest[0][0];
  if (!read_number(line.substr(0, open), member.pid) || !read_number(rest[1], member.parent) ||
      !read_number(rest[kStarted], member.started))
    return std::nullopt;
  return member;
}

std::optional<Member> look_at(pid_t pid) {
  std::string path = "/proc/" + std::to_string(pid) + "/stat";
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return std::nullopt;
  char line[1024];
  ssize_t n = read(file.fd(), line, sizeof line);
  return n > 0 ? parse_stat({line, static_cast<std::size_t>(n)}) : std::nullopt;
}

std::vector<Member> everybody() {
  std::vector<Member> all;
  std::unique_ptr<DIR, int (*)(DIR*)> proc(opendir("/proc"), &closedir);
  while (dirent* entry = proc ? readdir(proc.get()) : nullptr) {
    pid_t pid = 0;
    if (!read_number(std::string_view(entry->d_name), pid)) continue;
    if (std::optional<Member> member = look_at(pid)) all.push_back(*std::move(member));
  }
  return all;
}

std::vector<pid_t> living_descendants(pid_t root) {
  std::vector<Member> all = everybody();
  std::vector<pid_t> family{root};
  std::vector<pid_t> living;
  for (std::size_t i = 0; i < family.size(); ++i) {
    for (const Member& member : all) {
      if (member.parent != family[i]) continue;
      family.push_back(member.pid);
      if (!member.is_dead()) living.push_back(member.pid);
    }
  }
  std::sort(living.begin(), living.end());
  return living;
}

bool end_descendants(pid_t root, Deadline deadline) {
  if (living_descendants(root).empty()) return true;
  while (true) {
    stop_all(root);
    std::vector<pid_t> living = living_descendants(root);
    if (living.empty()) return true;
    for (pid_t pid : living) kill(pid, SIGKILL);
    if (deadline.expired()) return false;
    std::this_thread::sleep_for(kLookAgain);
  }
}

}  // namespace davy::family
