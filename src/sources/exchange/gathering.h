// Gathering: the blocks of many instances, as they come -> blocks in which both versions cover the
// same span.
//
// Why: instances publish on their own; their blocks come late, twice, out of order or never. Every
// block counts exactly once, by (instance, incarnation, sequence), or is told as not judged.
// Boundaries: spans are judged up to the latest boundary that every live instance has reached,
// that cuts no block, and in front of which no instance joins, leaves or misses a part. An instance
// is waited for; one that says nothing for `patience` is lost, and what it brings later for a span
// that is judged already is late: counted, not judged. One that says that it leaves is not waited
// for. A hole in an instance's sequence is waited for as long, too: its block may be sent again.
// Saved and loaded it goes on where it was, with every instance's patience anew.
// Threading: not thread-safe; owned by the collecting thread. No I/O, no clock.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "davy/source.h"
#include "sources/exchange/block.h"
#include "sources/exchange/clock.h"
#include "sources/reading.h"
#include "sources/tally.h"

namespace davy::source {

struct GatheringRules {
  std::string deployment;
  std::string baseline;  // the version's name
  std::string canary;
  std::vector<Rules::Value> values;  // by name; whoever publishes them reads the series
  Duration patience{0};
  Duration settle{0};  // after a boundary, until all who reached it can have published
};

class Gathering {
 public:
  explicit Gathering(GatheringRules rules);

  bool has_begun() const { return start_ > 0; }
  /// From here on spans count: what began earlier was served before the run.
  void begin(ExchangeMillis clock) { start_ = clock; }

  /// One block out of the stream. REQUIRES: has_begun().
  void take(const ExchangeBlock& block, ExchangeMillis clock, Time now);
  /// After all that had come was taken. REQUIRES: has_begun().
  Collected finish_round(ExchangeMillis clock, Time now, bool canary_alone);
  /// Nobody could be heard until now, so nobody was silent.
  void excuse_silence(Time now);

  /// "3 baseline and 1 canary instances"
  std::string describe() const;
  void archive(Archive& state);

  /// The names of its events, for SourceKind::events.
  static const std::vector<std::string_view>& events();

 private:
  /// One instance, as long as it has its memory.
  struct Publisher {
    std::string instance;
    Side side = Side::Baseline;
    // Which numbers have come: from first_ to highest_, but those in missing_ and abandoned_; and
    // those in early_.
    std::uint64_t first = 0;
    std::uint64_t highest = 0;
    std::set<std::uint64_t> early;
    std::set<std::uint64_t> missing;
    std::set<std::uint64_t> abandoned;   // no longer waited for
    ExchangeMillis latest = 0;           // the end of its latest block
    ExchangeMillis covered = 0;          // as far as no number is missing
    double latest_requests = 0;          // of the block `highest`
    std::vector<ExchangeBlock> pending;  // not judged yet, ascending
    bool has_left = false;
    bool is_replaced = false;  // another memory of the same instance came after it
    bool is_twin = false;      // and yet it goes on
    bool is_lost = false;
    // Begin anew after a restart of davy.
    Time heard{};
    Time missing_since{};
    Time lost_at{};

    void archive(Archive& state);
  };
  /// What was taken of everybody's pending blocks.
  struct Cut {
    std::vector<Portion> portions;
    double blocks = 0;
    double requests = 0;
    bool has_baseline = false;
  };
  struct Span;

  void count(std::string_view event, double times = 1);
  void refuse(const std::string& why);
  static std::string name_of(const Publisher& publisher);
  std::optional<Side> side_of(const ExchangeBlock& block, Time now);
  Publisher* join(const ExchangeBlock& block, Side side);
  bool is_new(Publisher& publisher, const ExchangeBlock& block, Time now);
  void see_twice(const Publisher& publisher, const ExchangeBlock& block);

  static bool is_there(const Publisher& publisher);
  static bool is_waited_for(const Publisher& publisher);
  void lose_the_silent(Time now);
  void tell_the_lost(Time now, std::vector<std::string>& troubles) const;
  std::string others(Time now) const;
  void judge_sides(Time now, bool canary_alone, Span& span) const;
  ExchangeMillis end_for(const Publisher& publisher) const;
  ExchangeMillis common_end(ExchangeMillis latest) const;
  ExchangeMillis next_boundary(ExchangeMillis latest, Span& span) const;
  void merge(const ExchangeBlock& block, Portion& portion, std::set<std::string>& unlike) const;
  Cut cut(ExchangeMillis boundary, std::vector<std::string>& troubles);
  std::optional<Block> next_block(ExchangeMillis clock, bool canary_alone, Span& span);
  void forget_the_gone(Time now);

  const GatheringRules rules_;
  ExchangeMillis start_ = 0;
  ExchangeMillis boundary_ = 0;  // spans up to here are judged; 0 = none yet
  std::map<std::string, Publisher> publishers_;
  std::size_t pending_ = 0;             // blocks, of all
  std::map<std::string, Time> others_;  // versions that are neither, and when they were heard last
  std::optional<Time> began_;           // of this davy
  std::vector<std::string> remarks_;    // of the round
  std::map<std::string_view, double> events_;
};

}  // namespace davy::source
