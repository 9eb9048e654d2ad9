#include "sources/statsd/intake.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/archive.h"
#include "base/text.h"
#include "stats/counter.h"

namespace davy::source {
namespace {

constexpr double kMostPerLine = 1e12;  // requests: more is garbage
constexpr double kMostPerSpan = 1e15;  // a recording takes no more
constexpr double kMostGauge = 1e300;   // so that sums stay finite
constexpr std::size_t kLongestId = 256;
constexpr std::size_t kLongestValue = 40;    // shown
constexpr std::size_t kLongestGauge = 1024;  // name and tags
constexpr Duration kSilentInstance = std::chrono::minutes(1);
constexpr Duration kOldGauge = std::chrono::minutes(5);
constexpr Duration kFullTable = std::chrono::minutes(1);

std::string_view between(const char* begin, const char* end) {
  return {begin, static_cast<std::size_t>(end - begin)};
}

std::string key_of(Side side, std::string_view id) {
  return fmt::format("{} {}", index(side), id);
}

bool is_sane(Duration d) {
  constexpr Duration kCentury = std::chrono::hours(24 * 365 * 100);
  return d >= Duration::zero() && d <= kCentury;
}

/// Moves a time of the clock when it was saved to the same age now. False when it makes no sense.
bool renew(Time& time, Time saved, Time now) {
  bool is_sound = is_sane(time.since_boot) && time <= saved;
  time = is_sound ? now - (saved - time) : now;
  return is_sound;
}

/// The example is made for the first one only: a flood of garbage must stay cheap.
template <typename Example>
void remark(StatsdRemark& remark, Example example) {
  if (remark.times++ == 0) remark.example = example();
}

/// False when one of them is none.
bool parse_numbers(std::string_view values, std::vector<double>& numbers) {
  numbers.clear();
  while (true) {
    std::size_t end = values.find(':');
    if (!parse_statsd_number(values.substr(0, end), numbers.emplace_back())) return false;
    if (end == std::string_view::npos) return true;
    values.remove_prefix(end + 1);
  }
}

Heartbeats::Said said(StatsdServiceCheck::Status status) {
  switch (status) {
    case StatsdServiceCheck::Status::Ok: return Heartbeats::Said::Pass;
    case StatsdServiceCheck::Status::Warning: return Heartbeats::Said::Warn;
    case StatsdServiceCheck::Status::Critical:
    case StatsdServiceCheck::Status::Unknown: break;
  }
  return Heartbeats::Said::Fail;
}

}  // namespace

StatsdIntake::StatsdIntake(StatsdRules rules)
    : rules_(std::move(rules)), table_(rules_.max_series) {}

void StatsdIntake::take(std::string_view packet, Time now, bool is_truncated) {
  now_ = now;
  ++open_.packets;
  if (is_truncated) {
    remark(open_.truncated,
           [&] { return fmt::format("one of more than {} bytes", packet.size()); });
    std::size_t end = packet.rfind('\n');
    packet = packet.substr(0, end == std::string_view::npos ? 0 : end);
  }
  const char* at = packet.data();
  const char* end = at + packet.size();
  while (at < end) {
    const void* found = std::memchr(at, '\n', static_cast<std::size_t>(end - at));
    const char* stop = found != nullptr ? static_cast<const char*>(found) : end;
    const char* last = stop > at && stop[-1] == '\r' ? stop - 1 : stop;
    if (last > at) take_line(between(at, last));
    at = stop + 1;
  }
}

void StatsdIntake::take_line(std::string_view line) {
  ++open_.lines;
  const char* end = line.data() + line.size();
  const auto* colon = static_cast<const char*>(std::memchr(line.data(), ':', line.size()));
  const char* values = colon != nullptr ? colon + 1 : end;
  const auto* bar =
      static_cast<const char*>(std::memchr(values, '|', static_cast<std::size_t>(end - values)));
  if (colon == nullptr || bar == nullptr) {
    learn(line, {});
    return;
  }
  Key key{between(line.data(), colon), between(bar + 1, end)};
  key.hash = table_.hash(key.name, key.rest);
  const StatsdAction* known = table_.find(key.hash, key.name, key.rest);
  if (known != nullptr && take_values(*known, between(values, bar), end)) return;
  key.is_known = known != nullptr;
  learn(line, key);
}

/// False, and nothing done, when the values are not such as the action can take.
/// `end` = where the line ends.
bool StatsdIntake::take_values(const StatsdAction& action, std::string_view values,
                               const char* end) {
  if (action.type == StatsdType::Set) return !values.empty();
  double one = 0;
  if (parse_short_number(values, end, one)) return apply(action, {&one, 1}, values);
  return parse_numbers(values, numbers_) && apply(action, numbers_, values);
}

bool StatsdIntake::apply(const StatsdAction& action, std::span<const double> numbers,
                         std::string_view values) {
  if (action.instance == nullptr) return true;
  double least = 0;
  double sum = 0;
  for (double number : numbers) {
    least = std::min(least, number);
    sum += number;
  }
  if (action.type == StatsdType::Gauge) {
    if (action.gauge != nullptr) set_gauge(action, numbers, values);
  } else if (action.type == StatsdType::Counter) {
    if (least < 0 || sum * action.weight > kMostPerLine) return false;
    count(action, sum * action.weight);
  } else {
    if (action.latency_unit > 0 && least < 0) return false;
    if (action.latency_unit > 0) take_latencies(action, numbers);
    count(action, static_cast<double>(numbers.size()) * action.weight);
  }
  action.instance->is_active = true;
  return true;
}

void StatsdIntake::count(const StatsdAction& action, double times) {
  StatsdInstance& instance = *action.instance;
  if (action.is_request) instance.requests += times;
  if (action.is_error) instance.errors += times;
  if (action.rates == nullptr) return;
  for (std::size_t i : *action.rates) instance.growth[i] += times;
}

void StatsdIntake::take_latencies(const StatsdAction& action, std::span<const double> numbers) {
  std::size_t side = index(action.instance->side);
  for (double number : numbers) {
    if (action.weight == 1) {
      latency_[side].insert(number * action.latency_unit);
      continue;
    }
    double times = std::floor(carried_[side] + action.weight);
    carried_[side] += action.weight - times;
    latency_[side].insert(number * action.latency_unit, static_cast<std::uint64_t>(times));
  }
}

/// `values` are the numbers as they are written.
void StatsdIntake::set_gauge(const StatsdAction& action, std::span<const double> numbers,
                             std::string_view values) {
  StatsdGauge& gauge = *action.gauge;
  for (double number : numbers) {
    std::size_t end = values.find(':');
    bool is_added = action.has_relative_sign && (values.front() == '+' || values.front() == '-');
    gauge.value = std::clamp((is_added ? gauge.value : 0) + number, -kMostGauge, kMostGauge);
    gauge.is_relative |= is_added;
    values.remove_prefix(end == std::string_view::npos ? values.size() : end + 1);
  }
  gauge.is_active = true;
}

/// A line that the table does not know, or whose values are not such as it expects.
void StatsdIntake::learn(std::string_view line, const Key& key) {
  StatsdLine parsed = parse_statsd_line(line);
  if (const auto* wrong = std::get_if<StatsdMalformed>(&parsed)) {
    remark(open_.malformed, [&] { return fmt::format("{}: {}", text::quoted(line), wrong->what); });
  } else if (const auto* check = std::get_if<StatsdServiceCheck>(&parsed)) {
    take(*check);
  } else if (const auto* metric = std::get_if<StatsdMetric>(&parsed)) {
    learn(*metric, key);
  } else {
    ++open_.events;
  }
}

void StatsdIntake::learn(const StatsdMetric& metric, const Key& key) {
  // A timestamp makes every line another one.
  bool is_worth_it = !key.is_known && !metric.has_timestamp;
  if (rules_.names.find(metric.name) == rules_.names.end()) {
    names_.see_other(metric);
    // What counts for nothing leaves room for what does.
    if (is_worth_it && table_.size() < rules_.max_series / 2)
      (void)table_.insert(key.hash, key.name, key.rest, {.type = metric.type});
    return;
  }
  StatsdMeaning meaning = meaning_of(metric, rules_);
  see(metric, meaning);
  StatsdAction action = action_for(metric, meaning);
  bool is_refused = meaning.side && !meaning.refused.empty();
  if (is_refused) refuse(metric, meaning.refused);
  if (!take_values(action, metric.values, metric.values.data() + metric.values.size())) {
    refuse(metric, "and it cannot have the value " + text::quoted(metric.values, kLongestValue));
    return;
  }
  bool has_room = action.instance == nullptr || action.gauge != nullptr || meaning.gauges.empty();
  // What is refused is to be told again.
  if (is_refused || !has_room || !is_worth_it) return;
  if (!table_.insert(key.hash, key.name, key.rest, action))
    remark(open_.unremembered, [&] { return text::quoted(metric.name); });
}

void StatsdIntake::take(const StatsdServiceCheck& check) {
  ++open_.service_checks;
  auto found = rules_.service_checks.find(check.name);
  if (found == rules_.service_checks.end() || check.status == StatsdServiceCheck::Status::Unknown) {
    return;
  }
  open_.reports[found->second] = {said(check.status), std::string(check.message), now_};
}

/// For the words with which a person is told what came.
void StatsdIntake::see(const StatsdMetric& metric, const StatsdMeaning& meaning) {
  if (!meaning.is_request) {
    names_.see_other(metric);
  } else if (!meaning.side) {
    names_.see_stranger(metric, rules_.version_tags);
  } else {
    StatsdSpan::Seen& seen = seen_[index(*meaning.side)];
    seen.requests = true;
    seen.errors |= meaning.shows_errors;
  }
  has_latency_ |= meaning.side && meaning.latency_unit > 0;
}

void StatsdIntake::refuse(const StatsdMetric& metric, std::string_view what) {
  remark(open_.refused, [&] {
    return fmt::format("{} is a {}, {}", text::quoted(metric.name), show(metric.type), what);
  });
}

StatsdAction StatsdIntake::action_for(const StatsdMetric& metric, const StatsdMeaning& meaning) {
  StatsdAction action{.weight = 1 / metric.rate,
                      .latency_unit = meaning.latency_unit,
                      .type = metric.type,
                      .is_request = meaning.is_request,
                      .is_error = meaning.is_error,
                      .has_relative_sign = !metric.is_dogstatsd};
  if (!meaning.counts()) return action;
  action.instance = &instance_of(*meaning.side, meaning.instance);
  if (!meaning.rates.empty()) action.rates = &*rates_.insert(meaning.rates).first;
  for (std::size_t i : meaning.rates) action.instance->shown[i] = 1;
  if (!meaning.gauges.empty()) action.gauge = gauge_of(metric, meaning, *action.instance);
  return action;
}

StatsdInstance& StatsdIntake::instance_of(Side side, std::string_view id) {
  std::string key = key_of(side, id.substr(0, kLongestId));
  auto found = instances_.find(key);
  if (found != instances_.end()) return found->second;
  if (instances_.size() >= kMostInstances && !id.empty()) {
    remark(open_.unremembered, [&] {
      return fmt::format("{} {}, beyond {} instances", rules_.instance_tag, text::quoted(id),
                         kMostInstances);
    });
    return instance_of(side, "");
  }
  StatsdInstance& instance = instances_[key];
  instance.side = side;
  instance.id = id.substr(0, kLongestId);
  instance.last_seen = now_;
  instance.growth.resize(rules_.series.values.size());
  instance.shown.resize(rules_.series.values.size());
  return instance;
}

/// Null when there is no room for it.
StatsdGauge* StatsdIntake::gauge_of(const StatsdMetric& metric, const StatsdMeaning& meaning,
                                    StatsdInstance& instance) {
  auto found = gauges_.find(meaning.series);
  if (found != gauges_.end()) return &found->second;
  if (gauges_.size() >= rules_.max_series || meaning.series.size() > kLongestGauge) {
    refuse(metric, "and there is no room for it");
    return nullptr;
  }
  return &gauges_
              .emplace(
                  meaning.series,
                  StatsdGauge{.instance = &instance, .parts = meaning.gauges, .last_seen = now_})
              .first->second;
}

StatsdSpan StatsdIntake::end_span(Time now) {
  StatsdSpan span = std::exchange(open_, {});
  std::optional<Time> begun = std::exchange(begun_, now);
  span.seen = seen_;
  span.others = names_.others();
  span.strangers = names_.strangers();
  if (!begun) return span;  // nothing has been taken yet but what was saved
  span.dt = seconds(now - *begun + std::exchange(before_, Duration::zero()));

  std::map<const StatsdInstance*, std::size_t> places;
  for (auto& [key, instance] : instances_) {
    if (instance.is_active) ++span.instances[index(instance.side)];
    if (std::exchange(instance.is_active, false)) instance.last_seen = now;
    places[&instance] = span.portions.size();
    span.portions.push_back(portion_of(instance, span.surplus));
  }
  for (auto& [key, gauge] : gauges_) {
    if (std::exchange(gauge.is_active, false)) gauge.last_seen = now;
    for (std::size_t part : gauge.parts) {
      Tally::Sum& sum = span.portions[places[gauge.instance]].tally.values[part];
      sum.of += gauge.value;
      sum.readings = 1;
    }
  }
  span.latency = std::exchange(latency_, {});
  span.has_latency = has_latency_;
  forget(now);
  return span;
}

/// What an instance counted since the last time. Errors are never more than requests.
Portion StatsdIntake::portion_of(StatsdInstance& instance, StatsdRemark& surplus) {
  double requests = std::min(std::exchange(instance.requests, 0), kMostPerSpan);
  double all = std::exchange(instance.errors, 0) + instance.errors_ahead;
  double errors = std::min(all, requests);
  if (requests > 0) instance.last_requests = requests;
  instance.errors_ahead = std::min(all - errors, instance.last_requests);
  if (double lost = all - errors - instance.errors_ahead; lost > 0) {
    if (surplus.times == 0) surplus.example = fmt::format("of the {}", word(instance.side));
    surplus.times += lost;
  }
  Portion portion{
      .side = instance.side, .pod = instance.id, .tally = {.requests = requests, .errors = errors}};
  portion.tally.values.resize(instance.growth.size());
  for (std::size_t i = 0; i < instance.growth.size(); ++i) {
    if (instance.shown[i] != 0) portion.tally.values[i] = {instance.growth[i], 1};
    instance.growth[i] = 0;
  }
  return portion;
}

/// Instances and gauges of which nothing comes any more; a table that has filled up with the past.
void StatsdIntake::forget(Time now) {
  std::size_t before = instances_.size() + gauges_.size();
  std::erase_if(gauges_, [&](const auto& item) {
    const auto& [key, gauge] = item;
    return !gauge.is_relative && now - gauge.last_seen >= kOldGauge;
  });
  std::erase_if(instances_, [&](const auto& item) {
    const StatsdInstance& instance = item.second;
    bool is_gone = !instance.id.empty() && now - instance.last_seen >= kSilentInstance;
    if (is_gone)
      std::erase_if(gauges_, [&](const auto& g) { return g.second.instance == &instance; });
    return is_gone;
  });
  bool is_crowded = table_.is_full() && now - emptied_ >= kFullTable;
  if (before == instances_.size() + gauges_.size() && !is_crowded) return;
  empty_table();  // it may point to what is gone
  emptied_ = now;
}

void StatsdInstance::archive(Archive& state) {
  state(side, id, requests, errors, errors_ahead, last_requests, growth, shown, is_active,
        last_seen.since_boot);
  bool is_sound = side == Side::Baseline || side == Side::Canary;
  for (double n : {requests, errors, errors_ahead, last_requests}) is_sound &= stats::is_count(n);
  is_sound &= std::all_of(growth.begin(), growth.end(), stats::is_count);
  if (!is_sound) state.fail();
}

void StatsdGauge::archive(Archive& state) {
  state(parts, value, is_relative, is_active, last_seen.since_boot);
  if (!(std::abs(value) <= kMostGauge)) state.fail();
}

void StatsdIntake::archive(Archive& state, Time now) {
  std::string text = rules_.text;
  state(text);
  if (text != rules_.text) state.fail();
  Time saved = now;
  Duration before = before_ + (begun_ ? now - *begun_ : Duration::zero());
  state(saved.since_boot, before);
  for (StatsdSpan::Seen& seen : seen_) state(seen.requests, seen.errors);
  state(has_latency_, carried_);
  for (Sketch& sketch : latency_) {
    std::string bytes = state.reading() ? "" : sketch.bytes();
    state(bytes);
    if (!state.reading()) continue;
    Result<Sketch> read = Sketch::from_bytes(bytes);
    if (read)
      sketch = *read;
    else
      state.fail();
  }
  state(instances_);
  archive_gauges(state);
  if (!state.reading()) return;
  before_ = before;
  bool is_sound = is_sane(before) && is_sane(saved.since_boot);
  for (double carried : carried_) is_sound &= carried >= 0 && carried < 1;
  is_sound &= instances_.size() <= kMostInstances + 2 && gauges_.size() <= rules_.max_series;
  for (auto& [key, instance] : instances_) {
    is_sound &= key == key_of(instance.side, instance.id) &&
                instance.growth.size() == rules_.series.values.size() &&
                instance.shown.size() == rules_.series.values.size() &&
                renew(instance.last_seen, saved, now);
  }
  for (auto& [key, gauge] : gauges_) is_sound &= renew(gauge.last_seen, saved, now);
  if (!is_sound) state.fail();
}

/// Each gauge behind the key of its instance.
void StatsdIntake::archive_gauges(Archive& state) {
  std::map<std::string, std::string> owners;
  for (const auto& [series, gauge] : gauges_)
    owners[series] = key_of(gauge.instance->side, gauge.instance->id);
  state(gauges_, owners);
  if (!state.reading()) return;
  for (auto& [series, gauge] : gauges_) {
    auto owner = instances_.find(owners[series]);
    bool is_sound =
        owner != instances_.end() &&
        std::all_of(gauge.parts.begin(), gauge.parts.end(), [&](std::size_t part) {
          return part < rules_.series.values.size() && !rules_.series.values[part].is_counter;
        });
    if (!is_sound) {
      state.fail();
      return;
    }
    gauge.instance = &owner->second;
  }
}

}  // namespace davy::source
