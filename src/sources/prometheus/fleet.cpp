#include "sources/prometheus/fleet.h"

#include <fmt/format.h>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/text.h"
#include "base/units.h"
#include "sources/formats/catalogue.h"
#include "sources/prometheus/native.h"

namespace davy::source {
namespace {

using Series = PromTable::Series;

constexpr double kLate = 2.5;       // distances of scrapes
constexpr double kGone = 1.5;       // the same, after which a gauge is no longer shown
constexpr double kStartSlack = 1;   // seconds by which a start time wavers
constexpr std::size_t kTurns = 16;  // moments of one target that are looked at; more is no counter
/// Labels that only say which of several Prometheus has scraped a target.
constexpr std::string_view kReplicaLabels[] = {"prometheus_replica", "__replica__"};

std::string_view label(const Series& series, std::string_view name) {
  for (const Label& one : series.labels) {
    if (one.name == name) return one.value;
  }
  return "";
}

/// To tenths of a second.
std::string show_seconds(double s) {
  return units::show(std::chrono::milliseconds(100 * std::llround(s * 10)));
}

/// The newest value within (after, until]; nothing when the series has none, or ended (a staleness
/// marker is NaN).
template <typename Sample>
const Sample* as_of(const std::vector<Sample>& samples, double after, double until) {
  auto later = std::find_if(samples.rbegin(), samples.rend(),
                            [&](const Sample& sample) { return sample.t <= until; });
  return later != samples.rend() && later->t > after ? &*later : nullptr;
}
const PromSample* value_as_of(const Series& series, double after, double until) {
  const PromSample* sample = as_of(series.samples, after, until);
  return sample != nullptr && !std::isnan(sample->value) ? sample : nullptr;
}

/// The moments before and after a value fell by more than `slack`, or rose if that counts, too.
void add_turns(const Series& series, bool counts_rises, double slack, std::set<double>& turns) {
  const PromSample* before = nullptr;
  for (const PromSample& sample : series.samples) {
    if (std::isnan(sample.value)) continue;
    double grown = before == nullptr ? 0 : sample.value - before->value;
    if (grown < -slack || (counts_rises && grown > slack)) turns.insert({before->t, sample.t});
    before = &sample;
  }
}

/// All series of one target, sorted by what they are for.
class TargetReader {
 public:
  explicit TargetReader(const Rules& rules) : rules_(rules) {}

  void add(const Series& series, Side side) {
    is_of_[index(side)] = true;
    if (series.name == kStartTime) {
      starts_.push_back(&series);
    } else if (!series.histograms.empty()) {
      natives_.push_back(&series);
    } else if (is_bucket(series)) {
      classics_[without_le(series)].push_back(&series);
    } else {
      plain_.push_back(&series);
    }
    see_times(series.samples);
    see_times(series.histograms);
  }

  bool is_of(Side side) const { return is_of_[index(side)]; }
  bool has_more_than_start() const {
    return !plain_.empty() || !classics_.empty() || !natives_.empty();
  }
  double newest() const { return newest_; }
  double spacing() const { return spacing_; }

  Reading at(double moment, Catalogue& catalogue) const {
    double after = began_anew(moment);
    std::vector<std::string> remarks;
    catalogue.begin();
    auto take = [&](const Series& series, const PromSample* sample) {
      if (sample == nullptr) return;
      std::uint32_t number = catalogue.intern(series.name, series.labels);
      if (number != SampleSink::kUnwanted) catalogue.see(number, sample->value);
    };
    for (const Series* series : starts_) take(*series, value_as_of(*series, after, moment));
    // A counter that no longer comes does no harm; a gauge would be added to the others.
    double shown_after = std::max(after, spacing_ > 0 ? moment - kGone * spacing_ : 0);
    for (const Series* series : plain_)
      take(*series, value_as_of(*series, is_counter(*series) ? after : shown_after, moment));
    std::size_t torn = 0;
    for (const auto& [key, buckets] : classics_) {
      double whole = written_at_once(buckets, after, moment);
      torn += whole < 0;
      for (const Series* bucket : buckets) {
        if (whole > 0) take(*bucket, value_as_of(*bucket, after, whole));
      }
    }
    if (torn > 0) {
      remarks.push_back(
          fmt::format("{} histograms left out whose buckets were never written at once", torn));
    }
    see_natives(after, moment, catalogue, remarks);
    Result<Reading> reading = catalogue.finish({});  // refuses too many series, and has no limit
    reading->at = moment;
    reading->remarks.insert(reading->remarks.end(), remarks.begin(), remarks.end());
    return std::move(*reading);
  }

