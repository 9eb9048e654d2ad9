#include "health/fail_open.h"

#include <fmt/format.h>
#include <algorithm>

namespace davy::health {

std::size_t Census::sharing(const std::string& check) const {
  return static_cast<std::size_t>(std::count_if(
      peers.begin(), peers.end(), [&](const Peer& peer) { return peer.failing.count(check) > 0; }));
}

void FailOpenRule::apply(std::vector<CheckView>& checks, const Census& peers, Time now) {
  std::map<std::string, Held> held;
  for (CheckView& check : checks) {
    check.fail_open = false;
    bool counts_as_failed = check.status == CheckStatus::Fail ||
                            (check.stale && check.when_stale == WhenStale::Fail) ||
                            (check.flapping && check.worst_while_flapping == CheckStatus::Fail);
    if (check.scope != Scope::Shared || !check.has_passed || !counts_as_failed) continue;
    std::string why;
    if (!holds(check, peers, why)) continue;
    auto before = held_.find(check.name);
    Time since = before == held_.end() ? now : before->second.since;
    check.fail_open = rule_.max_hold == Duration::zero() || now - since < rule_.max_hold;
    held[check.name] = {since, why};
  }
  held_ = std::move(held);
}

std::string FailOpenRule::why(const std::string& check) const {
  auto found = held_.find(check);
  return found == held_.end() ? "" : found->second.why;
}

bool FailOpenRule::holds(const CheckView& check, const Census& peers, std::string& why) const {
  std::size_t known = peers.peers.size();
  if (known < static_cast<std::size_t>(rule_.min_peers)) {
    why = fmt::format("only {} peers answer, {} would be needed to tell whether it is only here",
                      known, rule_.min_peers);
    return true;
  }
  std::size_t sharing = peers.sharing(check.name);
  why = fmt::format("{} of {} peers share it", sharing, known);
  return static_cast<double>(sharing) >= rule_.quorum * static_cast<double>(known);
}

}  // namespace davy::health
