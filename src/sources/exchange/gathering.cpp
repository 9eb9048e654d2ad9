#include "sources/exchange/gathering.h"

#include <fmt/format.h>
#include <algorithm>
#include <limits>
#include <utility>

#include "base/archive.h"
#include "base/text.h"
#include "base/units.h"

namespace davy::source {
namespace {

constexpr std::size_t kMostPublishers = 1000;
constexpr std::size_t kMostPending = 200'000;  // blocks, of all together
constexpr std::size_t kMostMissing = 10'000;   // numbers of one
constexpr std::size_t kMostOthers = 16;
constexpr std::int64_t kFuture = 60'000;  // ms that a span may end after now
constexpr Duration kToldFor = std::chrono::minutes(5);
constexpr Duration kKeptFor = std::chrono::hours(24);

std::int64_t millis(Duration d) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
}

std::string show_seconds(Duration d) {
  return units::show(std::chrono::duration_cast<std::chrono::seconds>(d));
}

std::string key_of(const ExchangeBlock& block) {
  return fmt::format("{} {:016x}", block.instance, block.incarnation);
}

void archive_set(Archive& state, std::set<std::uint64_t>& numbers) {
  std::vector<std::uint64_t> list(numbers.begin(), numbers.end());
  state(list);
  if (state.reading()) numbers = {list.begin(), list.end()};
}

}  // namespace

/// What is known of the round so far.
struct Gathering::Span {
  bool is_blind = false;
  std::array<std::size_t, 2> instances{};  // that are there, by side
  std::vector<std::string> urgent{};
  std::vector<std::string> troubles{};
};

const std::vector<std::string_view>& Gathering::events() {
  static const std::vector<std::string_view> all = {
      "merged_blocks", "merged_requests", "duplicate_blocks",  "late_blocks",
      "late_requests", "unjudged_blocks", "unjudged_requests", "lost_blocks",
      "instance_lost", "instance_twins",  "clock_skew",        "refused_blocks"};
  return all;
}

Gathering::Gathering(GatheringRules rules) : rules_(std::move(rules)) {}

void Gathering::count(std::string_view event, double times) {
  events_[event] += times;
}

std::string Gathering::name_of(const Publisher& publisher) {
  return fmt::format("{} {}", word(publisher.side), publisher.instance);
}

std::optional<Side> Gathering::side_of(const ExchangeBlock& block, Time now) {
  if (block.version == rules_.baseline) return Side::Baseline;
  if (block.version == rules_.canary) return Side::Canary;
  if (others_.size() < kMostOthers || others_.count(block.version) > 0)
    others_[block.version] = now;
  return std::nullopt;
}

/// Null when there are too many.
Gathering::Publisher* Gathering::join(const ExchangeBlock& block, Side side) {
  if (publishers_.size() >= kMostPublishers) return nullptr;
  for (auto& [key, other] : publishers_) {
    // It was started again, and has forgotten what it was.
    bool is_before = other.instance == block.instance && other.side == side &&
                     other.latest <= block.from && !other.is_twin;
    if (is_before) other.is_replaced = true;
  }
  Publisher& made = publishers_[key_of(block)];
  made.instance = block.instance;
  made.side = side;
  return &made;
}

/// Whether a block of this number has not come before; from now on it has.
bool Gathering::is_new(Publisher& publisher, const ExchangeBlock& block, Time now) {
  std::uint64_t number = block.sequence;
  bool is_first = publisher.highest == 0;
  if (is_first) publisher.first = number;
  if (number < publisher.first) return publisher.early.insert(number).second;
  if (!is_first && number <= publisher.highest) {
    bool was_missing = publisher.missing.erase(number) + publisher.abandoned.erase(number) > 0;
    if (!was_missing) return false;
  } else {
    std::uint64_t next = is_first ? number : publisher.highest + 1;
    if (number > next) publisher.missing_since = now;
    if (number - next > kMostMissing) {
      count("lost_blocks", static_cast<double>(number - next - kMostMissing));
      next = number - kMostMissing;
    }
    for (; next < number; ++next) publisher.missing.insert(next);
    publisher.highest = number;
    publisher.has_left = block.is_last;
    publisher.latest_requests = block.requests;
  }
  publisher.latest = std::max(publisher.latest, block.to);
  if (publisher.missing.empty()) publisher.covered = publisher.latest;
  return true;
}

void Gathering::see_twice(const Publisher& publisher, const ExchangeBlock& block) {
  count("duplicate_blocks");
  bool is_other = block.sequence == publisher.highest &&
                  (block.to != publisher.latest || block.requests != publisher.latest_requests);
  if (!is_other) return;
  count("instance_twins");
  remarks_.push_back(
      fmt::format("{}: two blocks have the number {} (do two sidecars share one state_dir?)",
                  name_of(publisher), block.sequence));
}

