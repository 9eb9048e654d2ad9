#include "sources/formats/catalogue.h"

#include <fmt/format.h>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "base/text.h"
#include "stats/counter.h"

namespace davy::source {
namespace {

constexpr std::string_view kBucket = "_bucket";
constexpr std::size_t kOthers = 4;  // names told when no request series is there

/// The same text for the same series, whatever the order of its labels.
std::string key_of(std::string_view name, Labels labels, std::string_view without = {}) {
  std::vector<Label> sorted(labels.begin(), labels.end());
  std::sort(sorted.begin(), sorted.end());
  std::string key(name);
  for (const Label& label : sorted) {
    if (label.name == without) continue;
    key += '\x1f';
    key += label.name;
    key += '=';
    key += label.value;
  }
  return key;
}

bool has_label_twice(Labels labels) {
  for (std::size_t i = 0; i < labels.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      if (labels[i].name == labels[k].name) return true;
    }
  }
  return false;
}

std::string_view name_of(std::string_view key) {
  return key.substr(0, key.find('\x1f'));
}

/// NaN when it is none.
double bound_of(Labels labels) {
  double bound = std::numeric_limits<double>::quiet_NaN();
  for (const Label& label : labels) {
    if (label.name != "le") continue;
    std::string_view text = label.value;
    if (text.starts_with('+')) text.remove_prefix(1);
    auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), bound);
    if (text.empty() || code != std::errc() || end != text.data() + text.size())
      return std::numeric_limits<double>::quiet_NaN();
  }
  return bound;
}

}  // namespace

Catalogue::Catalogue(const Rules& rules, std::vector<Share> shares, std::size_t max_series)
    : rules_(rules), shares_(std::move(shares)), max_series_(max_series) {
  for (const auto* selectors : {&rules.counter, &rules.errors, &rules.histogram}) {
    for (const Selector& selector : *selectors) names_.insert(selector.name);
  }
  for (const Rules::Value& value : rules.values) names_.insert(value.series.name);
  if (shares_.size() == 1) names_.emplace(kStartTime);
}

void Catalogue::begin() {
  ++page_;
  there_ = 0;
  natives_.clear();
  doubled_ = {};
  bad_values_ = {};
  bad_histograms_ = {};
  bad_gauges_ = {};
}

bool Catalogue::is_wanted_name(std::string_view name) {
  if (name != last_name_) {
    last_name_ = name;
    is_last_wanted_ = names_.find(name) != names_.end();
    bool is_counter = name.ends_with("_total") || name.ends_with("_count");
    if (!is_last_wanted_ && is_counter) {
      // By how far the name is from what is looked for: 0 for http_requests_total and its like.
      std::size_t distance = name.find("request") == std::string_view::npos ? 2 : 0;
      distance += name.ends_with("_total") ? 0 : 1;
      std::vector<std::string>& names = others_[distance];
      bool is_new = std::find(names.begin(), names.end(), name) == names.end();
      if (is_new && names.size() < kOthers) names.emplace_back(name);
    }
  }
  return is_last_wanted_;
}

std::uint32_t Catalogue::intern(std::string_view name, Labels labels) {
  if (!is_wanted_name(name) || there_ > max_series_) return kUnwanted;
  if (has_label_twice(labels)) {
    doubled_labels_.emplace(name);
    return kUnwanted;
  }
  std::string key = key_of(name, labels);
  auto known = numbers_.find(key);
  if (known != numbers_.end()) return known->second;
  std::optional<Series> series = meaning(name, labels);
  if (!series) return kUnwanted;
  auto number = static_cast<std::uint32_t>(series_.size());
  series->key = key;
  series_.push_back(std::move(*series));
  values_.push_back(0);
  pages_.push_back(0);
  numbers_.emplace(std::move(key), number);
  bool is_bucket = std::any_of(rules_.histogram.begin(), rules_.histogram.end(),
                               [&](const Selector& s) { return s.match(name, labels); });
  if (is_bucket) add_to_histogram(name, labels, number);
  return number;
}

void Catalogue::see(std::uint32_t series, double value) {
  if (pages_[series] == page_) {
    doubled_.count(std::string(name_of(series_[series].key)));
    return;
  }
  pages_[series] = page_;
  values_[series] = value;
  ++there_;
}

void Catalogue::see_type(std::string_view name, std::string_view type) {
  if (type != "summary") return;
  for (const Selector& selector : rules_.histogram) {
    bool is_meant =
        selector.name.size() == name.size() + kBucket.size() && selector.name.starts_with(name);
    if (is_meant) summaries_.emplace(name);
  }
}

