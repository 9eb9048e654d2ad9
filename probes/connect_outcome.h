// What the probes that make a connection of their own make of one that fails.
#pragma once

#include <string>

#include "davy/probe.h"
#include "net/socket.h"

namespace davy::probe {

inline Outcome outcome_of(const net::ConnectError& error) {
  std::string reason(word(error.kind));
  return error.kind == net::ConnectFailure::Resources ? Outcome::unable(reason, error.what)
                                                      : Outcome::failed(reason, error.what);
}

}  // namespace davy::probe
