// Run files: one deployment's run on disk: its state, and the blocks that were judged.
//
// Why: a davy that is killed and started again must go on where it was: no evidence lost, no scrape
// counted twice. And a run that was judged can be judged again, under another policy or by a
// person. Files in the directory, NAME = the deployment:
//   NAME.state            the newest state, replaced whole (written beside it, then renamed)
//   NAME.ndjson           the blocks of this run, as `davy replay` reads them
//   NAME.previous.ndjson  those of the run before
// A state knows how long the recording was when it was saved; what was added later belongs to
// rounds that will be collected again, and is cut off when the state is loaded. Threading: not
// thread-safe; one user at a time. Calls block as long as the disk does. Failure: a full or
// read-only disk is an Error, and leaves the last good state; a file that is damaged, or not ours,
// is an Error of load().
#pragma once

#include <cstdint>
#include <string>

#include "davy/result.h"

namespace davy::store {

class RunFiles {
 public:
  RunFiles(const std::string& directory, const std::string& deployment);

  /// The state saved last; "" when there is none.
  Result<std::string> load();
  /// Adds `lines` to the recording, then replaces the state. `is_new_run` begins a recording.
  Result<Done> save(const std::string& state, const std::string& lines, bool is_new_run);

  const std::string& recording() const { return recording_; }
  /// It has reached its greatest length; later blocks are judged and not recorded.
  bool recording_is_full() const { return is_full_; }

  static constexpr std::uint64_t kLongestRecording = 256 << 20;  // bytes

 private:
  Result<Done> append(const std::string& lines);

  const std::string state_;
  const std::string recording_;
  const std::string previous_;
  std::uint64_t recorded_ = 0;  // bytes of the recording that belong to the newest state
  bool is_moved_ = false;       // the last run's recording, by a save that then failed
  bool is_full_ = false;
};

}  // namespace davy::store
