// Address: "host:port" as people write it, and which of them lie on this machine.
//
// Threading: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "config/config.h"
#include "davy/result.h"

namespace davy::config {

/// "127.0.0.1:8686", "db.internal:5432", "[::1]:80". Port 0 means any free port.
Result<Address> parse_address(std::string_view text);

/// The host in "scheme://user@host:port/path", without brackets; "" when there is none.
std::string host_of_url(std::string_view url);

/// localhost, 127.0.0.0/8 and ::1. Names are not resolved.
bool is_loopback(std::string_view host);

/// The URL with its user info hidden: "redis://***@cache:6379/0".
std::string without_user_info(std::string_view url);

}  // namespace davy::config
