// Target URL: where one target tells its metrics, and of which version.
//
// Threading: plain values, pure functions. Failure: an Error that repeats no password.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "davy/result.h"
#include "net/http_client.h"
#include "sources/reading.h"

namespace davy::source {

struct TargetUrl {
  std::string text;  // as it was written
  net::Url url;
  std::string unix_path{};  // a socket of this machine to ask through; "" = the URL's host and port
  std::vector<Share> shares{};
  bool is_of_one_version = false;  // as all others are

  std::vector<Side> sides() const;
  /// Without the query, which may hold a token.
  std::string shown() const;
  std::string name() const;  // "canary http://v2:9102/metrics"
  /// The same target of the same version, the same key.
  std::string key() const;

 private:
  std::string_view role() const;
};

/// `http://host:port/path`, https, or `http+unix://%2Frun%2Fapp.sock/path`. Without shares.
Result<TargetUrl> parse_target_url(std::string_view text);

}  // namespace davy::source
