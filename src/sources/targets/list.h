// Target list: the URLs of a source -> the instances behind them.
//
// Why: a host name with several addresses is several instances, and each has counters of its own:
// asking "the name" would compare one instance's counter with another's. Names are looked up again
// every 30 s; while that fails, the addresses known last are used. A name that is new is waited for
// a little, once: a resolver that is dead costs those targets that nobody has seen yet.
// Threading: not thread-safe; owned by the deployment's thread. Look-ups run on workers, because
// nothing can end them; one that hangs is not repeated.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/workers.h"
#include "davy/result.h"
#include "davy/time.h"
#include "net/means.h"
#include "sources/slot.h"
#include "sources/targets/url.h"

namespace davy {
class Archive;
}

namespace davy::source {

/// One instance to ask; or, when its name cannot be looked up, why not.
struct Instance {
  const TargetUrl* target = nullptr;
  std::string address;  // numeric; "" when there is none
  bool is_only_one = true;
  std::string error;  // why it cannot be asked; "" = it can
  // Stable as long as it is the same instance.
  std::string key() const { return target->key() + " " + address; }
  std::string name() const;
  bool is_local() const;    // on this machine
  std::string pod() const;  // "10.0.0.5:9102"; as written when it is the name's only address
};

class TargetList {
 public:
  explicit TargetList(std::vector<TargetUrl> fixed);

  /// Those found beside the ones that are always there; they replace those found before.
  void set_found(const std::vector<TargetUrl>& found);

  /// All instances now, in the order of the URLs. They are good until set_found() is called.
  std::vector<Instance> instances(Workers& workers, net::Means& net, Time now, Deadline deadline);

  const std::vector<TargetUrl>& urls() const { return urls_; }

  /// The addresses, so that a resolver that is down after a restart of davy makes nothing new.
  void archive(Archive& state);

 private:
  using Addresses = Result<std::vector<std::string>>;
  struct Name {
    std::vector<std::string> addresses;
    std::string error;
    std::optional<Time> asked;
    std::shared_ptr<Slot<Addresses>> answer;  // of the look-up that is under way
    bool was_awaited = false;
  };

  static void ask(const std::string& host, Name& name, Workers& workers, net::Means& net, Time now);
  static void hear(Name& name, Deadline patience);

  const std::size_t fixed_;  // so many of the first URLs are always there
  std::vector<TargetUrl> urls_;
  std::map<std::string, Name> names_;  // by host
};

}  // namespace davy::source