void Gathering::refuse(const std::string& why) {
  count("refused_blocks");
  remarks_.push_back(why);
}

void Gathering::take(const ExchangeBlock& block, ExchangeMillis clock, Time now) {
  if (block.deployment != rules_.deployment) return;
  std::optional<Side> side = side_of(block, now);
  if (!side) return;
  auto known = publishers_.find(key_of(block));
  bool is_known = known != publishers_.end();
  if (is_known && known->second.side != *side)
    return refuse(fmt::format("instance {}: is of both versions", block.instance));
  // History, read again from the stream's beginning.
  bool is_before = block.from < start_;
  if (is_before && (!is_known || block.sequence < known->second.first)) return;
  if (block.to > clock + kFuture) {
    count("clock_skew");
    remarks_.push_back(fmt::format(
        "{} {}: a block ends {} after now and is not judged (a wrong clock?)", word(*side),
        block.instance, show_seconds(std::chrono::milliseconds(block.to - clock))));
    return;
  }
  Publisher* publisher = is_known ? &known->second : join(block, *side);
  if (publisher == nullptr)
    return refuse(fmt::format("more than {} instances publish", kMostPublishers));
  if (!is_new(*publisher, block, now)) return see_twice(*publisher, block);
  publisher->heard = now;
  publisher->is_lost = false;
  if (std::exchange(publisher->is_replaced, false)) publisher->is_twin = true;
  if (is_before) return;
  if (boundary_ > 0 && block.from < boundary_) {
    count("late_blocks");
    count("late_requests", block.requests);
    return;
  }
  if (pending_ >= kMostPending)
    return refuse(fmt::format("more than {} blocks wait to be judged", kMostPending));
  auto after = std::upper_bound(
      publisher->pending.begin(), publisher->pending.end(), block,
      [](const ExchangeBlock& a, const ExchangeBlock& b) { return a.from < b.from; });
  publisher->pending.insert(after, block);
  ++pending_;
}

/// It counts for its side.
bool Gathering::is_there(const Publisher& publisher) {
  bool is_gone = publisher.has_left && publisher.pending.empty();
  return !publisher.is_lost && !publisher.is_replaced && !is_gone;
}

bool Gathering::is_waited_for(const Publisher& publisher) {
  return is_there(publisher) && (!publisher.has_left || !publisher.missing.empty());
}

void Gathering::lose_the_silent(Time now) {
  for (auto& [key, publisher] : publishers_) {
    if (is_waited_for(publisher) && now - publisher.heard > rules_.patience) {
      publisher.is_lost = true;
      publisher.lost_at = now;
      count("instance_lost");
    }
    bool is_over = !publisher.missing.empty() && now - publisher.missing_since > rules_.patience;
    if (!is_over) continue;
    count("lost_blocks", static_cast<double>(publisher.missing.size()));
    remarks_.push_back(fmt::format(
        "{}: {} were lost on the way (a stream cut too short?)", name_of(publisher),
        text::counted(static_cast<double>(publisher.missing.size()), "block", "blocks")));
    publisher.abandoned.merge(std::exchange(publisher.missing, {}));
    while (publisher.abandoned.size() > kMostMissing)
      publisher.abandoned.erase(publisher.abandoned.begin());
    publisher.covered = publisher.latest;
  }
}

void Gathering::tell_the_lost(Time now, std::vector<std::string>& troubles) const {
  for (const auto& [key, publisher] : publishers_) {
    if (publisher.is_lost && now - publisher.lost_at <= kToldFor) {
      troubles.push_back(fmt::format("{}: lost, it has said nothing for {}", name_of(publisher),
                                     show_seconds(now - publisher.heard)));
    } else if (is_waited_for(publisher) && !publisher.missing.empty()) {
      troubles.push_back(fmt::format("{}: waiting for {} of its blocks", name_of(publisher),
                                     publisher.missing.size()));
    }
    if (publisher.is_twin && is_waited_for(publisher))
      troubles.push_back(fmt::format("{}: two sidecars have this name (give each its own instance)",
                                     name_of(publisher)));
  }
}

/// The versions that others publish, for a message.
std::string Gathering::others(Time now) const {
  std::vector<std::string> names;
  for (const auto& [version, heard] : others_) {
    if (now - heard <= rules_.patience) names.push_back(version);
  }
  return names.empty() ? "" : fmt::format(" (others publish {})", text::join(names, ", "));
}