  /// Readings of the moments before and after something began anew.
  std::vector<Reading> turns(Catalogue& catalogue) const {
    std::set<double> moments;
    if (starts_.size() == 1) add_turns(*starts_.front(), true, kStartSlack, moments);
    for (const Series* series : plain_) {
      if (is_counter(*series)) add_turns(*series, false, 0, moments);
    }
    for (const auto& [key, buckets] : classics_) {
      for (const Series* bucket : buckets) add_turns(*bucket, false, 0, moments);
    }
    for (const Series* series : natives_) {
      for (std::size_t i = 1; i < series->histograms.size(); ++i) {
        const PromHistogram& before = series->histograms[i - 1];
        const PromHistogram& after = series->histograms[i];
        if (after.count < before.count) moments.insert({before.t, after.t});
      }
    }
    while (moments.size() > kTurns) moments.erase(moments.begin());  // the latest count
    std::vector<Reading> readings;
    for (double moment : moments) readings.push_back(at(moment, catalogue));
    for (Reading& reading : readings) reading.values = {};  // of gauges, one a round is enough
    return readings;
  }

 private:
  template <typename Sample>
  void see_times(const std::vector<Sample>& samples) {
    if (samples.empty()) return;
    newest_ = std::max(newest_, samples.back().t);
    if (samples.size() <= most_samples_) return;
    most_samples_ = samples.size();
    spacing_ = (samples.back().t - samples.front().t) / static_cast<double>(samples.size() - 1);
  }

  bool is_bucket(const Series& series) const {
    return std::any_of(rules_.histogram.begin(), rules_.histogram.end(),
                       [&](const Selector& selector) { return selector.name == series.name; });
  }
  bool is_counter(const Series& series) const {
    auto has_name = [&](const Selector& selector) { return selector.name == series.name; };
    return std::any_of(rules_.counter.begin(), rules_.counter.end(), has_name) ||
           std::any_of(rules_.errors.begin(), rules_.errors.end(), has_name) ||
           std::any_of(rules_.values.begin(), rules_.values.end(), [&](const Rules::Value& value) {
             return value.is_counter && has_name(value.series);
           });
  }

  static std::string without_le(const Series& series) {
    std::string key(series.name);
    for (const Label& one : series.labels) {
      if (one.name != "le") key += fmt::format("\x1f{}={}", one.name, one.value);
    }
    return key;
  }

  /// The last sample of the process before the one that runs at `moment`. What was not written
  /// since then is the old process'.
  double began_anew(double moment) const {
    if (starts_.size() != 1) return 0;
    const PromSample* now = value_as_of(*starts_.front(), 0, moment);
    if (now == nullptr) return 0;
    const std::vector<PromSample>& all = starts_.front()->samples;
    auto other = std::find_if(all.rbegin(), all.rend(), [&](const PromSample& sample) {
      return sample.t <= moment && std::abs(sample.value - now->value) > kStartSlack;
    });
    return other == all.rend() ? 0 : other->t;
  }

  /// When all the buckets had a value; 0 when they are not there at all, -1 when never.
  static double written_at_once(const std::vector<const Series*>& buckets, double after,
                                double moment) {
    double whole = moment;
    bool is_any_there = false;
    bool is_any_gone = false;
    for (const Series* bucket : buckets) {
      const PromSample* sample = value_as_of(*bucket, after, moment);
      is_any_there |= sample != nullptr;
      is_any_gone |= sample == nullptr;
      if (sample != nullptr) whole = std::min(whole, sample->t);
    }
    if (!is_any_there) return 0;
    bool is_whole = !is_any_gone;
    for (const Series* bucket : buckets) {
      const PromSample* sample = value_as_of(*bucket, after, whole);
      is_whole &= sample != nullptr && sample->t == whole;
    }
    return is_whole ? whole : -1;
  }

  void see_natives(double after, double moment, Catalogue& catalogue,
                   std::vector<std::string>& remarks) const {
    std::size_t wrong = 0;
    std::string example;
    for (const Series* series : natives_) {
      const PromHistogram* sample = as_of(series->histograms, after, moment);
      if (sample == nullptr) continue;
      if (Result<stats::NativeHistogram> native = native_of(*sample)) {
        catalogue.see_native(series->name, series->labels, *native);
      } else {
        ++wrong;
        example = native.error().what;
      }
    }
    if (wrong > 0) remarks.push_back(fmt::format("{} histograms left out ({})", wrong, example));
  }

