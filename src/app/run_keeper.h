// RunKeeper: keeps one deployment's run on disk while it goes on.
//
// Why: a disk can be full, read-only or hang; none of that may stop the judging. Saves run on a
// worker, one at a time; a round waits for its save for a second and then goes on without.
// What a save that is still out could not take along is saved by the next one.
// Threading: used by the deployment's thread; the files by the worker that has the save.
// Failure: trouble is told by `trouble()`, logged once per change by the watch, and counted.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/workers.h"
#include "davy/result.h"
#include "sources/slot.h"
#include "store/run_files.h"

namespace davy::app {

class RunKeeper {
 public:
  RunKeeper(const std::string& directory, const std::string& deployment, Workers& workers);

  /// The state of the run before; "" when there is none.
  Result<std::string> load() { return files_->load(); }
  /// From here on the recording is another one.
  void begin_run();
  /// `line` = the block that was judged since the last call, or "".
  void save(std::string state, const std::string& line);

  /// Why the newest state is not on disk; "" when it is.
  const std::string& trouble() const { return trouble_; }

 private:
  using Answer = source::Slot<Result<Done>>;
  void hear(Duration patience);

  std::shared_ptr<store::RunFiles> files_;
  Workers& workers_;
  std::string lines_;         // not recorded yet
  bool is_recording_ = true;  // false once blocks had to be dropped: a hole would not replay
  bool is_new_run_ = false;
  std::shared_ptr<Answer> saving_;  // the save that is out
  std::string sent_lines_;          // what it takes along
  bool sent_new_run_ = false;
  std::string trouble_;
};

}  // namespace davy::app
