#include "sources/reading.h"

#include <fmt/format.h>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/text.h"
#include "sources/exposition.h"
#include "stats/counter.h"

namespace davy::source {
namespace {

/// The same text for the same series, whatever the order of its labels. Reuses `out`.
void write_key(std::string_view name, std::vector<Label>& labels, std::string& out) {
  std::sort(labels.begin(), labels.end());
  out.assign(name);
  for (const Label& label : labels) {
    out += '\x1f';
    out += label.name;
    out += '=';
    out += label.value;
  }
}

bool parse_bound(std::string_view text, double& bound) {
  if (text.starts_with('+')) text.remove_prefix(1);
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), bound);
  return !text.empty() && code == std::errc() && end == text.data() + text.size() &&
         !std::isnan(bound);
}

/// Takes the wanted series out of one body.
class Picker final : public SampleSink {
 public:
  Picker(const Rules& rules, const std::vector<Share>& shares, std::size_t max_series)
      : rules_(rules), shares_(shares), max_series_(max_series) {
    for (const auto* selectors : {&rules.counter, &rules.errors, &rules.histogram}) {
      for (const Selector& selector : *selectors) names_.insert(selector.name);
    }
    for (const Rules::Value& value : rules.values) names_.insert(value.series.name);
    if (shares.size() == 1) names_.emplace(kStartTime);
    for (std::vector<Reading::Shown>& shown : reading_.values) shown.resize(rules.values.size());
  }

  bool wants(std::string_view name) override {
    if (name != last_name_) {
      last_name_ = name;
      last_wanted_ = names_.find(name) != names_.end();
    }
    return last_wanted_;
  }

  void take(std::string_view name, Labels labels, double value) override {
    const Share* share = share_of(labels);
    if (share == nullptr || series_ > max_series_) return;
    auto matches = [&](const Selector& selector) { return selector.match(name, labels); };
    bool is_request = std::any_of(rules_.counter.begin(), rules_.counter.end(), matches);
    bool is_error = std::any_of(rules_.errors.begin(), rules_.errors.end(), matches);
    if (is_request) {
      is_error |= std::any_of(rules_.error_when.begin(), rules_.error_when.end(),
                              [&](const Matchers& when) { return when.match(labels); });
      see_request(*share, labels);
    }
    std::vector<std::size_t> parts = take_gauges(*share, name, labels, value);
    if (is_request || is_error || !parts.empty()) {
      take_counter(*share, name, labels, value,
                   {"", share->side, value, is_request, is_error, std::move(parts)});
    }
    if (name == kStartTime) take_start(value);
    if (std::any_of(rules_.histogram.begin(), rules_.histogram.end(), matches)) {
      take_bucket(*share, name, labels, value);
    }
  }

  bool too_many() const { return series_ > max_series_; }

  Reading finish(const Parsed& parsed) {
    for (auto& [key, bucket_list] : buckets_) finish_histogram(key, bucket_list);
    // Their order comes from a hash map; what follows must not depend on it.
    std::sort(reading_.histograms.begin(), reading_.histograms.end(),
              [](const auto& a, const auto& b) { return a.series < b.series; });
    finish_gauges();
    if (starts_ == 1 && stats::is_count(start_)) reading_.start = start_;
    remark(parsed.malformed, "malformed lines left out", text::join(parsed.first_malformed, ", "));
    remark(bad_values_, "counters left out that are no counts (NaN, infinite or negative)",
           bad_value_);
    remark(bad_histograms_, "histograms left out", bad_histogram_);
    remark(bad_gauges_, "metrics left out whose value is not finite", bad_gauge_);
    return std::move(reading_);
  }

 private:
  struct Bucket {
    double bound;
    double cumulative;
  };
  struct BucketList {
    Side side;
    std::vector<Bucket> buckets;
    std::string_view wrong;  // "" while it is well
  };

  const Share* share_of(Labels labels) const {
    for (const Share& share : shares_) {
      if (share.when.match(labels)) return &share;
    }
    return nullptr;
  }

  void see_request(const Share& share, Labels labels) {
    Reading::Seen& seen = reading_.seen[index(share.side)];
    seen.requests = true;
    seen.errors |= !rules_.errors.empty() ||
                   std::any_of(labels.begin(), labels.end(), [&](const Label& label) {
                     return std::find(rules_.error_labels.begin(), rules_.error_labels.end(),
                                      label.name) != rules_.error_labels.end();
                   });
  }

  void take_counter(const Share& share, std::string_view name, Labels labels, double value,
                    Reading::Counter counter) {
    if (!stats::is_count(value)) {
      ++bad_values_;
      bad_value_ = fmt::format("{} is {}", name, value);
      return;
    }
    ++series_;
    counter.series = key_of(name, labels);
    for (std::size_t part : counter.values)
      reading_.values[index(share.side)][part].is_there = true;
    reading_.counters.push_back(std::move(counter));
  }