/// The baseline is blind without an instance. The canary when the last one that it had was lost: it
/// may have none yet, and it may have none any more.
void Gathering::judge_sides(Time now, bool canary_alone, Span& span) const {
  std::array<const Publisher*, 2> last{};
  for (const auto& [key, publisher] : publishers_) {
    const Publisher*& mine = last[index(publisher.side)];
    if (mine == nullptr || publisher.heard > mine->heard) mine = &publisher;
    span.instances[index(publisher.side)] += is_there(publisher);
  }
  std::string others = this->others(now);
  for (Side side : kSides) {
    if (span.instances[index(side)] > 0) continue;
    bool was_lost = last[index(side)] != nullptr && last[index(side)]->is_lost;
    bool is_late = now - *began_ > rules_.patience;
    bool is_needed = (side == Side::Canary) == canary_alone || (was_lost && side == Side::Canary);
    if (!was_lost && (!is_late || (!is_needed && others.empty()))) continue;
    span.is_blind |= is_needed;
    (is_needed ? span.urgent : span.troubles)
        .push_back(fmt::format("no instance of the {} {} publishes{}{}", word(side),
                               side == Side::Baseline ? rules_.baseline : rules_.canary,
                               was_lost ? " any more" : "", others));
  }
}

/// How far a span that begins at the boundary may go for the instance to be in all of it, or in
/// none.
ExchangeMillis Gathering::end_for(const Publisher& publisher) const {
  if (publisher.pending.empty()) return std::numeric_limits<ExchangeMillis>::max();
  ExchangeMillis end = boundary_;
  if (publisher.pending.front().from > boundary_) return publisher.pending.front().from;
  for (const ExchangeBlock& block : publisher.pending) {
    if (block.from > end) break;
    end = std::max(end, block.to);
  }
  return end;
}

/// The latest end of a block that is not after `latest` and cuts no other block; the present
/// boundary when there is none.
ExchangeMillis Gathering::common_end(ExchangeMillis latest) const {
  while (latest > boundary_) {
    ExchangeMillis end = boundary_;
    for (const auto& [key, publisher] : publishers_) {
      for (const ExchangeBlock& block : publisher.pending) {
        for (ExchangeMillis at : {block.from, block.to}) {
          if (at <= latest) end = std::max(end, at);
        }
      }
    }
    latest = end;
    for (const auto& [key, publisher] : publishers_) {
      for (const ExchangeBlock& block : publisher.pending) {
        if (block.from < latest && latest < block.to) latest = block.from;
      }
    }
    if (latest == end) return end;
  }
  return boundary_;
}

/// The present one when there is none yet.
ExchangeMillis Gathering::next_boundary(ExchangeMillis latest, Span& span) const {
  ExchangeMillis whole = std::numeric_limits<ExchangeMillis>::max();
  for (const auto& [key, publisher] : publishers_) {
    if (is_waited_for(publisher)) latest = std::min(latest, publisher.covered);
    whole = std::min(whole, end_for(publisher));
  }
  if (ExchangeMillis end = common_end(std::min(latest, whole)); end > boundary_) return end;
  // Where spans do not begin and end together, instances may be in a part of one.
  if (ExchangeMillis end = common_end(latest); end > boundary_) return end;
  if (latest - boundary_ <= millis(rules_.patience) || pending_ == 0) return boundary_;
  span.troubles.emplace_back(
      "the instances' blocks never end together (publish all of them with the same `every`)");
  return latest;
}

void Gathering::merge(const ExchangeBlock& block, Portion& portion,
                      std::set<std::string>& unlike) const {
  Tally& tally = portion.tally;
  tally.requests += block.requests;
  tally.errors += block.errors;
  if (block.latency) add({{block.latency->bounds, block.latency->counts}}, tally.latency);
  portion.restarts += block.restarts;
  portion.age = block.age;
  tally.values.resize(rules_.values.size());
  double length = static_cast<double>(block.to - block.from) / 1e3;
  for (const ExchangeValue& value : block.values) {
    auto wanted = std::find_if(rules_.values.begin(), rules_.values.end(),
                               [&](const Rules::Value& v) { return v.name == value.name; });
    if (wanted == rules_.values.end()) continue;
    bool per_request = value.per == ValueSeries::Per::Request;
    bool is_like = wanted->is_counter == (value.kind == ValueSeries::Kind::Rate) &&
                   wanted->per_request == per_request;
    if (!is_like) {
      unlike.insert(value.name);
      continue;
    }
    // A gauge's mean over time; a counter's growth.
    Tally::Sum& sum = tally.values[static_cast<std::size_t>(wanted - rules_.values.begin())];
    sum.of += value.value * (per_request ? block.requests : length);
    sum.readings += length;
  }
}