  const Rules& rules_;
  std::array<bool, 2> is_of_{};
  std::vector<const Series*> starts_;
  std::vector<const Series*> plain_;
  std::map<std::string, std::vector<const Series*>> classics_;  // by all but le
  std::vector<const Series*> natives_;
  std::size_t most_samples_ = 1;
  double newest_ = 0;
  double spacing_ = 0;
};

struct Target {
  std::string pod;
  std::string name;  // for messages
  TargetReader reader;
};
using Targets = std::map<std::string, Target>;  // by what makes them the same

/// Each series once, with its target.
Targets sort_by_target(const std::array<std::vector<PromTable>, 2>& tables,
                       const FleetSetup& setup) {
  Targets targets;
  for (Side side : kSides) {
    std::vector<const Series*> all;
    std::unordered_map<std::string_view, std::size_t> places;
    for (const PromTable& table : tables[index(side)]) {
      for (const Series& series : table.series()) {
        auto [place, is_new] = places.emplace(series.text, all.size());
        if (is_new) {
          all.push_back(&series);
          continue;
        }
        // Of two that scrape the same target, the one that did it last.
        const Series*& other = all[place->second];
        bool is_later = !series.samples.empty() && !other->samples.empty() &&
                        series.samples.back().t > other->samples.back().t;
        if (is_later) other = &series;
      }
    }
    for (const Series* series : all) {
      std::string_view instance = label(*series, "instance");
      std::string_view pod =
          label(*series, setup.instance_label.empty() ? "pod" : setup.instance_label);
      if (pod.empty() && setup.instance_label.empty()) pod = instance;
      std::string key = fmt::format("{}\x1f{}\x1f{}", pod, label(*series, "job"), instance);
      std::string_view name = pod.empty() ? instance : pod;
      if (name.empty()) name = "series without an instance";
      Target& target = targets
                           .try_emplace(std::move(key), Target{std::string(pod), std::string(name),
                                                               TargetReader(setup.rules)})
                           .first->second;
      target.reader.add(*series, side);
    }
  }
  return targets;
}

std::string find_overlap(const std::vector<PromTable>& baseline, const Matchers& canary) {
  for (const PromTable& table : baseline) {
    for (const Series& series : table.series()) {
      if (!canary.match(series.labels)) continue;
      std::vector<std::string> labels;
      for (const Label& one : series.labels)
        labels.push_back(fmt::format("{}=\"{}\"", one.name, one.value));
      return fmt::format("{}{{{}}}", series.name, fmt::join(labels, ","));
    }
  }
  return "";
}

/// A target that has answered, or is late, and what it is good for.
struct Found {
  Answer answer;
  bool has_requests = false;
  bool only_starts = false;
  bool is_late = false;
};

Found look_at(const std::string& key, const Target& target, const Fleet& fleet,
              const FleetSetup& setup) {
  bool is_of_both = !setup.has_instances ||
                    (target.reader.is_of(Side::Baseline) && target.reader.is_of(Side::Canary));
  Side side = target.reader.is_of(Side::Baseline) ? Side::Baseline : Side::Canary;
  std::vector<Share> shares;
  std::vector<Side> sides;
  if (is_of_both) {
    sides = {Side::Baseline, Side::Canary};
    for (Side one : kSides) shares.push_back({one, setup.when[index(one)]});
  } else {
    sides = {side};
    shares = {{side}};
  }
  Catalogue catalogue(setup.rules, std::move(shares), std::numeric_limits<std::size_t>::max());
  Reading reading = target.reader.at(target.reader.newest(), catalogue);
  Found found{{key, is_of_both ? target.name : fmt::format("{} {}", word(side), target.name),
               is_of_both ? std::string() : target.pod, std::move(sides), Error{}}};
  found.has_requests =
      reading.seen[index(Side::Baseline)].requests || reading.seen[index(Side::Canary)].requests;
  found.only_starts = !target.reader.has_more_than_start();
  double age = fleet.newest - target.reader.newest();
  double spacing = target.reader.spacing() > 0 ? target.reader.spacing() : fleet.spacing;
  found.is_late = spacing > 0 && age > kLate * spacing;
  if (found.is_late) {
    found.answer.reading = Error{fmt::format(
        "its last sample is {} older than the newest of all, though it is scraped every {} (is it "
        "down?)",
        show_seconds(age), show_seconds(spacing))};
    found.answer.is_waited_for = false;
  } else {
    found.answer.earlier = target.reader.turns(catalogue);
    found.answer.reading = std::move(reading);
  }
  return found;
}

bool is_of(const Found& found, Side side) {
  const std::vector<Side>& sides = found.answer.sides;
  return std::find(sides.begin(), sides.end(), side) != sides.end();
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

void PromTable::take(const PromSeries& series) {
  Series& kept = series_.emplace_back();
  std::size_t size = 0;
  for (const Label& one : series.labels) size += one.name.size() + one.value.size() + 2;
  kept.text.reserve(size);  // the views must last
  auto keep = [&](char before, std::string_view part) {
    kept.text += before;
    kept.text += part;
    return std::string_view(kept.text).substr(kept.text.size() - part.size());
  };
  for (const Label& one : series.labels) {
    bool is_of_replica = std::find(std::begin(kReplicaLabels), std::end(kReplicaLabels),
                                   one.name) != std::end(kReplicaLabels);
    if (is_of_replica) continue;
    std::string_view name = keep('\x1f', one.name);
    std::string_view value = keep('=', one.value);
    if (name == "__name__")
      kept.name = value;
    else
      kept.labels.push_back({name, value});
  }
  auto follows = [](double t, const auto& before) {
    return t > (before.empty() ? 0 : before.back().t) && t < kLatestTime;
  };
  for (const PromSample& sample : series.samples) {
    if (follows(sample.t, kept.samples)) kept.samples.push_back(sample);
  }
  for (const PromHistogram& sample : series.histograms) {
    if (follows(sample.t, kept.histograms) && !std::isnan(sample.count))
      kept.histograms.push_back(sample);
  }
}

Fleet read_fleet(const std::array<std::vector<PromTable>, 2>& tables, const FleetSetup& setup) {
  Fleet fleet;
  fleet.overlap = find_overlap(tables[index(Side::Baseline)], setup.when[index(Side::Canary)]);
  if (!fleet.overlap.empty()) return fleet;
  Targets targets = sort_by_target(tables, setup);
  std::vector<double> spacings;
  for (const auto& [key, target] : targets) {
    fleet.newest = std::max(fleet.newest, target.reader.newest());
    if (target.reader.spacing() > 0) spacings.push_back(target.reader.spacing());
  }
  fleet.spacing = median(std::move(spacings));

  std::vector<Found> all;
  std::array<bool, 2> has_requests{};
  for (const auto& [key, target] : targets) {
    const Found& found = all.emplace_back(look_at(key, target, fleet, setup));
    if (!found.has_requests) continue;
    for (Side side : found.answer.sides) has_requests[index(side)] = true;
  }

  std::array<bool, 2> is_there{};
  for (Found& found : all) {
    // A process that has served nothing yet may show no more than when it started. Beside others
    // that have, it is taken for something else that runs in the same pod.
    bool stands_for_side = found.only_starts && !found.is_late &&
                           std::any_of(found.answer.sides.begin(), found.answer.sides.end(),
                                       [&](Side side) { return !has_requests[index(side)]; });
    found.answer.counts_requests = found.has_requests || stands_for_side;
    if (!found.answer.counts_requests) {
      if (found.only_starts || found.is_late) continue;
      found.answer.pod.clear();
    }
    fleet.late += found.is_late;
    for (Side side : kSides) {
      bool counts = found.answer.counts_requests && is_of(found, side);
      is_there[index(side)] |= counts;
      fleet.targets[index(side)] += counts && !found.is_late;
    }
    fleet.answers.push_back(std::move(found.answer));
  }
  std::vector<std::string> counters;
  for (const Selector& selector : setup.rules.counter) counters.push_back(selector.name);
  for (Side side : kSides) {
    if (is_there[index(side)]) continue;
    std::string name(word(side));
    std::string what =
        fmt::format("no series of {} match {} (are the name and {}_when right?)",
                    text::join(counters, " or "), setup.asked_for[index(side)], name);
    fleet.answers.push_back({name, name, "", {side}, Error{std::move(what)}});
  }
  return fleet;
}

}  // namespace davy::source