  /// Adds a series to the gauges that it is a part of; returns the counters that it is a part of.
  std::vector<std::size_t> take_gauges(const Share& share, std::string_view name, Labels labels,
                                       double value) {
    std::vector<std::size_t> counters;
    bool is_again = false;
    bool is_gauge = false;
    for (std::size_t i = 0; i < rules_.values.size(); ++i) {
      if (!rules_.values[i].series.match(name, labels)) continue;
      if (rules_.values[i].is_counter) {
        counters.push_back(i);
        continue;
      }
      if (!std::exchange(is_gauge, true)) is_again = !gauges_.insert(key_of(name, labels)).second;
      if (is_again) continue;
      Reading::Shown& shown = reading_.values[index(share.side)][i];
      shown.is_there = true;
      shown.gauge += value;
    }
    if (is_gauge) ++series_;
    return counters;
  }

  /// The sum of a metric's series says nothing when one of them does not.
  void finish_gauges() {
    for (std::vector<Reading::Shown>& side : reading_.values) {
      for (std::size_t i = 0; i < side.size(); ++i) {
        if (std::isfinite(side[i].gauge)) continue;
        ++bad_gauges_;
        bad_gauge_ = fmt::format("{} is {}", rules_.values[i].name, side[i].gauge);
        side[i] = {};
      }
    }
  }

  /// Several start times are several processes behind one target: then it has none.
  void take_start(double value) {
    ++starts_;
    start_ = value;
  }

  const std::string& key_of(std::string_view name, Labels labels) {
    sorted_.assign(labels.begin(), labels.end());
    write_key(name, sorted_, key_);
    return key_;
  }

  void take_bucket(const Share& share, std::string_view name, Labels labels, double value) {
    ++series_;
    sorted_.clear();
    double bound = std::numeric_limits<double>::quiet_NaN();
    for (const Label& label : labels) {
      if (label.name != "le") {
        sorted_.push_back(label);
      } else if (!parse_bound(label.value, bound)) {
        break;
      }
    }
    write_key(name, sorted_, key_);
    BucketList& list = buckets_.try_emplace(key_, BucketList{share.side, {}, ""}).first->second;
    if (std::isnan(bound)) list.wrong = "a bucket without a proper le";
    if (!stats::is_count(value)) list.wrong = "a bucket that is no count";
    list.buckets.push_back({bound, value});
  }

  void finish_histogram(const std::string& key, BucketList& list) {
    std::vector<Bucket>& buckets = list.buckets;
    if (list.wrong.empty()) list.wrong = sort_and_check(buckets);
    if (!list.wrong.empty()) {
      ++bad_histograms_;
      bad_histogram_ = fmt::format("{}: {}", key.substr(0, key.find('\x1f')), list.wrong);
      return;
    }
    Reading::Buckets histogram{key, list.side, {}, {}};
    for (const Bucket& bucket : buckets) {
      if (std::isfinite(bucket.bound))
        histogram.bounds.push_back(bucket.bound * rules_.latency_unit);
      histogram.cumulative.push_back(bucket.cumulative);
    }
    reading_.histograms.push_back(std::move(histogram));
  }

  static std::string_view sort_and_check(std::vector<Bucket>& buckets) {
    std::sort(buckets.begin(), buckets.end(),
              [](const Bucket& a, const Bucket& b) { return a.bound < b.bound; });
    if (buckets.back().bound != std::numeric_limits<double>::infinity())
      return "no bucket for +Inf";
    if (buckets.size() > 1 && buckets.front().bound <= 0) return "a bucket at or below 0";
    for (std::size_t i = 1; i < buckets.size(); ++i) {
      if (buckets[i].bound == buckets[i - 1].bound) return "the same bucket twice";
      if (buckets[i].cumulative < buckets[i - 1].cumulative)
        return "its buckets are not cumulative";
    }
    return "";
  }

  void remark(std::size_t count, std::string_view what, std::string_view example) {
    if (count > 0) reading_.remarks.push_back(fmt::format("{} {} ({})", count, what, example));
  }

  const Rules& rules_;
  const std::vector<Share>& shares_;
  const std::size_t max_series_;
  std::set<std::string, std::less<>> names_;
  std::string last_name_;
  bool last_wanted_ = false;
  std::size_t series_ = 0;
  Reading reading_;
  std::unordered_map<std::string, BucketList> buckets_;
  std::vector<Label> sorted_;
  std::string key_;
  std::size_t bad_values_ = 0;
  std::size_t bad_histograms_ = 0;
  std::size_t bad_gauges_ = 0;
  std::string bad_value_;
  std::string bad_histogram_;
  std::string bad_gauge_;
  std::unordered_set<std::string> gauges_;
  std::size_t starts_ = 0;
  double start_ = 0;
};

