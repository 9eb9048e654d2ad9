// StateFile: something's state on disk, replaced whole each time, without ever waiting long for it.
//
// Why: a disk can be full, read-only or hang, and that must stop nothing. Saves run on a worker,
// one at a time; save() waits a second for its own and then goes on without. Threading: used by one
// thread; the file by the worker that has the save. Failure: told by trouble(). One davy per file:
// a second one keeps nothing, and says so.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/workers.h"
#include "davy/result.h"
#include "sources/slot.h"
#include "store/sealed_file.h"

namespace davy::app {

class StateFile {
 public:
  /// `kind` is the file's first word, such as "davy-publish-1". Besides `file` there is
  /// `file`.lock.
  StateFile(std::string file, std::string kind, Workers& workers);

  /// What was saved last; "" when nothing was.
  Result<std::string> load() const;
  void save(std::string state);

  /// Why the newest state is not on disk; "" when it is.
  const std::string& trouble() const { return trouble_; }

 private:
  using Answer = source::Slot<Result<Done>>;
  void hear(Duration patience);

  const std::string file_;
  const std::string kind_;
  Workers& workers_;
  std::shared_ptr<store::File> lock_;  // null = somebody else keeps here, or nobody can
  std::shared_ptr<Answer> saving_;     // the save that is out
  std::string trouble_;
};

}  // namespace davy::app
