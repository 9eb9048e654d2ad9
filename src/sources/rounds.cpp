#include "sources/rounds.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>
#include <utility>

#include "base/archive.h"
#include "base/text.h"

namespace davy::source {
namespace {

constexpr int kGivenUpAfter = 3;  // failures in a row
constexpr int kMostFailures = 1'000'000'000;
constexpr double kClockSlack = 10;  // seconds that the time of day may be set by meanwhile

std::string joined_names(const std::vector<Selector>& selectors) {
  std::vector<std::string> names;
  for (const Selector& selector : selectors) names.push_back(selector.name);
  return text::join(names, " or ");
}

bool serves(const Answer& answer, Side side) {
  return std::find(answer.sides.begin(), answer.sides.end(), side) != answer.sides.end();
}

}  // namespace

/// What is known of the round so far.
struct Rounds::Round {
  bool canary_alone = false;
  Time before{};            // the last round
  bool is_complete = true;  // every target that is waited for has answered
  bool is_blind = false;
  std::vector<std::string> urgent{};  // why it is blind
  std::vector<std::string> troubles{};
};

Rounds::Rounds(const Rules& rules, bool one_version)
    : rules_text_(rules.text),
      counter_names_(joined_names(rules.counter)),
      error_labels_(text::join(rules.error_labels, ", ")),
      one_version_(one_version),
      values_(rules.values) {}

Collected Rounds::finish_round(const std::vector<Answer>& answers, Time now, WallMillis wall,
                               bool canary_alone) {
  Time before = now_;
  check_clocks(now, wall);
  std::set<std::string> present;
  for (const Answer& answer : answers) present.insert(answer.key);
  std::erase_if(targets_, [&](const auto& item) { return present.count(item.first) == 0; });

  Round round;
  round.canary_alone = canary_alone || one_version_;
  round.before = std::min(before, now);
  for (const Answer& answer : answers) see(answer, round);
  judge_sides(answers, round);

  Collected collected;
  if (round.is_complete) collected.block = commit(answers, round);
  collected.blind = round.is_blind;
  round.urgent.insert(round.urgent.end(), round.troubles.begin(), round.troubles.end());
  collected.trouble = text::join_some(round.urgent);
  for (const Answer& answer : answers) {
    if (!answer.reading || !answer.counts_requests) continue;
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
    target.failures =
        answer.is_waited_for ? target.failures + 1 : std::max(target.failures + 1, kGivenUpAfter);
    bool is_given_up = target.failures >= kGivenUpAfter;
    if (is_given_up) target.is_counting = false;
    if (!is_given_up) round.is_complete = false;
    std::string how_long =
        fmt::format("{} {}", target.failures, target.failures == 1 ? "time" : "times");
    if (is_given_up) how_long += ", no longer waited for";
    if (!answer.is_waited_for) how_long = "not waited for";
    round.troubles.push_back(
        fmt::format("{}: {} ({})", answer.name, answer.reading.error().what, how_long));
    return;
  }
  target.failures = 0;
  std::vector<std::string> remarks = answer.reading->remarks;
  if (target.is_counting) {
    for (const Reading& earlier : answer.earlier) {
      Time then = now_ - std::chrono::duration_cast<Duration>(
                             std::chrono::duration<double>(answer.reading->at - earlier.at));
      target.counters.advance_to(earlier, std::clamp(then, round.before, now_));
    }
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
    if (one_version_ && side == Side::Baseline) continue;
    bool is_alive = false;
    const Answer* without_requests = nullptr;
    const Answer* without_errors = nullptr;
    bool shows_errors = false;
    for (const Answer& answer : answers) {
      if (!serves(answer, side) || !answer.counts_requests) continue;
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
    if (!is_alive)
      tell(true,
           one_version_ ? "no target answers" : fmt::format("no {} target answers", word(side)));
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
  std::vector<Portion> portions;
  std::array<bool, 2> is_counted{};  // for the whole span
  for (const Answer& answer : answers) {
    if (!targets_.at(answer.key).is_counting || !answer.reading) continue;
    for (Side side : answer.sides) {
      portions.push_back(portion_of(answer, side));
      is_counted[index(side)] |= answer.counts_requests;
    }
  }
  bool is_whole =
      is_counted[index(Side::Canary)] && (is_counted[index(Side::Baseline)] || round.canary_alone);
  std::optional<Block> block;
  if (!round.is_blind && start && *start < now_ && is_whole)
    block = make_block(portions, values_, seconds(now_ - *start), round.troubles);
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

/// What one target counted of a version.
Portion Rounds::portion_of(const Answer& answer, Side side) const {
  const TargetCounters& counters = targets_.at(answer.key).counters;
  Portion portion{.side = side,
                  .pod = answer.pod,
                  .tally = counters.tally(side),
                  .restarts = counters.restarts()};
  if (answer.reading->start)
    portion.age = std::max(0.0, static_cast<double>(wall_) / 1e3 - *answer.reading->start);
  return portion;
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
