#include "base/cgroup.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <vector>

#include "base/text.h"

namespace davy::cgroup {
namespace {

// Version 1 says "unlimited" as the largest multiple of a page; no machine has as much.
constexpr double kUnlimited = 0x1p62;

Result<std::string> read_all(const std::string& path) {
  std::ifstream in(path);
  std::string all{std::istreambuf_iterator<char>(in), {}};
  if (!in && all.empty()) return Error{path + ": " + std::system_category().message(errno)};
  return all;
}

std::optional<double> number(std::string_view text) {
  text = text::trim(text);
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Result<double> read_number(const std::string& path) {
  Result<std::string> all = read_all(path);
  if (!all) return all.error();
  if (std::optional<double> value = number(*all)) return *value;
  return Error{path + " holds " + text::quoted(*all) + ", expected a number"};
}

/// The number behind `name ` at the start of a line, 0 when there is none.
double row(std::string_view table, std::string_view name) {
  for (std::string_view line : text::split(table, '\n')) {
    if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == ' ')
      return number(line.substr(name.size() + 1)).value_or(0);
  }
  return 0;
}

double row_of_file(const std::string& path, std::string_view name) {
  Result<std::string> all = read_all(path);
  return all ? row(*all, name) : 0;
}

bool holds_word(std::string_view list, std::string_view word) {
  std::vector<std::string_view> words = text::split(list, ',');
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// The smallest memory.max from here up to the root, which has none.
std::optional<double> limit_v2(std::filesystem::path directory) {
  std::optional<double> least;
  while (true) {
    Result<std::string> text = read_all(directory / "memory.max");
    if (!text) return least;
    if (std::optional<double> limit = number(*text))
      least = std::min(least.value_or(*limit), *limit);
    directory = directory.parent_path();
  }
}

Result<Memory> read_v2(const std::string& directory) {
  Result<double> usage = read_number(directory + "/memory.current");
  if (!usage) return usage.error();
  return Memory{*usage, row_of_file(directory + "/memory.stat", "inactive_file"),
                limit_v2(directory), row_of_file(directory + "/memory.events", "oom_kill")};
}

Result<Memory> read_v1(const std::string& directory) {
  Result<double> usage = read_number(directory + "/memory.usage_in_bytes");
  if (!usage) return usage.error();
  Result<std::string> stat = read_all(directory + "/memory.stat");
  if (!stat) return stat.error();
  Memory memory{*usage, row(*stat, "total_inactive_file"), std::nullopt,
                row_of_file(directory + "/memory.oom_control", "oom_kill")};
  double limit = row(*stat, "hierarchical_memory_limit");
  if (limit > 0 && limit < kUnlimited) memory.limit = limit;
  return memory;
}

/// One line of /proc/self/mountinfo.
struct Mount {
  std::string_view root;     // of the filesystem, as seen here
  std::string_view at;       // where
  std::string_view type;     // "cgroup", "cgroup2"
  std::string_view options;  // of version 1: its controllers
};

std::optional<Mount> parse_mount(std::string_view line) {
  std::size_t dash = line.find(" - ");
  if (dash == std::string_view::npos) return std::nullopt;
  std::vector<std::string_view> before = text::split(line.substr(0, dash), ' ');
  std::vector<std::string_view> after = text::split(line.substr(dash + 3), ' ');
  if (before.size() < 5 || after.size() < 3) return std::nullopt;
  return Mount{before[3], before[4], after[0], after[2]};
}

}  // namespace

Result<std::string> own_directory(std::string_view cgroups, std::string_view mounts) {
  std::string_view path_v1;
  std::string_view path_v2;
  for (std::string_view line : text::split(cgroups, '\n')) {  // "4:memory:/path", "0::/path"
    std::size_t first = line.find(':');
    std::size_t second = line.find(':', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) continue;
    std::string_view controllers = line.substr(first + 1, second - first - 1);
    if (holds_word(controllers, "memory")) path_v1 = line.substr(second + 1);
    if (controllers.empty()) path_v2 = line.substr(second + 1);
  }
  bool is_v1 = !path_v1.empty();
  std::string_view path = is_v1 ? path_v1 : path_v2;
  for (std::string_view line : text::split(mounts, '\n')) {
    std::optional<Mount> mount = parse_mount(line);
    if (!mount || mount->type != (is_v1 ? "cgroup" : "cgroup2")) continue;
    if (is_v1 && !holds_word(mount->options, "memory")) continue;
    // In a container the mount may show only the part below our own group.
    std::string_view below = path;
    if (mount->root != "/" && below.starts_with(mount->root))
      below.remove_prefix(mount->root.size());
    if (below == "/") below = "";
    return std::string(mount->at) + std::string(below);
  }
  return Error{"no memory controller is mounted here"};
}

Result<std::string> own_directory() {
  Result<std::string> cgroups = read_all("/proc/self/cgroup");
  if (!cgroups) return cgroups.error();
  Result<std::string> mounts = read_all("/proc/self/mountinfo");
  if (!mounts) return mounts.error();
  return own_directory(*cgroups, *mounts);
}

Result<Memory> read_memory(const std::string& directory) {
  std::error_code ignored;
  if (std::filesystem::exists(directory + "/memory.current", ignored)) return read_v2(directory);
  if (std::filesystem::exists(directory + "/memory.usage_in_bytes", ignored))
    return read_v1(directory);
  return Error{directory + " is no control group with a memory controller"};
}

Result<Pressure> parse_pressure(std::string_view text) {
  Pressure pressure;
  for (std::string_view line : text::split(text, '\n')) {  // "some avg10=0.00 avg60=..."
    double* share = line.starts_with("some ")   ? &pressure.some
                    : line.starts_with("full ") ? &pressure.full
                                                : nullptr;
    if (share == nullptr) continue;
    constexpr std::string_view kKey = "avg10=";
    std::size_t at = line.find(kKey);
    if (at == std::string_view::npos) return Error{"holds no avg10"};
    std::string_view rest = line.substr(at + kKey.size());
    std::optional<double> percent = number(rest.substr(0, rest.find(' ')));
    if (!percent) return Error{"holds no number behind avg10"};
    *share = *percent / 100;
  }
  return pressure;
}

Result<Pressure> read_pressure(const std::string& directory) {
  Result<std::string> text = read_all(directory + "/memory.pressure");
  if (!text) text = read_all("/proc/pressure/memory");
  if (!text) return Error{"the kernel does not tell pressure (PSI): " + text.error().what};
  return parse_pressure(*text);
}

Result<double> machine_memory() {
  Result<std::string> all = read_all("/proc/meminfo");
  if (!all) return all.error();
  for (std::string_view line : text::split(*all, '\n')) {
    constexpr std::string_view kRow = "MemTotal:";
    if (!line.starts_with(kRow)) continue;
    std::string_view value = text::trim(line.substr(kRow.size()));
    if (std::optional<double> kib = number(value.substr(0, value.find(' ')))) return *kib * 1024;
  }
  return Error{"/proc/meminfo holds no MemTotal"};
}

}  // namespace davy::cgroup
