#include "sources/targets/watched_files.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace davy::source {
namespace {

constexpr Duration kPatience = std::chrono::seconds(1);  // a file system that is well takes less
constexpr int kPatiencePart = 4;                         // nor more of the time there is
constexpr Duration kLongestLook = std::chrono::seconds(5);

}  // namespace

WatchedFiles::WatchedFiles(std::vector<std::string> paths, std::size_t limit)
    : paths_(std::move(paths)), limit_(limit) {}

void WatchedFiles::look(Workers& workers, net::Means& net, Deadline deadline) {
  if (paths_.empty()) return;
  if (answer_ == nullptr) ask(workers, net);
  if (answer_ == nullptr) return;
  Duration patience = std::min(kPatience, deadline.left() / kPatiencePart);
  std::optional<Look> look = answer_->take(is_late_ ? Deadline(Time{}) : Deadline::in(patience));
  is_late_ = !look;
  if (is_late_) {
    troubles_ = {text::join(paths_, ", ") + ": the file system does not answer"};
    return;
  }
  answer_.reset();
  take(std::move(*look));
}

void WatchedFiles::ask(Workers& workers, net::Means& net) {
  auto answer = std::make_shared<Slot<Look>>();
  bool is_taken = workers.submit([answer, &net, paths = paths_, known = stamps_, limit = limit_] {
    answer->put(look_at(paths, known, limit, net.helpers));
  });
  if (is_taken) {
    answer_ = std::move(answer);
  } else {
    troubles_ = {text::join(paths_, ", ") + ": davy has no worker free to look at it"};
  }
}

/// On a worker.
WatchedFiles::Look WatchedFiles::look_at(const std::vector<std::string>& paths, const Stamps& known,
                                         std::size_t limit, Helpers& helpers) {
  Deadline deadline = Deadline::in(kLongestLook);
  Look look;
  for (const std::string& path : paths) {
    Result<std::vector<files::Found>> all = files::find(helpers, path, deadline);
    if (!all) {
      look.push_back(all.error());
      continue;
    }
    std::vector<Seen> seen;
    for (files::Found& found : *all) {
      auto before = known.find(found.path);
      bool is_as_it_was = before != known.end() && before->second == found.stamp;
      std::optional<Result<std::string>> text;
      if (!is_as_it_was || found.is_fresh) text = files::read(helpers, found.path, limit, deadline);
      seen.push_back({std::move(found), std::move(text)});
    }
    look.push_back(std::move(seen));
  }
  return look;
}

void WatchedFiles::take(Look look) {
  troubles_.clear();
  for (std::size_t place = 0; place < paths_.size(); ++place) {
    if (look[place]) {
      take_place(place, std::move(*look[place]));
    } else if (files::is_pattern(paths_[place])) {
      troubles_.push_back(look[place].error().what);
    } else {
      File& file = files_.try_emplace(paths_[place], File{.place = place}).first->second;
      file.trouble = look[place].error().what;
    }
  }
}

void WatchedFiles::take_place(std::size_t place, std::vector<Seen> seen) {
  std::erase_if(files_, [&](const auto& item) {
    return item.second.place == place && files::is_pattern(paths_[place]) &&
           std::none_of(seen.begin(), seen.end(),
                        [&](const Seen& one) { return one.found.path == item.first; });
  });
  std::erase_if(stamps_, [&](const auto& item) { return files_.count(item.first) == 0; });
  for (Seen& one : seen) take_file(place, std::move(one));
}

void WatchedFiles::take_file(std::size_t place, Seen seen) {
  auto [at, is_new] = files_.try_emplace(seen.found.path);
  File& file = at->second;
  if (is_new) file.place = place;
  if (!seen.text) {
    file.trouble.clear();
    return;
  }
  if (!*seen.text) {
    file.trouble = seen.text->error().what;
    return;
  }
  file.trouble.clear();
  stamps_[seen.found.path] = seen.found.stamp;
  if (file.text == **seen.text) return;
  file.text = std::move(**seen.text);
  ++file.version;
}

}  // namespace davy::source
