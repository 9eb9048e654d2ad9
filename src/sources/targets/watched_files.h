// Watched files: what stands in files that others change, as of this round.
//
// Why: lists of targets, tokens and certificates are replaced while davy runs. A worker looks at
// them once a round, by a helper process, and reads those that have changed. A look that hangs (a
// dead mount) is not repeated until it is back; meanwhile what was read last stands.
// Threading: not thread-safe; owned by the deployment's thread.
// Failure: told per file and per pattern; what was read last stays.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/workers.h"
#include "davy/result.h"
#include "davy/time.h"
#include "net/means.h"
#include "sources/slot.h"

namespace davy::source {

class WatchedFiles {
 public:
  struct File {
    std::optional<std::string> text;  // as it was read last; nothing when it never was
    std::string trouble;              // why it cannot be read now; "" = it can
    std::uint64_t version = 0;        // grows whenever `text` becomes another
    std::size_t place = 0;            // which of the paths it was found by
  };

  /// `paths` may be patterns (base/files.h). No more than `limit` bytes of a file are read.
  WatchedFiles(std::vector<std::string> paths, std::size_t limit);

  /// Looks again. Waits for the answer, but no longer than a file system that is well may take, and
  /// not at all for one that has not answered before.
  void look(Workers& workers, net::Means& net, Deadline deadline);

  /// By path. A file that a pattern no longer finds is gone; one that was named itself stays.
  const std::map<std::string, File>& files() const { return files_; }
  /// What is wrong with patterns, and with the looking itself.
  const std::vector<std::string>& troubles() const { return troubles_; }

 private:
  using Stamps = std::map<std::string, files::Stamp>;
  struct Seen {
    files::Found found;
    std::optional<Result<std::string>> text;  // nothing = as it was
  };
  using Look = std::vector<Result<std::vector<Seen>>>;  // as paths_

  void ask(Workers& workers, net::Means& net);
  void take(Look look);
  void take_place(std::size_t place, std::vector<Seen> seen);
  void take_file(std::size_t place, Seen seen);
  static Look look_at(const std::vector<std::string>& paths, const Stamps& known, std::size_t limit,
                      Helpers& helpers);

  const std::vector<std::string> paths_;
  const std::size_t limit_;
  std::map<std::string, File> files_;
  Stamps stamps_;  // of what was read
  std::vector<std::string> troubles_;
  std::shared_ptr<Slot<Look>> answer_;  // of the look that is under way
  bool is_late_ = false;                // it was waited for, and did not come
};

}  // namespace davy::source