void Catalogue::see_native(std::string_view name, Labels labels,
                           const stats::NativeHistogram& histogram) {
  std::string bucket_name = std::string(name) + std::string(kBucket);
  const Share* share = share_of(labels);
  bool is_wanted = share != nullptr &&
                   std::any_of(rules_.histogram.begin(), rules_.histogram.end(),
                               [&](const Selector& s) { return s.match(bucket_name, labels); });
  if (!is_wanted || there_ > max_series_) return;
  Result<Histogram> read = stats::from_native(histogram, rules_.latency_unit);
  if (!read) {
    bad_histograms_.count(fmt::format("{}: {}", name, read.error().what));
    return;
  }
  // It takes the memory of as many series as it has buckets that count.
  there_ += histogram.buckets.size();
  natives_.push_back({key_of(bucket_name, labels), share->side, std::move(*read)});
}

const Share* Catalogue::share_of(Labels labels) const {
  for (const Share& share : shares_) {
    if (share.when.match(labels)) return &share;
  }
  return nullptr;
}

/// Nothing when it means nothing.
std::optional<Catalogue::Series> Catalogue::meaning(std::string_view name, Labels labels) const {
  const Share* share = share_of(labels);
  if (share == nullptr) return std::nullopt;
  auto matches = [&](const Selector& selector) { return selector.match(name, labels); };
  Series series{.key = {}, .side = share->side, .counters = {}, .gauges = {}, .histogram = {}};
  series.is_request = std::any_of(rules_.counter.begin(), rules_.counter.end(), matches);
  series.is_error = std::any_of(rules_.errors.begin(), rules_.errors.end(), matches);
  if (series.is_request) {
    series.is_error |= std::any_of(rules_.error_when.begin(), rules_.error_when.end(),
                                   [&](const Matchers& when) { return when.match(labels); });
    series.shows_errors = !rules_.errors.empty() ||
                          std::any_of(labels.begin(), labels.end(), [&](const Label& label) {
                            return std::find(rules_.error_labels.begin(), rules_.error_labels.end(),
                                             label.name) != rules_.error_labels.end();
                          });
  }
  for (std::size_t i = 0; i < rules_.values.size(); ++i) {
    if (!matches(rules_.values[i].series)) continue;
    (rules_.values[i].is_counter ? series.counters : series.gauges).push_back(i);
  }
  series.is_start = shares_.size() == 1 && name == kStartTime;
  bool is_bucket = std::any_of(rules_.histogram.begin(), rules_.histogram.end(), matches);
  bool is_wanted = series.is_request || series.is_error || series.is_start || is_bucket ||
                   !series.counters.empty() || !series.gauges.empty();
  return is_wanted ? std::optional(std::move(series)) : std::nullopt;
}

void Catalogue::add_to_histogram(std::string_view name, Labels labels, std::uint32_t number) {
  Series& series = series_[number];
  std::string key = key_of(name, labels, "le");
  auto [at, is_new] = histogram_numbers_.emplace(key, histograms_.size());
  if (is_new) histograms_.push_back({std::move(key), series.side, {}});
  series.histogram = at->second;
  series.bound = bound_of(labels);
  std::vector<std::uint32_t>& buckets = histograms_[at->second].buckets;
  // Behind those with a lower bound; what is none comes last.
  auto place = std::find_if(buckets.begin(), buckets.end(), [&](std::uint32_t other) {
    return series.bound < series_[other].bound;
  });
  buckets.insert(place, number);
}

Result<Reading> Catalogue::finish(const Parsed& parsed) {
  if (there_ > max_series_) {
    forget_gone();
    return Error{fmt::format(
        "has more than {} series that match (narrow the selectors, or raise max_series)",
        text::grouped(static_cast<double>(max_series_)))};
  }
  Reading reading;
  for (std::vector<Reading::Shown>& shown : reading.values) shown.resize(rules_.values.size());
  read_counters(reading);
  read_gauges(reading);
  read_histograms(reading);
  auto remark = [&](const LeftOut& left_out, std::string_view what) {
    if (left_out.times == 0) return;
    reading.remarks.push_back(fmt::format("{} {} ({})", left_out.times, what, left_out.example));
  };
  reading.malformed = parsed.malformed;
  reading.left_out = doubled_.times + bad_values_.times + bad_histograms_.times + bad_gauges_.times;
  remark({parsed.malformed, text::join(parsed.first_malformed, ", ")}, "malformed lines left out");
  remark(doubled_, "series stand there twice, only the first counts");
  remark(bad_values_, "counters left out that are no counts, but NaN, infinite or negative");
  remark(bad_histograms_, "histograms left out");
  remark(bad_gauges_, "metrics left out whose value is not finite");
  for (const std::string& name : summaries_) {
    reading.remarks.push_back(fmt::format(
        "{} is a summary: quantiles of instances cannot be added up, so latency is not judged "
        "(have the application expose a histogram)",
        name));
  }
  for (const std::string& name : doubled_labels_) {
    reading.remarks.push_back(
        fmt::format("series of {} are left out that have the same label twice", name));
  }
  bool has_requests = std::any_of(shares_.begin(), shares_.end(), [&](const Share& share) {
    return reading.seen[index(share.side)].requests;
  });
  for (const std::vector<std::string>& names : others_) {
    for (const std::string& name : names) {
      bool is_enough = std::count(reading.others.begin(), reading.others.end(), ',') + 1 >=
                       static_cast<std::ptrdiff_t>(kOthers);
      if (has_requests || (is_enough && !reading.others.empty())) break;
      reading.others += (reading.others.empty() ? "" : ", ") + name;
    }
  }
  if (series_.size() > 2 * there_ + 100) forget_gone();
  return reading;
}

