#include "sources/rounds.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>
#include <utility>

#include "base/archive.h"
#include "base/text.h"
#include "stats/buckets.h"

namespace davy::source {
namespace {

constexpr int kGivenUpAfter = 3;  // failures in a row
constexpr int kMostFailures = 1'000'000'000;
constexpr std::size_t kTold = 4;    // troubles at once
constexpr double kClockSlack = 10;  // seconds that the time of day may be set by meanwhile

std::string joined_names(const std::vector<Selector>& selectors) {
  std::vector<std::string> names;
  for (const Selector& selector : selectors) names.push_back(selector.name);
  return text::join(names, " or ");
}

bool serves(const Answer& answer, Side side) {
  return std::find(answer.sides.begin(), answer.sides.end(), side) != answer.sides.end();
}

std::string told(const std::vector<std::string>& troubles) {
  std::size_t shown = std::min(troubles.size(), kTold);
  std::string text =
      text::join({troubles.begin(), troubles.begin() + static_cast<long>(shown)}, "; ");
  return shown == troubles.size() ? text
                                  : fmt::format("{}; and {} more", text, troubles.size() - shown);
}

}  // namespace

/// What is known of the round so far.
struct Rounds::Round {
  bool canary_alone = false;
  bool is_complete = true;  // every target that is waited for has answered
  bool is_blind = false;
  std::vector<std::string> urgent{};  // why it is blind
  std::vector<std::string> troubles{};
};

/// One version's part of a block, while it is put together.
struct Rounds::Version {
  struct Mean {
    double sum = 0;  // of the targets' own: a gauge's mean over the span, a counter's growth
    double targets = 0;
  };
  bool is_counted = false;
  VersionCounts counts;
  Tally::Histograms latency;
  std::vector<Mean> values;                    // as in Rules
  std::vector<const Tally::Histograms*> pods;  // of those that are young, as counts.pods
};

Rounds::Rounds(const Rules& rules)
    : rules_text_(rules.text),
      counter_names_(joined_names(rules.counter)),
      error_labels_(text::join(rules.error_labels, ", ")),
      values_(rules.values) {}

Collected Rounds::finish_round(const std::vector<Answer>& answers, Time now, WallMillis wall,
                               bool canary_alone) {
  check_clocks(now, wall);
  std::set<std::string> present;
  for (const Answer& answer : answers) present.insert(answer.key);
  std::erase_if(targets_, [&](const auto& item) { return present.count(item.first) == 0; });

  Round round;
  round.canary_alone = canary_alone;
  for (const Answer& answer : answers) see(answer, round);
  judge_sides(answers, round);

  Collected collected;
  if (round.is_complete) collected.block = commit(answers, round);
  collected.blind = round.is_blind;
  round.urgent.insert(round.urgent.end(), round.troubles.begin(), round.troubles.end());
  collected.trouble = told(round.urgent);
  for (const Answer& answer : answers) {
    if (!answer.reading) continue;
    collected.baseline_targets += serves(answer, Side::Baseline);
    collected.canary_targets += serves(answer, Side::Canary);
  }
  return collected;
}

/// `now` counts from the machine's boot, so it is worthless after another one.
void Rounds::check_clocks(Time now, WallMillis wall) {
  if (std::exchange(is_loaded_, false)) {
    double by_wall = static_cast<double>(wall) / 1e3 - static_cast<double>(wall_) / 1e3;
    bool is_same_boot = now >= now_ && std::abs(by_wall - seconds(now - now_)) <= kClockSlack;
    if (!is_same_boot) {
      targets_.clear();
      span_start_.reset();
    }
  }
  now_ = now;
  wall_ = wall;
}

void Rounds::see(const Answer& answer, Round& round) {
  Target& target = targets_[answer.key];
  if (!answer.reading) {
    ++target.failures;
    bool is_given_up = target.failures >= kGivenUpAfter;
    if (is_given_up) target.is_counting = false;
    if (!is_given_up) round.is_complete = false;
    round.troubles.push_back(fmt::format(
        "{}: {} ({} {}{})", answer.name, answer.reading.error().what, target.failures,
        target.failures == 1 ? "time" : "times", is_given_up ? ", no longer waited for" : ""));
    return;
  }
  target.failures = 0;
  std::vector<std::string> remarks = answer.reading->remarks;
  if (target.is_counting) {
    for (std::string& remark : target.counters.advance_to(*answer.reading, now_))
      remarks.push_back(std::move(remark));
  }
  for (const std::string& remark : remarks) round.troubles.push_back(answer.name + ": " + remark);
}

/// A side is blind without a live target, or when no error would show. A side without a series of
/// requests has probably served nothing yet (clients make them at the first request), so long as
/// the other side shows that the names are right.
void Rounds::judge_sides(const std::vector<Answer>& answers, Round& round) const {
  bool names_are_right = false;
  for (const Answer& answer : answers) {
    for (Side side : answer.sides) {
      names_are_right |= answer.reading && answer.reading->seen[index(side)].requests;
    }
  }
  for (Side side : kSides) {
    bool is_alive = false;
    const Answer* without_requests = nullptr;
    const Answer* without_errors = nullptr;
    bool shows_errors = false;
    for (const Answer& answer : answers) {
      if (!serves(answer, side)) continue;
      is_alive |= targets_.at(answer.key).failures < kGivenUpAfter;
      if (!answer.reading) continue;
      const Reading::Seen& seen = answer.reading->seen[index(side)];
      shows_errors |= seen.requests && seen.errors;
      if (!seen.requests) without_requests = &answer;
      if (seen.requests && !seen.errors) without_errors = &answer;
    }
    bool may_be_gone = round.canary_alone && side == Side::Baseline;
    auto tell = [&](bool is_whole_side, std::string what) {
      is_whole_side = is_whole_side && !may_be_gone;
      round.is_blind |= is_whole_side;
      (is_whole_side ? round.urgent : round.troubles).push_back(std::move(what));
    };
    if (!is_alive) tell(true, fmt::format("no {} target answers", word(side)));
    if (without_requests != nullptr) {
      const std::string& others = without_requests->reading->others;
      tell(!names_are_right,
           fmt::format("{}: no {}series match {}, unless it has served nothing yet{}",
                       without_requests->name,
                       without_requests->sides.size() > 1 ? std::string(word(side)) + " " : "",
                       counter_names_, others.empty() ? "" : "; the target has e.g. " + others));
    }
    if (without_errors != nullptr) {
      tell(!shows_errors, fmt::format("{}: {} has none of the labels {}, so no error would show",
                                      without_errors->name, counter_names_, error_labels_));
    }
  }
}

/// Every live target has answered: one span ends here and the next begins, with a block or without.
std::optional<Block> Rounds::commit(const std::vector<Answer>& answers, Round& round) {
  std::optional<Time> start = std::exchange(span_start_, now_);
  std::array<Version, 2> versions;
  for (Version& version : versions) version.values.resize(values_.size());
  for (const Answer& answer : answers) {
    if (!targets_.at(answer.key).is_counting || !answer.reading) continue;
    for (Side side : answer.sides) fill(answer, side, versions[index(side)]);
  }
  std::optional<Block> block;
  if (!round.is_blind && start && *start < now_) block = block_of(versions, *start, round);
  for (const Answer& answer : answers) {
    Target& target = targets_.at(answer.key);
    target.counters.clear_tallies();
    if (answer.reading && !target.is_counting) {
      target.counters.start_from(*answer.reading, now_);
      target.is_counting = true;
    }
  }
  return block;
}

/// Adds what one target counted to its version.
void Rounds::fill(const Answer& answer, Side side, Version& version) const {
  const TargetCounters& counters = targets_.at(answer.key).counters;
  const Tally& tally = counters.tally(side);
  version.is_counted = true;
  // Error counters of their own may run a little ahead of the requests.
  double errors = std::min(tally.errors, tally.requests);
  version.counts.requests += tally.requests;
  version.counts.errors += errors;
  add(tally.latency, version.latency);
  for (std::size_t i = 0; i < tally.values.size(); ++i) {
    const Tally::Sum& sum = tally.values[i];
    if (sum.readings == 0) continue;
    version.values[i].sum += values_[i].is_counter ? sum.of : sum.of / sum.readings;
    ++version.values[i].targets;
  }
  if (answer.pod.empty()) return;
  PodCounts pod{.id = answer.pod,
                .requests = tally.requests,
                .errors = errors,
                .restarts = counters.restarts()};
  if (answer.reading->start) {
    pod.age = std::max(0.0, static_cast<double>(wall_) / 1e3 - *answer.reading->start);
  }
  version.pods.push_back(pod.age && *pod.age < kYoungPod ? &tally.latency : nullptr);
  version.counts.pods.push_back(std::move(pod));
}

/// Nothing when a version was not counted for the whole span.
std::optional<Block> Rounds::block_of(std::array<Version, 2>& versions, Time start,
                                      Round& round) const {
  Version& baseline = versions[index(Side::Baseline)];
  Version& canary = versions[index(Side::Canary)];
  if (!canary.is_counted || !(baseline.is_counted || round.canary_alone)) return std::nullopt;
  Block block;
  block.dt = seconds(now_ - start);
  for (Version& version : versions) {
    version.counts.latency = at_common_bounds(version.latency);
    version.counts.values = values(version, block.dt);
  }
  share_bounds(baseline.counts.latency, canary.counts.latency);
  if (!baseline.latency.empty() && !canary.latency.empty() && !canary.counts.latency) {
    round.troubles.emplace_back(
        "the latency histograms have no bounds in common, so latency cannot be compared");
  }
  for (Version& version : versions) tell_young_pods(version);
  block.baseline = std::move(baseline.counts);
  block.canary = std::move(canary.counts);
  return block;
}

std::vector<Value> Rounds::values(const Version& version, double dt) const {
  std::vector<Value> values;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    const auto& [sum, targets] = version.values[i];
    double per = targets;
    if (values_[i].is_counter)
      per = values_[i].per_request ? version.counts.requests : targets * dt;
    double value = sum / per;
    if (targets > 0 && std::isfinite(value)) values.push_back({values_[i].name, value});
  }
  return values;
}

