// StatsdIntake: packets of StatsD in, what both versions counted in a span out.
//
// Why: the half of the source that does no I/O, so that tests and fuzzers drive it with texts.
// What a series counts for is decided when its first line comes, and remembered by its bytes
// (table.h): after that a line costs a look-up and its number. What cannot be remembered is
// decided anew for each line, and counts just the same.
// Sample rates scale counts and latencies. A latency counts a whole number of times; what is left
// of 1 / rate is carried over to the next one, so their number is right but for the last.
// Gauges keep their last value until 5 minutes have passed without another. In StatsD a sign means
// "add this to it"; DogStatsD has no such thing, so in a line with tags (or any other part of
// DogStatsD's) the sign is part of the number.
// An error may come before its request: it waits for the next requests of its instance, so long as
// the last ones that came were as many.
// Memory: `max_series` bounds the table and the gauges, kMostInstances the instances.
// Threading: not thread-safe; owned by the statsd source, behind its lock.
// Failure: none; what cannot be counted is told, with an example.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "davy/heartbeats.h"
#include "davy/sketch.h"
#include "davy/time.h"
#include "sources/rules.h"
#include "sources/statsd/line.h"
#include "sources/statsd/names.h"
#include "sources/statsd/rules.h"
#include "sources/statsd/table.h"
#include "sources/tally.h"

namespace davy {
class Archive;
}

namespace davy::source {

/// One instance of a version, and what it has counted since the span began.
struct StatsdInstance {
  Side side = Side::Baseline;
  std::string id{};  // "" for what names none
  double requests = 0;
  double errors = 0;
  double errors_ahead = 0;       // that wait for their requests
  double last_requests = 0;      // of the last span that had any
  std::vector<double> growth{};  // of the deployment's own counters, as in Rules::values
  std::vector<char> shown{};     // which of those it has ever shown
  bool is_active = false;        // something came since the span began
  Time last_seen{};

  void archive(Archive& state);
};

struct StatsdGauge {
  StatsdInstance* instance = nullptr;
  std::vector<std::size_t> parts{};  // the deployment's own metrics that it is a part of
  double value = 0;
  bool is_relative = false;  // has been added to: it never grows too old
  bool is_active = false;
  Time last_seen{};

  void archive(Archive& state);  // but the instance
};

/// How often something befell what came, and an example.
struct StatsdRemark {
  double times = 0;
  std::string example{};
};

/// What came in a span.
struct StatsdSpan {
  struct Seen {
    bool requests = false;  // ever, a series that counts requests
    bool errors = false;    // and one by which errors would show
  };
  double dt = 0;                           // seconds; 0 = nothing was begun before
  std::vector<Portion> portions{};         // by instance, without latencies
  std::array<Sketch, 2> latency{};         // by side
  bool has_latency = false;                // a series of latencies has been seen, ever
  std::array<Seen, 2> seen{};              // by side
  std::array<std::size_t, 2> instances{};  // by side; that sent something
  double packets = 0;
  double lines = 0;
  double events = 0;
  double service_checks = 0;
  StatsdRemark malformed{};
  StatsdRemark refused{};       // lines that were meant, but cannot be counted
  StatsdRemark truncated{};     // packets
  StatsdRemark unremembered{};  // lines of series for which there is no room
  StatsdRemark surplus{};       // errors that belong to no request
  std::string others{};         // names that came, when none counted requests
  std::string strangers{};      // how requests were tagged that are of neither version
  std::map<std::string, Heartbeats::Report> reports{};  // by the heartbeat's name
};

class StatsdIntake {
 public:
  static constexpr std::size_t kMostInstances = 1000;

  explicit StatsdIntake(StatsdRules rules);
  StatsdIntake(const StatsdIntake&) = delete;
  StatsdIntake& operator=(const StatsdIntake&) = delete;

  /// Of a truncated packet the last line is not taken: its "requests:10" may have been 100.
  void take(std::string_view packet, Time now, bool is_truncated = false);

  /// Ends the span, and begins the next one. REQUIRES: `now` does not go back.
  StatsdSpan end_span(Time now);

  const StatsdRules& rules() const { return rules_; }
  std::size_t remembered() const { return table_.size(); }
  /// What is remembered is decided anew; the counts stay the same.
  void empty_table() { table_.clear(); }

  /// What was saved under other rules, or makes no sense, makes the archive fail. `now` = when it
  /// is saved or loaded.
  void archive(Archive& state, Time now);

 private:
  /// What stands before and after a line's values.
  struct Key {
    std::string_view name{};
    std::string_view rest{};
    std::uint64_t hash = 0;
    bool is_known = false;  // to the table
  };
  void take_line(std::string_view line);
  bool take_values(const StatsdAction& action, std::string_view values, const char* end);
  bool apply(const StatsdAction& action, std::span<const double> numbers, std::string_view values);
  void count(const StatsdAction& action, double times);
  void take_latencies(const StatsdAction& action, std::span<const double> numbers);
  void set_gauge(const StatsdAction& action, std::span<const double> numbers,
                 std::string_view values);

  void learn(std::string_view line, const Key& key);
  void learn(const StatsdMetric& metric, const Key& key);
  void take(const StatsdServiceCheck& check);
  void see(const StatsdMetric& metric, const StatsdMeaning& meaning);
  void refuse(const StatsdMetric& metric, std::string_view what);
  StatsdAction action_for(const StatsdMetric& metric, const StatsdMeaning& meaning);
  StatsdInstance& instance_of(Side side, std::string_view id);
  StatsdGauge* gauge_of(const StatsdMetric& metric, const StatsdMeaning& meaning,
                        StatsdInstance& instance);

  void forget(Time now);
  static Portion portion_of(StatsdInstance& instance, StatsdRemark& surplus);
  void archive_gauges(Archive& state);

  const StatsdRules rules_;
  StatsdTable table_;
  std::map<std::string, StatsdInstance> instances_;  // by side and id; actions point into it
  std::map<std::string, StatsdGauge> gauges_;        // by series; actions point into it
  std::set<std::vector<std::size_t>> rates_;         // actions point into it
  std::array<Sketch, 2> latency_;                    // by side
  std::array<double, 2> carried_{};                  // by side: parts of latencies, less than 1
  bool has_latency_ = false;                         // a series of latencies was seen, ever
  std::array<StatsdSpan::Seen, 2> seen_{};           // by side
  StatsdNames names_;
  std::optional<Time> begun_;    // when the span did
  Duration before_{0};           // how long it was before davy was restarted
  Time now_{};                   // of the packet in hand
  Time emptied_{};               // when the table was, last
  StatsdSpan open_;              // what befell the lines of the span
  std::vector<double> numbers_;  // of the line in hand
};

}  // namespace davy::source
