#include "app/check_keeper.h"

#include <fcntl.h>
#include <algorithm>
#include <functional>

#include "base/archive.h"
#include "base/boot_id.h"
#include "base/log.h"
#include "health/roles.h"

namespace davy::app {
namespace {

constexpr std::string_view kKind = "davy-checks-1";
constexpr Duration kEvery = std::chrono::seconds(5);

std::uint64_t mark_of(const config::Check& check) {
  return std::hash<std::string>()(check.settings);
}

void archive(Archive& a, CheckView& v) {
  a(v.status, v.since, v.last_seen, v.has_passed, v.last_run_failed, v.consecutive_failures,
    v.consecutive_successes, v.blocks_deploy, v.instance, v.reason, v.message);
}

struct Saved {
  std::string boot;
  bool has_started = false;
  std::string instance;
  struct Check {
    std::string name;
    std::uint64_t mark = 0;
    CheckView view;
  };
  std::vector<Check> checks;

  void archive(Archive& a, bool with_ages) {
    std::uint64_t count = checks.size();
    a(boot, has_started, instance, count);
    if (a.reading()) checks.resize(std::min<std::uint64_t>(count, 100'000));
    for (Check& check : checks) {
      if (a.failed()) return;
      a(check.name, check.mark);
      app::archive(a, check.view);
      if (with_ages) a(check.view.last_result.since_boot);
    }
  }
};

Saved saved_from(const Board& board, const std::map<std::string, std::uint64_t>& marks) {
  Saved saved{boot_id(), board.has_started, health::instance_of(board.checks), {}};
  for (const CheckView& view : board.checks) {
    bool is_known = view.status != CheckStatus::Pending && !view.restored;
    auto mark = marks.find(view.name);
    if (is_known && mark != marks.end()) saved.checks.push_back({view.name, mark->second, view});
  }
  return saved;
}

}  // namespace

CheckKeeper::CheckKeeper(std::string directory, Workers& workers, telemetry::Metrics& metrics)
    : file_(directory + "/checks.state"), workers_(workers), metrics_(metrics) {
  if (directory.empty()) return;
  lock_ = std::make_shared<store::File>(directory + "/checks.lock", O_RDWR | O_CREAT);
  if (!lock_->is_open()) {
    log::warn("check states are not kept over a restart",
              {{"why", store::file_error(directory + "/checks.lock", "opened").what}});
    lock_.reset();
  } else if (!lock_->lock()) {
    log::warn(
        "check states are not kept over a restart: another davy keeps its own there (give "
        "each a state_dir of its own)",
        {{"state_dir", directory}});
    lock_.reset();
  }
  if (lock_ == nullptr) metrics_.checks_kept(false);
}

Remembered CheckKeeper::load(const config::Config& config, Time now) {
  Remembered out;
  if (lock_ == nullptr) return out;
  Result<std::string> bytes = store::read_sealed(file_, kKind);
  if (bytes && bytes->empty()) return out;
  Saved saved;
  bool is_sound = false;
  if (bytes) {
    Archive a = Archive::reader(*bytes);
    saved.archive(a, true);
    is_sound = !a.failed() && a.at_end();
  }
  if (!is_sound) {
    log::warn("the saved check states are not used: everything starts as not known",
              {{"why", bytes ? file_ + ": makes no sense" : bytes.error().what}});
    metrics_.checks_restored("refused", 1);
    return out;
  }
  if (saved.boot != boot_id()) return out;
  for (Saved::Check& check : saved.checks) {
    auto same = std::find_if(config.checks.begin(), config.checks.end(), [&](const auto& c) {
      return c.name == check.name && mark_of(c) == check.mark;
    });
    Duration age = now - check.view.last_result;
    if (same == config.checks.end() || age < Duration::zero() || age > config.restore_max_age)
      continue;
    check.view.name = check.name;
    out.checks.push_back(std::move(check.view));
  }
  // Startup was passed by whoever the fresh states are of; nothing fresh proves nothing.
  out.has_started = saved.has_started && !out.checks.empty();
  out.instance = saved.instance;
  metrics_.checks_restored("ok", out.checks.size());
  if (!out.checks.empty())
    log::info("check states taken up from before the restart",
              {{"checks", std::to_string(out.checks.size())}});
  return out;
}

void CheckKeeper::follow(const std::vector<config::Check>& checks) {
  auto marks = std::make_shared<Marks>();
  for (const config::Check& check : checks) (*marks)[check.name] = mark_of(check);
  marks_.set(std::move(marks));
}

void CheckKeeper::keep(const Board& board, Time now) {
  if (lock_ == nullptr) return;
  hear();
  if (saving_ != nullptr) return;
  Saved saved = saved_from(board, *marks_.get());
  Archive lasting = Archive::writer();
  saved.archive(lasting, false);
  if (lasting.bytes() == saved_ && now - saved_at_ < kEvery) return;
  saved_ = lasting.bytes();
  saved_at_ = now;
  Archive all = Archive::writer();
  saved.archive(all, true);
  saving_ = std::make_shared<Answer>();
  bool is_taken = workers_.submit([answer = saving_, file = file_, bytes = all.bytes()] {
    answer->put(store::write_sealed(file, kKind, bytes));
  });
  if (!is_taken) saving_->put(Error{"davy has no worker free to save it"});
}

void CheckKeeper::hear() {
  if (saving_ == nullptr) return;
  std::optional<Result<Done>> answer = saving_->take(Deadline(Time{}));
  if (!answer) return;
  saving_.reset();
  metrics_.checks_kept(static_cast<bool>(*answer));
  bool is_trouble = !*answer;
  if (is_trouble && !is_in_trouble_)
    log::warn("check states are not kept over a restart", {{"why", answer->error().what}});
  if (!is_trouble && is_in_trouble_) log::info("check states are kept again");
  if (is_trouble) saved_.clear();
  is_in_trouble_ = is_trouble;
}

}  // namespace davy::app
