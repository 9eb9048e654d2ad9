// PostgreSQL connection strings: the settings in "host=db user=app" or "postgresql://app@db/shop".
//
// Why: libpq keeps a deadline only when it gets one host, its numeric address and a
// connect_timeout, so the settings must be known and changed before libpq sees them. The meaning
// stays libpq's: what is not understood here is passed on. Threading: plain values and pure
// functions. Failure: an Error that never repeats any part of the text, because that part may be a
// password.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "davy/result.h"

namespace davy::net {

struct PostgresDsn {
  std::map<std::string, std::string> settings;  // by libpq's keywords: host, port, dbname, ...

  bool has(const std::string& keyword) const { return settings.count(keyword) > 0; }
  /// "" when it is not set.
  std::string get(const std::string& keyword) const;
  /// Keeps what is already set.
  void set_default(const std::string& keyword, const std::string& value) {
    settings.emplace(keyword, value);
  }

  /// The host is a name or address, not a directory with a Unix socket.
  bool is_tcp() const;
  /// "db:5432/shop", for messages: no user, no password.
  std::string where() const;
  /// keyword='value' pairs for libpq. Holds the password.
  std::string conninfo() const;
};

/// Refuses several hosts: libpq's connect_timeout is per host.
Result<PostgresDsn> parse_postgres_dsn(std::string_view text);

}  // namespace davy::net
