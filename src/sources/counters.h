// Counters: the memory of one target: raw counters in, what was added to them out.
//
// Why: counters only go up, until their process restarts; then they start from 0 and what was
// counted between the last reading and the crash is lost.
//   delta = now - before, or all of `now` when it is less than before (a reset)
// A series that appears later than its target starts from 0: clients make counters at first use.
// Where the target tells when its process started, a new process resets all of its counters, also
// those that have overtaken the old ones already. Where it does not, a counter that fell is taken
// for a restart, and the others go on: a series may also be dropped and made anew.
// Threading: not thread-safe; owned by the collecting thread.
// Failure: a histogram whose buckets shrink while its total grows is left out and told.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "davy/block.h"
#include "sources/process_start.h"
#include "sources/reading.h"

namespace davy::source {

/// What was added to one version's counters since the last commit. Histograms by their bounds:
/// several may differ in them.
struct Tally {
  using Histograms = std::map<std::vector<double>, std::vector<double>>;  // bounds -> counts
  /// One of the deployment's own metrics.
  struct Sum {
    double of = 0;        // a gauge's values, a counter's growth
    double readings = 0;  // in which it was there
    void archive(Archive& state);
  };

  double requests = 0;
  double errors = 0;
  Histograms latency;
  std::vector<Sum> values;  // as in Rules; shorter when the rest was never there

  void archive(Archive& state);
};

void add(const Tally::Histograms& more, Tally::Histograms& sum);

/// All of them at the bounds that they have in common; nothing when they have none, or there are
/// none.
std::optional<Histogram> at_common_bounds(const Tally::Histograms& histograms);

/// Both at the bounds that both have, when they differ.
void share_bounds(std::optional<Histogram>& a, std::optional<Histogram>& b);

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
  void forget_gone(std::size_t now);
  void forget_unseen();
  /// What was added to the histogram, per bucket; nothing when it makes no sense.
  static std::optional<std::vector<double>> added(const Buckets* before,
                                                  const std::vector<double>& bounds,
                                                  const std::vector<double>& counts);

  std::unordered_map<std::string, Counter> counters_;
  std::unordered_map<std::string, Buckets> histograms_;
  ProcessStart process_;
  std::array<Tally, 2> tallies_;
  double restarts_ = 0;
  std::uint64_t readings_ = 0;
};

}  // namespace davy::source
