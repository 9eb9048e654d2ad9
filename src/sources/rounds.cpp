#include "sources/rounds.h"

#include <fmt/format.h>
#include <algorithm>
#include <set>

#include "base/text.h"

namespace davy::source {
namespace {

constexpr int kGivenUpAfter = 3;  // failures in a row
constexpr std::size_t kTold = 4;  // troubles at once

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
  bool is_complete = true;  // every target that is waited for has answered
  bool is_blind = false;
  std::vector<std::string> urgent{};  // why it is blind
  std::vector<std::string> troubles{};
};

Rounds::Rounds(const Rules& rules)
    : counter_names_(joined_names(rules.counter)),
      error_labels_(text::join(rules.error_labels, ", ")) {}

Collected Rounds::finish_round(const std::vector<Answer>& answers, Time now) {
  std::set<std::string> present;
  for (const Answer& answer : answers) present.insert(answer.key);
  std::erase_if(targets_, [&](const auto& item) { return present.count(item.first) == 0; });

  Round round;
  for (const Answer& answer : answers) see(answer, round);
  judge_sides(answers, round);

  Collected collected;
  if (round.is_complete) collected.block = commit(answers, round, now);
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
    for (std::string& remark : target.counters.advance_to(*answer.reading))
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
    auto tell = [&](bool is_whole_side, std::string what) {
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
std::optional<Block> Rounds::commit(const std::vector<Answer>& answers, Round& round, Time now) {
  Block block;
  Tally::Histograms baseline;
  Tally::Histograms canary;
  bool counts_baseline = false;
  bool counts_canary = false;
  for (const Answer& answer : answers) {
    Target& target = targets_.at(answer.key);
    if (target.is_counting && answer.reading) {
      counts_baseline |= serves(answer, Side::Baseline);
      counts_canary |= serves(answer, Side::Canary);
      if (serves(answer, Side::Baseline)) fill(answer, block.baseline, baseline, Side::Baseline);
      if (serves(answer, Side::Canary)) fill(answer, block.canary, canary, Side::Canary);
    }
    target.counters.clear_tallies();
    if (answer.reading && !target.is_counting) {
      target.counters.start_from(*answer.reading);
      target.is_counting = true;
    }
  }
  std::optional<Time> start = std::exchange(span_start_, now);
  if (round.is_blind || !counts_baseline || !counts_canary || !start || *start >= now)
    return std::nullopt;
  block.dt = seconds(now - *start);
  block.baseline.latency = at_common_bounds(baseline);
  block.canary.latency = at_common_bounds(canary);
  share_bounds(block.baseline.latency, block.canary.latency);
  if (!baseline.empty() && !canary.empty() && !block.canary.latency) {
    round.troubles.push_back(
        "the latency histograms have no bounds in common, so latency cannot be compared");
  }
  return block;
}

void Rounds::fill(const Answer& answer, VersionCounts& counts, Tally::Histograms& latency,
                  Side side) const {
  const Tally& tally = targets_.at(answer.key).counters.tally(side);
  // Error counters of their own may run a little ahead of the requests.
  double errors = std::min(tally.errors, tally.requests);
  counts.requests += tally.requests;
  counts.errors += errors;
  add(tally.latency, latency);
  if (!answer.pod.empty()) counts.pods.push_back({answer.pod, tally.requests, errors});
}

}  // namespace davy::source
