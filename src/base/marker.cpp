#include "base/marker.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "base/boot_id.h"
#include "base/family.h"
#include "base/text.h"

namespace davy {
namespace {

std::string why(const std::string& path) {
  return path + ": " + std::system_category().message(errno);
}

}  // namespace

Result<Marker> Marker::parse(const std::string& json) {
  nlohmann::json all = nlohmann::json::parse(json, nullptr, false);
  if (!all.is_object()) return Error{"is not a whole JSON object"};
  Marker marker;
  try {
    marker.lock = all.value("lock", false);
    if (all.contains("pid")) marker.pid = all.at("pid").get<pid_t>();
    if (all.contains("start_ticks"))
      marker.start_ticks = all.at("start_ticks").get<std::uint64_t>();
    if (all.contains("pidns_inode"))
      marker.pidns_inode = all.at("pidns_inode").get<std::uint64_t>();
    marker.boot_id = all.value("boot_id", "");
    marker.host = all.value("host", "");
    marker.version = all.value("version", "");
    marker.started_at = all.value("started_at", "");
    if (all.contains("ttl")) {
      double ttl = all.at("ttl").get<double>();
      constexpr double kMostSeconds = 1e9;
      if (!(ttl > 0 && ttl < kMostSeconds)) return Error{"ttl is not a number of seconds"};
      marker.ttl = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(ttl));
    }
  } catch (const nlohmann::json::exception&) {
    return Error{"has a member of the wrong type"};
  }
  if (marker.pid && *marker.pid <= 0) return Error{"pid is not a process"};
  return marker;
}

std::string Marker::text() const {
  nlohmann::json all = {{"lock", lock}};
  if (pid) all["pid"] = *pid;
  if (start_ticks) all["start_ticks"] = *start_ticks;
  if (pidns_inode) all["pidns_inode"] = *pidns_inode;
  if (!boot_id.empty()) all["boot_id"] = boot_id;
  if (!host.empty()) all["host"] = host;
  if (!version.empty()) all["version"] = version;
  if (!started_at.empty()) all["started_at"] = started_at;
  if (ttl) all["ttl"] = seconds(*ttl);
  return all.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Marker Marker::of_this_process() {
  Marker marker;
  marker.pid = getpid();
  if (std::optional<family::Member> self = family::look_at(getpid()))
    marker.start_ticks = self->started;
  marker.boot_id = davy::boot_id();
  struct stat ns {};
  if (stat("/proc/self/ns/pid", &ns) == 0) marker.pidns_inode = ns.st_ino;
  char host[256] = "";
  if (gethostname(host, sizeof host - 1) == 0) marker.host = host;
  return marker;
}

Result<HeldMarker> HeldMarker::write(const std::string& path, Marker marker) {
  if (Descriptor before(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC)); before) {
    if (is_locked(before.fd())) return Error{"marker " + path + " is held: a migration is running"};
  }
  std::string temporary = path + "." + std::to_string(getpid()) + ".new";
  unlink(temporary.c_str());
  Descriptor file(open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!file) return Error{"cannot write " + why(temporary)};
  marker.lock = true;
  std::string text = marker.text();
  if (flock(file.fd(), LOCK_EX | LOCK_NB) != 0 ||
      ::write(file.fd(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      fsync(file.fd()) != 0 || std::rename(temporary.c_str(), path.c_str()) != 0) {
    Error error{"cannot write marker " + why(path)};
    unlink(temporary.c_str());
    return error;
  }
  return HeldMarker(path, std::move(file));
}

void HeldMarker::keep_open_in_children() const {
  fcntl(file_.fd(), F_SETFD, 0);
}

HeldMarker::~HeldMarker() {
  if (file_) unlink(path_.c_str());  // before the lock goes: unlocked it would look like a crash
}

bool is_locked(int fd) {
  struct flock region {};
  region.l_type = F_WRLCK;
  region.l_whence = SEEK_SET;
  if (fcntl(fd, F_OFD_GETLK, &region) == 0 && region.l_type != F_UNLCK) return true;
  if (flock(fd, LOCK_SH | LOCK_NB) != 0) return errno == EWOULDBLOCK;
  flock(fd, LOCK_UN);
  return false;
}

}  // namespace davy
