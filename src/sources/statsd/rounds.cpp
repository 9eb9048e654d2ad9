#include "sources/statsd/rounds.h"

#include <fmt/format.h>
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "base/units.h"

namespace davy::source {
namespace {

constexpr int kPatience = 3;  // rounds
constexpr Duration kSilence = std::chrono::minutes(1);
constexpr Duration kQuiet = std::chrono::minutes(1);  // then a mishap is over

std::string show_time(Duration d) {
  return units::show(std::chrono::floor<std::chrono::seconds>(d));
}

std::string joined_names(const std::vector<Selector>& selectors) {
  std::vector<std::string> names;
  for (const Selector& selector : selectors) names.push_back(selector.name);
  return text::join(names, " or ");
}

}  // namespace

/// What is known of the round so far.
struct StatsdRounds::Round {
  Time now;
  bool canary_alone = false;
  bool is_blind = false;
  std::vector<std::string> urgent{};  // why it is blind
  std::vector<std::string> troubles{};

  void tell(bool blinds, std::string what) {
    is_blind |= blinds;
    (blinds ? urgent : troubles).push_back(std::move(what));
  }
  std::string told() const {
    std::vector<std::string> all = urgent;
    all.insert(all.end(), troubles.begin(), troubles.end());
    return text::join(all, "; ");
  }
};

StatsdRounds::StatsdRounds(const StatsdRules& rules, std::string where, std::string deployment)
    : one_version_(rules.one_version),
      where_(std::move(where)),
      deployment_(std::move(deployment)),
      counter_names_(joined_names(rules.series.counter)),
      error_labels_(text::join(rules.series.error_labels, ", ")),
      versions_(fmt::format("baseline: {}, canary: {}", rules.when_text[0], rules.when_text[1])),
      values_(rules.series.values),
      malformed_{"malformed_lines", "malformed line", "malformed lines"},
      refused_{"refused_lines", "line that cannot be counted", "lines that cannot be counted"},
      truncated_{"truncated_packets", "packet that was cut off", "packets that were cut off",
                 "send smaller ones"},
      lost_{"lost_packets", "packet lost", "packets lost",
            "the kernel had no room for them: raise sysctl net.core.rmem_max"},
      unremembered_{"series_over_limit", "line of a series beyond the limit",
                    "lines of series beyond the limit",
                    fmt::format("they count, but cost more: does a tag hold an id? else raise "
                                "max_series above {}",
                                text::grouped(static_cast<double>(rules.max_series)))},
      surplus_{"errors_without_requests", "error more than there were requests",
               "errors more than there were requests",
               "do `counter` and `errors` count the same requests?"} {}

const std::vector<std::string_view>& StatsdRounds::events() {
  static const std::vector<std::string_view> all = {"packets",
                                                    "lines",
                                                    "events",
                                                    "service_checks",
                                                    "malformed_lines",
                                                    "refused_lines",
                                                    "truncated_packets",
                                                    "lost_packets",
                                                    "series_over_limit",
                                                    "errors_without_requests"};
  return all;
}

Collected StatsdRounds::finish_deaf_round(const std::vector<std::string>& unbound) {
  Collected collected;
  collected.blind = true;
  collected.trouble = text::join(unbound, "; ");
  return collected;
}

Collected StatsdRounds::finish_round(StatsdSpan span, const std::vector<std::string>& unbound,
                                     double lost, Time now, bool canary_alone) {
  Round round{.now = now, .canary_alone = canary_alone};
  if (!first_round_) first_round_ = now;
  if (rounds_ < kPatience + 1) ++rounds_;
  if (span.packets > 0) last_packet_ = now;
  for (const std::string& why : unbound) round.tell(false, why);
  judge_sides(span, round);
  see(malformed_, span.malformed, round);
  see(refused_, span.refused, round);
  see(truncated_, span.truncated, round);
  see(lost_, {lost}, round);
  see(unremembered_, span.unremembered, round);
  see(surplus_, span.surplus, round);

  Collected collected;
  collected.baseline_targets = span.instances[index(Side::Baseline)];
  collected.canary_targets = span.instances[index(Side::Canary)];
  collected.events = {{"packets", span.packets},
                      {"lines", span.lines},
                      {"events", span.events},
                      {"service_checks", span.service_checks},
                      {malformed_.event, span.malformed.times},
                      {refused_.event, span.refused.times},
                      {truncated_.event, span.truncated.times},
                      {lost_.event, lost},
                      {unremembered_.event, span.unremembered.times},
                      {surplus_.event, span.surplus.times}};
  std::erase_if(collected.events, [](const SourceEvent& event) { return event.times == 0; });
  bool names_are_right = span.seen[0].requests || span.seen[1].requests;
  if (names_are_right && !round.is_blind && span.dt > 0)
    collected.block = make_block_of(span, round);
  collected.blind = round.is_blind;
  collected.trouble = round.told();
  return collected;
}

/// Blind while nothing counts at all, or no error would show. A side without requests has probably
/// served nothing yet, so long as the other side shows that the names are right.
void StatsdRounds::judge_sides(const StatsdSpan& span, Round& round) const {
  if (rounds_ <= kPatience && !(span.seen[0].requests && span.seen[1].requests)) return;
  if (!span.seen[0].requests && !span.seen[1].requests) {
    round.tell(true, say_nothing_counts(span, round.now));
    return;
  }
  Duration silence = round.now - last_packet_.value_or(*first_round_);
  if (silence >= kSilence) {
    round.tell(false, fmt::format("no StatsD packet came on {} for {} (is there no traffic?)",
                                  where_, show_time(silence)));
  }
  for (Side side : kSides) {
    if (one_version_ && side == Side::Baseline) continue;
    bool may_be_gone = round.canary_alone && side == Side::Baseline;
    const StatsdSpan::Seen& seen = span.seen[index(side)];
    if (!seen.requests && !may_be_gone) {
      round.tell(false, fmt::format("no {} line of {} came, unless it has served nothing yet{}",
                                    word(side), counter_names_, of_neither(span)));
    }
    if (seen.requests && !seen.errors) {
      round.tell(!may_be_gone, fmt::format("{} {} has none of the tags {}, so no error would show",
                                           word(side), counter_names_, error_labels_));
    }
  }
}

std::string StatsdRounds::say_nothing_counts(const StatsdSpan& span, Time now) const {
  if (!last_packet_) {
    return fmt::format(
        "no StatsD packet came on {} for {}, since davy listens (does the "
        "application send to it?)",
        where_, show_time(now - *first_round_));
  }
  std::string what = fmt::format("no line on {} counts as {}{}", where_, counter_names_,
                                 one_version_ ? "" : " of a version");
  if (!span.strangers.empty()) return what + of_neither(span);
  if (!span.others.empty()) return what + "; what came is e.g. " + span.others;
  return what + "; no metric that can be read came";
}

std::string StatsdRounds::of_neither(const StatsdSpan& span) const {
  if (span.strangers.empty()) return "";
  return fmt::format("; of neither version are those with {} ({})", span.strangers, versions_);
}

void StatsdRounds::see(Mishap& mishap, const StatsdRemark& remark, Round& round) {
  if (mishap.last && round.now - *mishap.last >= kQuiet) {
    mishap.times = 0;
    mishap.last.reset();
  }
  if (remark.times > 0) {
    mishap.example = remark.example;
    mishap.times += remark.times;
    mishap.last = round.now;
  }
  if (mishap.times == 0) return;
  round.tell(false, say(mishap));
  if (remark.times == 0 || (mishap.logged && round.now - *mishap.logged < kQuiet)) return;
  mishap.logged = round.now;
  log::warn("StatsD: " + say(mishap), {{"deployment", deployment_}});
}

std::string StatsdRounds::say(const Mishap& mishap) {
  std::string text = text::counted(mishap.times, mishap.one, mishap.many);
  if (!mishap.example.empty()) text += ", such as " + mishap.example;
  if (!mishap.advice.empty()) text += " (" + mishap.advice + ")";
  return text;
}

/// Latencies are counted for a version, not for each of its instances.
Block StatsdRounds::make_block_of(StatsdSpan& span, Round& round) const {
  for (Side side : kSides) {
    if (!span.has_latency || (one_version_ && side == Side::Baseline)) continue;
    Histogram histogram = span.latency[index(side)].histogram();
    Portion& portion = span.portions.emplace_back();
    portion.side = side;
    portion.tally.latency.emplace(std::move(histogram.bounds), std::move(histogram.counts));
  }
  return make_block(span.portions, values_, span.dt, round.troubles);
}

}  // namespace davy::source
