// Access: what targets want to see before they tell their metrics: headers, certificates.
//
// Why: tokens and certificates are replaced while davy runs, often every hour, so their files are
// watched and not read once. One that cannot be used leaves what was read before, and is told.
// Nothing secret is in any message, and no redirect is followed, so it goes to the targets only.
// Threading: not thread-safe; owned by the deployment's thread. The TLS context is shared by all.
// Failure: told by `troubles()`, and as an Error while there is nothing to show at all.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "davy/options.h"
#include "davy/result.h"
#include "net/tls.h"
#include "sources/targets/watched_files.h"

namespace davy::source {

class Access {
 public:
  using Headers = std::vector<std::pair<std::string, std::string>>;

  /// The options that a kind adds to its own.
  static std::vector<OptionSpec> options();
  /// An Error's `setting` is the one to blame.
  static Result<Access> make(const Options& options);

  /// Looks at the files again; once a round.
  void refresh(Workers& workers, net::Means& net, Deadline deadline);

  /// With those that prove who we are; or why there are none.
  Result<Headers> headers() const;
  /// For https; or why there is none.
  Result<std::shared_ptr<const net::TlsContext>> tls();
  /// Grows with every new TLS context: connections that were made under an older one are of no use.
  std::uint64_t generation() const { return generation_; }
  const std::string& server_name() const { return server_name_; }
  /// Files that cannot be used, for a person.
  const std::vector<std::string>& troubles() const { return troubles_; }

 private:
  Access(Headers headers, std::string token_file, net::TlsSettings tls, std::string server_name);
  void take_token();
  void take_tls();
  std::string why() const;

  Headers headers_;
  std::string token_file_;  // "" = none
  std::string token_;       // the header's value
  net::TlsSettings tls_;
  std::string server_name_;
  WatchedFiles files_;
  std::vector<std::string> troubles_;
  std::string tls_seen_;  // the versions of the files that were tried last
  std::shared_ptr<const net::TlsContext> tried_;
  std::shared_ptr<const net::TlsContext> context_;  // the last one that can be used
  std::uint64_t generation_ = 0;
};

}  // namespace davy::source
