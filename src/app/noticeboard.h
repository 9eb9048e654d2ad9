// Noticeboard: where the parts of davy pin what they know; it publishes the Board.
//
// Why: the scheduler knows checks, each deployment knows its verdict, the daemon knows that it
// drains. Whoever answers needs one snapshot of it all. Threading: thread-safe.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/guarded.h"
#include "davy/board.h"
#include "davy/time.h"
#include "health/roles.h"

namespace davy::app {

class Noticeboard {
 public:
  Noticeboard(std::string service, const Clock& clock);

  void configure(const config::FailOpen& fail_open, const config::LivenessBudget& budget);
  /// A davy before this one had seen startup pass, of this instance.
  void restore_started(const std::string& instance);
  void pin_checks(std::vector<CheckView> checks);
  /// What the peers say of shared dependencies.
  void pin_census(health::Census census);
  /// The check does not count for so long; `Duration{0}` ends it.
  void mute(const std::string& check, Duration length, std::string by, std::string why);
  /// Adds the deployment, or replaces the one of the same name.
  void pin_deployment(DeploymentView deployment);
  /// Keeps only these, in this order (after a reload).
  void keep_deployments(const std::vector<std::string>& names);
  void start_draining();

  std::shared_ptr<const Board> board() const { return published_.get(); }

 private:
  struct Parts {
    Board board;
    health::Roles roles;
    bool checks_known = false;  // until then nothing is ready and startup must not latch
    health::Census census;
    struct Muted {
      Mute mute;
      Time until;
    };
    std::map<std::string, Muted> muted;
  };
  void publish(Parts& parts);

  const Clock& clock_;
  Guarded<Parts> parts_;
  Published<Board> published_;
};

}  // namespace davy::app
