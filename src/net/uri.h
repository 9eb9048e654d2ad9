// URIs: scheme://[user[:password]@]host[:port][/path][?query], taken apart.
//
// Why: HTTP, Redis and PostgreSQL addresses are written alike, and two of them hold passwords.
// Threading: pure functions.
// Failure: an Error that never repeats any part of the text, because that part may be a password.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "davy/result.h"

namespace davy::net {

struct Uri {
  std::string scheme;                   // in lower case
  std::optional<std::string> user;      // decoded
  std::optional<std::string> password;  // decoded
  std::string host;                     // decoded, without brackets; may be empty
  int port = 0;                         // 0 = not given
  std::string path;                     // as written, starts with '/' unless empty
  std::string query;                    // as written, without the '?'
};

Result<Uri> parse_uri(std::string_view text);

/// "%41" as "A"; nullopt when a '%' is not followed by two hexadecimal digits.
std::optional<std::string> percent_decoded(std::string_view s);

/// A decimal number from 1 to 65535.
std::optional<int> parse_port(std::string_view s);

}  // namespace davy::net
