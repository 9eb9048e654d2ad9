// StatsdRounds: spans of what came -> blocks, and what is to be told a person.
//
// Why: StatsD is silent when something is wrong: a wrong port, a wrong name, a wrong tag and no
// traffic look the same. So three rounds without any request that counts are trouble that blinds,
// told with what did come. Once the names are right a version may be silent: it may have served
// nothing. Both versions of a block cover the same span by construction.
// What befalls single lines and packets (garbage, losses, too many series) stays told for a minute,
// and is logged once a minute at most: a flood of garbage must not flood the log.
// Threading: not thread-safe; owned by the deployment's thread. No I/O but the log. Failure: none.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "davy/source.h"
#include "sources/statsd/intake.h"

namespace davy::source {

class StatsdRounds {
 public:
  /// `where` = what is listened on, for messages.
  StatsdRounds(const StatsdRules& rules, std::string where, std::string deployment);

  /// `unbound` = why some addresses are not listened on; `lost` = packets that the kernel has had
  /// no room for since the last round. REQUIRES: `now` does not go back.
  Collected finish_round(StatsdSpan span, const std::vector<std::string>& unbound, double lost,
                         Time now, bool canary_alone);
  /// Nothing is listened on.
  static Collected finish_deaf_round(const std::vector<std::string>& unbound);

  /// The names of the events that it tells.
  static const std::vector<std::string_view>& events();

 private:
  /// Something that befalls lines or packets, and how often it did until it was quiet for a while.
  struct Mishap {
    std::string_view event;
    std::string_view one;
    std::string_view many;
    std::string advice{};
    double times = 0;
    std::string example{};
    std::optional<Time> last{};
    std::optional<Time> logged{};
  };
  struct Round;

  void judge_sides(const StatsdSpan& span, Round& round) const;
  std::string say_nothing_counts(const StatsdSpan& span, Time now) const;
  std::string of_neither(const StatsdSpan& span) const;
  void see(Mishap& mishap, const StatsdRemark& remark, Round& round);
  static std::string say(const Mishap& mishap);
  Block make_block_of(StatsdSpan& span, Round& round) const;

  const bool one_version_;
  const std::string where_;
  const std::string deployment_;
  const std::string counter_names_;
  const std::string error_labels_;
  const std::string versions_;  // how they are told apart
  const std::vector<Rules::Value> values_;
  int rounds_ = 0;
  std::optional<Time> first_round_;
  std::optional<Time> last_packet_;
  Mishap malformed_;
  Mishap refused_;
  Mishap truncated_;
  Mishap lost_;
  Mishap unremembered_;
  Mishap surplus_;
};

}  // namespace davy::source
