// Fail open: a shared dependency's failure does not take this instance out of rotation when its
// peers share it, or when nobody can tell.
//
// Why: when the database dies, every instance fails the same check. If readiness followed, the load
// balancer would be left with nobody, and what still works without the database with it (AWS
// Builders' Library, "Implementing health checks"; Slack's outage of 2021-01-04). So the question
// is put to the peers: is it only me?
//   only me             readiness fails: others can serve
//   my peers, too       readiness stays, at most `max_hold` long
//   too few peers say   readiness stays, at most `max_hold` long: cannot tell
// Never for local checks, for a check that has never passed, for startup and deploy, or a drain.
// Threading: not thread-safe. Pure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "config/config.h"
#include "davy/board.h"

namespace davy::health {

/// What the peers said last. Only those who answered properly, each once, without ourselves.
struct Census {
  struct Peer {
    std::string instance;
    std::set<std::string> failing;  // checks whose last run failed there
  };
  std::vector<Peer> peers;

  std::size_t sharing(const std::string& check) const;
};

class FailOpenRule {
 public:
  explicit FailOpenRule(config::FailOpen rule = {}) : rule_(rule) {}

  void configure(const config::FailOpen& rule) { rule_ = rule; }
  /// Sets `fail_open` of every check, and a note of why.
  void apply(std::vector<CheckView>& checks, const Census& peers, Time now);
  /// "7 of 9 peers share it", for the check that fails open last applied.
  std::string why(const std::string& check) const;

 private:
  struct Held {
    Time since;
    std::string why;
  };
  bool holds(const CheckView& check, const Census& peers, std::string& why) const;

  config::FailOpen rule_;
  std::map<std::string, Held> held_;  // checks that fail open now, or did until max_hold
};

}  // namespace davy::health
