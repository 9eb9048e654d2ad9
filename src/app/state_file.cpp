#include "app/state_file.h"

#include <fcntl.h>
#include <utility>

namespace davy::app {
namespace {

constexpr Duration kPatience = std::chrono::seconds(1);

}  // namespace

StateFile::StateFile(std::string file, std::string kind, Workers& workers)
    : file_(std::move(file)), kind_(std::move(kind)), workers_(workers) {
  std::string name = file_ + ".lock";
  lock_ = std::make_shared<store::File>(name, O_RDWR | O_CREAT);
  if (!lock_->is_open()) {
    trouble_ = store::file_error(name, "opened").what;
    lock_.reset();
  } else if (!lock_->lock()) {
    trouble_ = name + ": another davy has it (give each a state_dir of its own)";
    lock_.reset();
  }
}

Result<std::string> StateFile::load() const {
  if (lock_ == nullptr) return Error{trouble_};
  return store::read_sealed(file_, kind_);
}

void StateFile::save(std::string state) {
  if (lock_ == nullptr) return;
  if (saving_ != nullptr) hear(Duration::zero());
  if (saving_ != nullptr) {
    trouble_ = "the disk has not taken the last state yet";
    return;
  }
  saving_ = std::make_shared<Answer>();
  // The lock goes along: it is not another's before the last save has ended.
  bool is_taken = workers_.submit(
      [answer = saving_, lock = lock_, file = file_, kind = kind_, state = std::move(state)] {
        answer->put(store::write_sealed(file, kind, state));
      });
  if (!is_taken) saving_->put(Error{"davy has no worker free to save it"});
  hear(kPatience);
}

void StateFile::hear(Duration patience) {
  std::optional<Result<Done>> answer = saving_->take(Deadline::in(patience));
  if (!answer) return;
  saving_.reset();
  trouble_ = *answer ? "" : answer->error().what;
}

}  // namespace davy::app
