// What the probes that ask Redis make of its errors, and the words they share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "davy/probe.h"
#include "net/redis.h"
#include "probes/findings.h"

namespace davy::probe {

inline Outcome outcome_of(const net::RedisError& error) {
  if (error.ours) return Outcome::unable(error.reason, error.what);
  return Outcome::failed(error.reason, error.what, error.hard);
}

/// For a look that is not what the check is about: without the right to it, somebody should grant
/// it, but the server is well.
inline Outcome outcome_of_look(const net::RedisError& error) {
  if (error.code != "NOPERM") return outcome_of(error);
  return Outcome::warned("no_permission", error.what + ": grant it, or drop the setting");
}

/// A field of what INFO says: "" when it is not there.
inline std::string info_field(std::string_view info, const std::string& name) {
  std::string key = "\n" + name + ":";
  std::size_t at = info.find(key);
  if (at == std::string_view::npos) return "";
  std::string_view value = info.substr(at + key.size());
  return std::string(value.substr(0, value.find_first_of("\r\n")));
}

/// The client's words, and those of the kind itself.
inline std::vector<ProbeKind::Reason> with_redis_reasons(std::vector<ProbeKind::Reason> own) {
  constexpr bool kHard = true;
  std::vector<ProbeKind::Reason> all = {
      {"resolve", "the host's name has no address"},
      {"refused", "nothing listens there: the server is down, or the port is wrong"},
      {"unreachable", "no route to the host"},
      {"timeout",
       "no connection or no answer in time; it hangs, is paused (CLIENT PAUSE), loads "
       "its data, or runs a script"},
      {"closed", "the connection ended in the middle"},
      {"tls", "no TLS session: the certificate is not trusted, or the port does not speak TLS"},
      {"protocol", "what answers is not Redis"},
      {"too_large", "an answer of more than 16 MiB"},
      {"auth", "wrong or missing user or password, or protected mode", kHard},
      {"permission", "the user may not run the command that the message names", kHard},
      {"database", "the server has no database of this number", kHard},
      {"too_many_connections", "maxclients is reached"},
      {"loading", "reads its data after a start: wait"},
      {"busy", "runs a script beyond busy-reply-threshold"},
      {"masterdown", "a replica that serves no stale data, without its primary"},
      {"clusterdown", "the cluster does not cover all slots, or has no majority"},
      {"tryagain", "the cluster moves the key's slot"},
      {"misconf",
       "saves fail (a full disk?), so it refuses writes; a warning unless writes are "
       "expected"},
      {"out_of_memory", "at maxmemory, and nothing may be evicted: writes fail"},
      {"read_only", "a replica, which takes no writes"},
      {"no_replicas", "fewer replicas than min-replicas-to-write: writes fail"},
      {"moved", "the key belongs to another node of the cluster", kHard},
      {"unknown_command", "the server does not know the command: too old, or renamed", kHard},
      {"error", "another error, see the message"},
      {"no_permission", "a look needs a right, which the message names (warning)"},
      {"resources", "davy has no descriptors left: says nothing about the server"},
  };
  all.insert(all.end(), own.begin(), own.end());
  return all;
}

}  // namespace davy::probe