/// Takes all blocks up to the boundary, one portion per instance.
Gathering::Cut Gathering::cut(ExchangeMillis boundary, std::vector<std::string>& troubles) {
  Cut out;
  std::set<std::string> unlike;
  for (auto& [key, publisher] : publishers_) {
    std::vector<ExchangeBlock>& pending = publisher.pending;
    auto end = std::find_if(pending.begin(), pending.end(),
                            [&](const ExchangeBlock& block) { return block.to > boundary; });
    if (end == pending.begin()) continue;
    Portion portion{.side = publisher.side, .pod = publisher.instance, .tally = {}};
    for (auto block = pending.begin(); block != end; ++block) merge(*block, portion, unlike);
    out.blocks += static_cast<double>(end - pending.begin());
    out.requests += portion.tally.requests;
    out.has_baseline |= publisher.side == Side::Baseline;
    out.portions.push_back(std::move(portion));
    pending_ -= static_cast<std::size_t>(end - pending.begin());
    pending.erase(pending.begin(), end);
  }
  for (const std::string& name : unlike) {
    troubles.push_back(fmt::format(
        "{} is published as another kind of metric than the policy's (gauge, rate, per)", name));
  }
  return out;
}

/// Everything up to the next boundary that there is.
std::optional<Block> Gathering::next_block(ExchangeMillis clock, bool canary_alone, Span& span) {
  if (boundary_ == 0) {
    ExchangeMillis first = std::numeric_limits<ExchangeMillis>::max();
    for (const auto& [key, publisher] : publishers_) {
      if (!publisher.pending.empty()) first = std::min(first, publisher.pending.front().from);
    }
    if (pending_ == 0) return std::nullopt;
    boundary_ = first;
  }
  ExchangeMillis latest = clock - millis(rules_.settle);
  while (true) {
    ExchangeMillis end = next_boundary(latest, span);
    if (end <= boundary_) return std::nullopt;
    ExchangeMillis begin = std::exchange(boundary_, end);
    Cut cut = this->cut(end, span.troubles);
    if (cut.portions.empty()) continue;  // nobody was there
    bool is_judged = !span.is_blind && (cut.has_baseline || canary_alone);
    count(is_judged ? "merged_blocks" : "unjudged_blocks", cut.blocks);
    count(is_judged ? "merged_requests" : "unjudged_requests", cut.requests);
    if (!is_judged) continue;
    return make_block(cut.portions, rules_.values, static_cast<double>(end - begin) / 1e3,
                      span.troubles);
  }
}

Collected Gathering::finish_round(ExchangeMillis clock, Time now, bool canary_alone) {
  if (!began_) excuse_silence(now);
  lose_the_silent(now);
  Span span;
  judge_sides(now, canary_alone, span);
  tell_the_lost(now, span.troubles);
  Collected collected;
  collected.block = next_block(clock, canary_alone, span);
  collected.blind = span.is_blind;
  collected.baseline_targets = span.instances[index(Side::Baseline)];
  collected.canary_targets = span.instances[index(Side::Canary)];
  for (std::vector<std::string>* more : {&remarks_, &span.troubles})
    span.urgent.insert(span.urgent.end(), more->begin(), more->end());
  remarks_.clear();
  collected.trouble = text::join_some(span.urgent);
  for (const auto& [event, times] : events_) collected.events.push_back({event, times});
  events_.clear();
  forget_the_gone(now);
  return collected;
}

void Gathering::excuse_silence(Time now) {
  if (!began_) began_ = now;
  for (auto& [key, publisher] : publishers_) {
    if (!publisher.is_lost) publisher.heard = publisher.missing_since = now;
  }
}

void Gathering::forget_the_gone(Time now) {
  std::erase_if(publishers_, [&](const auto& item) {
    return !is_there(item.second) && item.second.pending.empty() &&
           now - item.second.heard > kKeptFor;
  });
  std::erase_if(others_, [&](const auto& item) { return now - item.second > kKeptFor; });
}

std::string Gathering::describe() const {
  std::array<std::size_t, 2> instances{};
  for (const auto& [key, publisher] : publishers_)
    instances[index(publisher.side)] += is_there(publisher);
  return fmt::format("{} baseline and {} canary instances", instances[0], instances[1]);
}

void Gathering::Publisher::archive(Archive& state) {
  state(instance, side, first, highest, latest, covered, latest_requests, has_left, is_replaced,
        is_twin, is_lost);
  for (auto* numbers : {&early, &missing, &abandoned}) archive_set(state, *numbers);
  std::vector<std::string> encoded;
  for (const ExchangeBlock& block : pending) encoded.push_back(*encode(block));
  state(encoded);
  if (!state.reading()) return;
  pending.clear();
  for (const std::string& bytes : encoded) {
    Result<ExchangeBlock> block = decode(bytes);
    if (!block) return state.fail();
    pending.push_back(*std::move(block));
  }
  if (index(side) > 1 || first == 0 || highest < first) state.fail();
}

void Gathering::archive(Archive& state) {
  state(start_, boundary_, publishers_);
  if (!state.reading()) return;
  pending_ = 0;
  for (const auto& [key, publisher] : publishers_) pending_ += publisher.pending.size();
  if (start_ < 0 || boundary_ < 0) state.fail();
}

}  // namespace davy::source
