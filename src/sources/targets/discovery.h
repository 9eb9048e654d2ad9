// Discovery: the targets that Prometheus' file_sd files name at the moment.
//
// Which version a target belongs to is said by matchers on its labels (`track="canary"`); those
// that match neither belong to somebody else.
// Why: instances come and go. The files are watched; one that is broken (half written, say) leaves
// its targets as they were, until it can be read again.
// Threading: not thread-safe; owned by the deployment's thread.
// Failure: told by `troubles()`.
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "davy/options.h"
#include "davy/result.h"
#include "sources/targets/groups.h"
#include "sources/targets/watched_files.h"

namespace davy::source {

class Discovery {
 public:
  struct Version {
    Side side;
    std::string when;  // as it was written
    Matchers matchers;
  };
  struct Trouble {
    std::string what;
    bool is_broken_file = true;
  };

  Discovery(std::vector<std::string> patterns, std::vector<Version> versions);
  /// A path, maybe with `*` in its last part, that ends as file_sd's must; or why it is not.
  static Result<Done> check_pattern(const std::string& pattern);

  /// Looks at the files again; once a round.
  void refresh(Workers& workers, net::Means& net, Deadline deadline);

  /// In an order that only the files decide.
  const std::vector<TargetUrl>& targets() const { return targets_; }
  const std::vector<Trouble>& troubles() const { return troubles_; }
  /// "/etc/sd/*.json", or "" when there are none.
  std::string describe() const;

 private:
  struct Known {
    std::uint64_t version = 0;
    std::vector<GroupTarget> targets;  // of the last version that could be read
    std::string trouble;               // of the present one
  };
  void take_files();
  void choose_targets();
  std::optional<Side> side_of(const GroupTarget& target);

  const std::vector<std::string> patterns_;
  const std::vector<Version> versions_;
  WatchedFiles files_;
  std::map<std::string, Known> known_;  // by path
  std::vector<TargetUrl> targets_;
  std::vector<Trouble> troubles_;
};

}  // namespace davy::source
