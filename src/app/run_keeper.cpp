#include "app/run_keeper.h"

#include <utility>

namespace davy::app {
namespace {

constexpr Duration kPatience = std::chrono::seconds(1);
constexpr std::size_t kMostWaiting = 16 << 20;  // bytes of lines that wait for a disk

}  // namespace

RunKeeper::RunKeeper(const std::string& directory, const std::string& deployment, Workers& workers)
    : files_(std::make_shared<store::RunFiles>(directory, deployment)), workers_(workers) {}

void RunKeeper::begin_run() {
  lines_.clear();
  is_recording_ = true;
  is_new_run_ = true;
}

void RunKeeper::save(std::string state, const std::string& line) {
  if (!line.empty() && is_recording_) lines_ += line + "\n";
  if (lines_.size() > kMostWaiting) {
    lines_.clear();
    is_recording_ = false;
  }
  if (saving_ != nullptr) hear(Duration::zero());
  if (saving_ != nullptr) {
    trouble_ = "the disk has not taken the last state yet";
    return;
  }
  saving_ = std::make_shared<Answer>();
  sent_lines_ = std::exchange(lines_, "");
  sent_new_run_ = std::exchange(is_new_run_, false);
  bool is_taken = workers_.submit(
      [files = files_, answer = saving_, state = std::move(state), lines = sent_lines_,
       is_new_run = sent_new_run_] { answer->put(files->save(state, lines, is_new_run)); });
  if (!is_taken) saving_->put(Error{"davy has no worker free to save it"});
  hear(kPatience);
}

void RunKeeper::hear(Duration patience) {
  std::optional<Result<Done>> answer = saving_->take(Deadline::in(patience));
  if (!answer) return;
  saving_.reset();
  if (*answer) {
    bool ended = files_->recording_is_full() || !is_recording_;
    trouble_ = ended ? files_->recording() + ": has ended; blocks are judged and not recorded" : "";
    return;
  }
  trouble_ = answer->error().what;
  lines_ = sent_lines_ + lines_;
  is_new_run_ = is_new_run_ || sent_new_run_;
}

}  // namespace davy::app