/// Collects a few names that could be counters of requests, the likely ones first.
class NameCollector final : public SampleSink {
 public:
  bool wants(std::string_view name) override {
    if (name == last_) return false;
    last_ = name;
    bool is_counter = name.ends_with("_total") || name.ends_with("_count");
    if (!is_counter) return false;
    // By how far the name is from what is looked for: 0 for http_requests_total and its like.
    std::size_t distance = name.find("request") == std::string_view::npos ? 2 : 0;
    distance += name.ends_with("_total") ? 0 : 1;
    std::vector<std::string>& names = by_distance_[distance];
    bool is_new = std::find(names.begin(), names.end(), name) == names.end();
    if (names.size() < kFew && is_new) names.emplace_back(name);
    return false;
  }
  void take(std::string_view, Labels, double) override {}

  std::string some() const {
    std::vector<std::string> few;
    for (const std::vector<std::string>& names : by_distance_) {
      for (const std::string& name : names) {
        if (few.size() < kFew) few.push_back(name);
      }
    }
    return text::join(few, ", ");
  }

 private:
  static constexpr std::size_t kFew = 4;
  std::string_view last_;
  std::array<std::vector<std::string>, 4> by_distance_;
};

Error blamed(const Error& error, std::string_view setting) {
  return {error.what, std::string(setting)};
}

Result<Done> compile_selectors(const std::vector<std::string>& texts, std::string_view setting,
                               std::vector<Selector>& out) {
  for (const std::string& text : texts) {
    Result<Selector> selector = Selector::parse(text);
    if (!selector) return blamed(selector.error(), setting);
    out.push_back(std::move(*selector));
  }
  return Done{};
}

Result<Done> compile_values(const std::vector<ValueSeries>& values,
                            std::vector<Rules::Value>& out) {
  for (const ValueSeries& value : values) {
    Result<Selector> selector = Selector::parse(value.series);
    if (!selector) return blamed(selector.error().prefix(value.name + ": "), "metrics");
    bool is_counter = value.kind == ValueSeries::Kind::Rate;
    bool per_request = value.per == ValueSeries::Per::Request;
    if (per_request && !is_counter) {
      return Error{
          value.name + ": a gauge cannot be told per request (only a counter's growth can)",
          "metrics"};
    }
    out.push_back({value.name, std::move(*selector), is_counter, per_request});
  }
  return Done{};
}

/// Everything that the rules are made of, in one text.
std::string text_of(const RequestSeries& series, const std::vector<ValueSeries>& values) {
  std::string text = fmt::format("unit {}", series.latency_unit);
  for (const auto* list :
       {&series.counter, &series.error_when, &series.errors, &series.histogram}) {
    for (const std::string& part : *list) text += '\n' + part;
    text += "\n--";
  }
  for (const ValueSeries& value : values) {
    text += fmt::format("\n{} {} {} {}", value.name, static_cast<int>(value.kind),
                        static_cast<int>(value.per), value.series);
  }
  return text;
}

}  // namespace

Result<Rules> Rules::compile(const RequestSeries& series, const std::vector<ValueSeries>& values) {
  Rules rules;
  rules.latency_unit = series.latency_unit;
  rules.text = text_of(series, values);
  if (auto done = compile_selectors(series.counter, "counter", rules.counter); !done)
    return done.error();
  if (auto done = compile_selectors(series.errors, "errors", rules.errors); !done)
    return done.error();
  if (auto done = compile_selectors(series.histogram, "histogram", rules.histogram); !done)
    return done.error();
  for (Selector& selector : rules.histogram) selector.name += "_bucket";
  for (const std::string& text : series.error_when) {
    Result<Matchers> matchers = Matchers::parse(text);
    if (!matchers) return blamed(matchers.error(), "error_when");
    for (std::string& label : matchers->label_names())
      rules.error_labels.push_back(std::move(label));
    rules.error_when.push_back(std::move(*matchers));
  }
  if (auto done = compile_values(values, rules.values); !done) return done.error();
  return rules;
}

Result<Reading> read_metrics(std::string_view body, const Rules& rules,
                             const std::vector<Share>& shares, std::size_t max_series) {
  Picker picker(rules, shares, max_series);
  Result<Parsed> parsed = parse_exposition(body, picker);
  if (!parsed) return parsed.error();
  if (picker.too_many()) {
    return Error{fmt::format(
        "has more than {} series that match (narrow the selectors, or raise max_series)",
        text::grouped(static_cast<double>(max_series)))};
  }
  Reading reading = picker.finish(*parsed);
  bool has_requests = std::any_of(shares.begin(), shares.end(), [&](const Share& share) {
    return reading.seen[index(share.side)].requests;
  });
  if (!has_requests) {
    NameCollector names;
    if (parse_exposition(body, names)) reading.others = names.some();
  }
  return reading;
}

Reading read_samples(const std::vector<NamedSample>& samples, const Rules& rules,
                     const std::vector<Share>& shares) {
  Picker picker(rules, shares, samples.size());
  for (const NamedSample& sample : samples) {
    if (picker.wants(sample.name)) picker.take(sample.name, sample.labels, sample.value);
  }
  return picker.finish({});
}

}  // namespace davy::source
