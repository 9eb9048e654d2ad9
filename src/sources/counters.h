// Counters: the memory of one target: raw counters in, what was added to them out.
//
// Why: counters only go up, until their process restarts; then they start from 0 and what was
// counted between the last reading and the crash is lost.
//   delta = now - before, or all of `now` when it is less than before (a reset)
// A series that appears later than its target starts from 0: clients make counters at first use.
// Where the target tells when its process started, a new process resets all of its counters, also
// those that have overtaken the old ones already. Where it does not, a counter that fell is taken
// for a restart, and the others go on: a series may also be dropped and made anew.
// A reading that was taken before the last one says nothing: two Prometheus behind one address
// scrape at different moments, and who answers changes. Such a reading would look like a reset.
// Threading: not thread-safe; owned by the collecting thread.
// Failure: a histogram whose buckets shrink while its total grows is left out and told.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "davy/block.h"
#include "sources/process_start.h"
#include "sources/reading.h"
#include "sources/tally.h"

namespace davy::source {

class TargetCounters {
 public:
  /// Begins anew: nothing before this reading counts, except a restart since the last one.
  void start_from(const Reading& reading, Time now);
  /// Adds what is new since the last reading to the tallies. Returns remarks for a person.
  std::vector<std::string> advance_to(const Reading& reading, Time now);

  const Tally& tally(Side side) const { return tallies_[index(side)]; }
  double restarts() const { return restarts_; }
  /// The tallies are taken: the next ones begin here.
  void clear_tallies();

  /// What it read and finds impossible makes the archive fail.
  void archive(Archive& state);

 private:
  struct Counter {
    double value = 0;
    std::uint64_t seen = 0;  // the reading in which it was seen last
    void archive(Archive& state);
  };
  struct Buckets {
    std::vector<double> bounds;
    std::vector<double> counts;  // not cumulative
    std::uint64_t seen = 0;
    void archive(Archive& state);
  };

  bool is_new_process(const Reading& reading, Time now, bool& is_known,
                      std::vector<std::string>& remarks);
  bool all_go_on(const Reading& reading) const;
  bool add_counters(const Reading& reading, std::vector<std::string>& remarks);
  bool add_histograms(const Reading& reading, std::vector<std::string>& remarks);
  void add_values(const Reading& reading);
  void add_nothing(const Reading& reading);
  void forget_gone(std::size_t now);
  void forget_unseen();
  /// What was added to the histogram, per bucket; nothing when it makes no sense.
  static std::optional<Histogram> added(const Buckets* before, const std::vector<double>& bounds,
                                        const std::vector<double>& counts);

  std::unordered_map<std::string, Counter> counters_;
  std::unordered_map<std::string, Buckets> histograms_;
  ProcessStart process_;
  std::array<Tally, 2> tallies_;
  double restarts_ = 0;
  std::uint64_t readings_ = 0;
  double at_ = 0;  // when the last one was taken
};

}  // namespace davy::source
