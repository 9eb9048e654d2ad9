// What the probes that look at files make of an errno that says nothing of the one thing they ask.
#pragma once

#include <cerrno>
#include <string>
#include <system_error>

#include "davy/probe.h"

namespace davy::probe {

/// "PATH: Permission denied"
inline std::string with_errno(const std::string& path, int code) {
  return path + ": " + std::system_category().message(code);
}

/// The disk or its server is broken, or it is ourselves who cannot look.
inline Outcome outcome_of_errno(const std::string& path, int code) {
  std::string what = with_errno(path, code);
  switch (code) {
    case EIO:
    case ESTALE:    // NFS: the server has forgotten us
    case ENOTCONN:  // FUSE: its process is gone
    case ECONNABORTED:
    case ETIMEDOUT: return Outcome::failed("io", what);
    case EMFILE:
    case ENFILE:
    case ENOMEM: return Outcome::unable("resources", what);
    default: return Outcome::unable("unreadable", what);
  }
}

}  // namespace davy::probe