/// At the version's own bounds, so that they can be taken off its counts.
void Rounds::tell_young_pods(Version& version) {
  const std::optional<Histogram>& whole = version.counts.latency;
  for (std::size_t i = 0; i < version.pods.size() && whole; ++i) {
    if (version.pods[i] == nullptr) continue;
    Histogram part{whole->bounds, std::vector<double>(whole->counts.size(), 0.0)};
    for (const auto& [bounds, counts] : *version.pods[i])
      stats::add(part, stats::project({bounds, counts}, whole->bounds));
    version.counts.pods[i].latency = std::move(part);
  }
}

void Rounds::Target::archive(Archive& state) {
  state(counters, is_counting, failures);
  if (failures < 0 || failures > kMostFailures) state.fail();
}

void Rounds::archive(Archive& state) {
  std::string rules_text = rules_text_;
  std::optional<Duration> start;
  if (span_start_) start = span_start_->since_boot;
  state(rules_text, targets_, start, now_.since_boot, wall_);
  if (!state.reading()) return;
  span_start_.reset();
  if (start) span_start_ = Time{*start};
  is_loaded_ = true;
  bool is_sound = rules_text == rules_text_ && now_ >= Time{} && wall_ >= 0 &&
                  (!span_start_ || (*span_start_ >= Time{} && *span_start_ <= now_));
  for (const auto& [key, target] : targets_) {
    for (Side side : kSides)
      is_sound &= target.counters.tally(side).values.size() <= values_.size();
  }
  if (!is_sound) state.fail();
}

}  // namespace davy::source
