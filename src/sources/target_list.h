// Target list: the URLs of a source -> the instances behind them.
//
// Why: a host name with several addresses is several instances, and each has counters of its own:
// asking "the name" would compare one instance's counter with another's. Names are looked up again
// every 30 s; while that fails, the addresses known last are used.
// Threading: not thread-safe; owned by the deployment's thread. Look-ups run on workers, because
// nothing can end them; one that hangs is not repeated.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/workers.h"
#include "davy/result.h"
#include "davy/time.h"
#include "net/http_client.h"
#include "sources/reading.h"
#include "sources/slot.h"

namespace davy {
class Archive;
}

namespace davy::source {

/// What the config names.
struct TargetUrl {
  std::string text;
  net::Url url;
  std::vector<Share> shares;
  bool is_of_one_version = false;  // as all others are

  std::vector<Side> sides() const;
  std::string name() const;  // "canary http://v2:9102/metrics"
};

/// One instance to ask; or, when its name cannot be looked up, why not.
struct Instance {
  const TargetUrl* target = nullptr;
  std::string address;  // numeric; "" when there is none
  bool is_only_one = true;
  std::string error;  // why there is no address
  // Stable as long as it is the same instance.
  std::string key() const { return target->text + " " + address; }
  std::string name() const;
  std::string pod() const;  // "10.0.0.5:9102"; as written when it is the name's only address
};

class TargetList {
 public:
  explicit TargetList(std::vector<TargetUrl> urls);

  /// All instances now. Waits only for names that have no address yet, until the deadline.
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
  };

  void ask(const TargetUrl& url, Name& name, Workers& workers, net::Means& net, Time now);
  static void hear(Name& name, Deadline deadline);

  const std::vector<TargetUrl> urls_;
  std::vector<Name> names_;  // as urls_
};

}  // namespace davy::source