void Catalogue::read_counters(Reading& reading) {
  std::size_t starts = 0;
  double start = 0;
  for (std::uint32_t i = 0; i < series_.size(); ++i) {
    if (!is_there(i)) continue;
    const Series& series = series_[i];
    double value = values_[i];
    if (series.is_request) {
      Reading::Seen& seen = reading.seen[index(series.side)];
      seen.requests = true;
      seen.errors |= series.shows_errors;
    }
    if (series.is_start) {
      ++starts;
      start = value;
    }
    if (!series.is_request && !series.is_error && series.counters.empty()) continue;
    if (!stats::is_count(value)) {
      bad_values_.count(fmt::format("{} is {}", name_of(series.key), value));
      continue;
    }
    for (std::size_t part : series.counters)
      reading.values[index(series.side)][part].is_there = true;
    reading.counters.push_back(
        {series.key, series.side, value, series.is_request, series.is_error, series.counters});
  }
  // Several start times are several processes behind one target: then it has none.
  if (starts == 1 && stats::is_count(start)) reading.start = start;
}

/// The sum of a metric's series says nothing when one of them does not.
void Catalogue::read_gauges(Reading& reading) {
  for (std::uint32_t i = 0; i < series_.size(); ++i) {
    if (!is_there(i)) continue;
    for (std::size_t part : series_[i].gauges) {
      Reading::Shown& shown = reading.values[index(series_[i].side)][part];
      shown.is_there = true;
      shown.gauge += values_[i];
    }
  }
  for (std::vector<Reading::Shown>& side : reading.values) {
    for (std::size_t i = 0; i < side.size(); ++i) {
      if (std::isfinite(side[i].gauge)) continue;
      bad_gauges_.count(fmt::format("{} is {}", rules_.values[i].name, side[i].gauge));
      side[i] = {};
    }
  }
}

void Catalogue::read_histograms(Reading& reading) {
  for (const HistogramSeries& histogram : histograms_) {
    bool is_native = std::any_of(natives_.begin(), natives_.end(),
                                 [&](const Native& n) { return n.key == histogram.key; });
    std::string_view wrong = is_native ? "" : read_histogram(histogram, reading);
    if (!wrong.empty()) bad_histograms_.count(fmt::format("{}: {}", name_of(histogram.key), wrong));
  }
  for (Native& native : natives_) {
    Reading::Buckets out{native.key, native.side, std::move(native.histogram.bounds), {}};
    double sum = 0;
    for (double count : native.histogram.counts) out.cumulative.push_back(sum += count);
    reading.histograms.push_back(std::move(out));
  }
}

/// What is wrong with it, or "". A bucket at 0, with which OpenTelemetry's begin, is part of the
/// first one above.
std::string_view Catalogue::read_histogram(const HistogramSeries& histogram,
                                           Reading& reading) const {
  Reading::Buckets out{histogram.key, histogram.side, {}, {}};
  std::optional<std::pair<double, double>> last;  // bound and count
  for (std::uint32_t number : histogram.buckets) {
    if (!is_there(number)) continue;
    double bound = series_[number].bound;
    double value = values_[number];
    if (std::isnan(bound)) return "a bucket without a proper le";
    if (!stats::is_count(value)) return "a bucket that is no count";
    if (last && bound == last->first) return "the same bucket twice";
    if (last && value < last->second) return "its buckets are not cumulative";
    last = {bound, value};
    if (bound < 0) return "a bucket below 0";
    if (bound == 0) continue;
    out.cumulative.push_back(value);
    if (std::isfinite(bound)) out.bounds.push_back(bound * rules_.latency_unit);
  }
  if (!last) return "";
  if (out.cumulative.size() != out.bounds.size() + 1) return "no bucket for +Inf";
  reading.histograms.push_back(std::move(out));
  return "";
}

void Catalogue::forget_gone() {
  numbers_.clear();
  series_.clear();
  histograms_.clear();
  histogram_numbers_.clear();
  values_.clear();
  pages_.clear();
  summaries_.clear();
  doubled_labels_.clear();
}

}  // namespace davy::source
