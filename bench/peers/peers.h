// Peers: the rules that canaries are usually judged by, fed with the same blocks as davy.
//
// Why: "fewer false alarms" means nothing without the number beside it. Each peer is the rule
// itself, as its project documents it, on the settings people start with; none is tuned against.
//   Kayenta    Mann-Whitney on per-minute error rates (mann_whitney.h), judged again from minute 10
//              on every minute, every 10 min, or once at the end
//   z-test     pooled two-proportion z-test, one-sided, on all requests so far
//   threshold  V2's error rate of the last minute against a fixed limit of 0.1 %, as a metric of
//              Flagger or Argo Rollouts: rolled back at the first failing minute (Argo's default
//              failureLimit 0) or at the fifth (Flagger's usual threshold 5)
// Shapes: seconds from the canary's start. Threading: a plain value each. Failure: none.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "davy/block.h"

namespace davy::peers {

/// One rule at work on one canary. Once it has rolled back it stays so.
class Peer {
 public:
  virtual ~Peer() = default;
  /// REQUIRES: the canary is running; `t` = seconds since its start, at the block's end.
  void see(const Block& block, double t);
  std::optional<double> rolled_back() const { return rolled_back_; }

 private:
  virtual bool condemns(const Block& block, double t) = 0;
  std::optional<double> rolled_back_;
};

struct NamedPeer {
  std::string name;
  std::string promise;  // the share of false rollbacks that its users expect, or "none"
  std::unique_ptr<Peer> (*make)();
};
const std::vector<NamedPeer>& all_peers();

}  // namespace davy::peers
