#include "sources/statsd/rules.h"

#include <fmt/format.h>
#include <algorithm>

#include "base/text.h"

namespace davy::source {
namespace {

constexpr std::string_view kBucketSuffix = "_bucket";
constexpr double kMillisecond = 1e-3;

bool is_timed(StatsdType type) {
  return type == StatsdType::Timer || type == StatsdType::Histogram ||
         type == StatsdType::Distribution;
}
bool is_counted(StatsdType type) {
  return type == StatsdType::Counter || is_timed(type);
}

Result<Done> read_service_checks(const std::vector<std::string>& texts, StatsdRules& rules) {
  for (const std::string& text : texts) {
    std::size_t equals = text.rfind('=');
    std::string name = text.substr(0, equals);
    std::string check = equals == std::string::npos ? name : text.substr(equals + 1);
    if (name.empty() || check.empty()) {
      return Error{text::quoted(text) +
                       " does not name a service check and the heartbeat check that it feeds "
                       "(try app.queue=worker)",
                   "service_checks"};
    }
    if (!rules.service_checks.emplace(std::move(name), std::move(check)).second) {
      return Error{text::quoted(text) + " names a service check that stands there twice",
                   "service_checks"};
    }
  }
  return Done{};
}

std::string series_of(std::string_view name, const std::vector<Label>& labels) {
  std::string series(name);
  for (const Label& label : labels) {
    series += '\x1f';
    series += label.name;
    series += ':';
    series += label.value;
  }
  return series;
}

/// The tags and the name, in an order that does not depend on the sender's.
std::vector<Label> labels_of(const StatsdMetric& metric) {
  std::vector<Label> labels = metric.tags;
  std::sort(labels.begin(), labels.end());
  labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
  return labels;
}

/// `is_meant` by a setting: its type must be one that can serve it.
bool serves(bool is_meant, bool can_serve, std::string_view otherwise, StatsdMeaning& meaning) {
  if (is_meant && !can_serve) meaning.refused = otherwise;
  return is_meant && can_serve;
}

void read_requests(const StatsdMetric& metric, Labels labels, const Rules& rules,
                   StatsdMeaning& meaning) {
  auto matches = [&](const Selector& selector) { return selector.match(metric.name, labels); };
  auto any = [&](const std::vector<Selector>& all) {
    return std::any_of(all.begin(), all.end(), matches);
  };
  bool counts = is_counted(metric.type);
  meaning.is_request = serves(any(rules.counter), counts, "which counts no requests", meaning);
  meaning.is_error = serves(any(rules.errors), counts, "which counts no errors", meaning);
  if (serves(any(rules.histogram), is_timed(metric.type), "which holds no latencies", meaning))
    meaning.latency_unit = metric.type == StatsdType::Timer ? kMillisecond : rules.latency_unit;
  if (!meaning.is_request) return;
  meaning.is_error |= std::any_of(rules.error_when.begin(), rules.error_when.end(),
                                  [&](const Matchers& when) { return when.match(labels); });
  meaning.shows_errors =
      !rules.errors.empty() || std::any_of(labels.begin(), labels.end(), [&](const Label& label) {
        return std::find(rules.error_labels.begin(), rules.error_labels.end(), label.name) !=
               rules.error_labels.end();
      });
}

void read_values(const StatsdMetric& metric, Labels labels, const Rules& rules,
                 StatsdMeaning& meaning) {
  for (std::size_t i = 0; i < rules.values.size(); ++i) {
    const Rules::Value& value = rules.values[i];
    if (!value.series.match(metric.name, labels)) continue;
    if (value.is_counter) {
      if (serves(true, is_counted(metric.type), "which has no rate", meaning))
        meaning.rates.push_back(i);
    } else if (serves(true, metric.type == StatsdType::Gauge, "which is no gauge (|g)", meaning)) {
      meaning.gauges.push_back(i);
    }
  }
}

}  // namespace

Result<StatsdRules> StatsdRules::compile(const RequestSeries& series,
                                         const std::vector<ValueSeries>& values,
                                         const Settings& settings) {
  Result<Rules> compiled = Rules::compile(series, values);
  if (!compiled) return compiled.error();
  StatsdRules rules;
  rules.series = std::move(*compiled);
  for (Selector& histogram : rules.series.histogram)  // StatsD has no series per bucket
    histogram.name.resize(histogram.name.size() - kBucketSuffix.size());
  for (const auto* selectors :
       {&rules.series.counter, &rules.series.errors, &rules.series.histogram}) {
    for (const Selector& selector : *selectors) rules.names.insert(selector.name);
  }
  for (const Rules::Value& value : rules.series.values) rules.names.insert(value.series.name);
  for (Side side : kSides) {
    if (settings.one_version) break;
    const std::string& text = settings.when[index(side)];
    Result<Matchers> matchers = Matchers::parse(text);
    if (!matchers) return Error{matchers.error().what, fmt::format("{}_when", word(side))};
    for (std::string& tag : matchers->label_names()) rules.version_tags.push_back(std::move(tag));
    rules.when[index(side)] = std::move(*matchers);
  }
  std::sort(rules.version_tags.begin(), rules.version_tags.end());
  rules.version_tags.erase(std::unique(rules.version_tags.begin(), rules.version_tags.end()),
                           rules.version_tags.end());
  if (auto done = read_service_checks(settings.service_checks, rules); !done) return done.error();
  rules.when_text = settings.when;
  rules.instance_tag = settings.instance_tag;
  rules.max_series = settings.max_series;
  rules.one_version = settings.one_version;
  rules.text = fmt::format("statsd 1 {}\n{}\n{}\n{}\n{}", settings.one_version, settings.when[0],
                           settings.when[1], settings.instance_tag, rules.series.text);
  return rules;
}

StatsdMeaning meaning_of(const StatsdMetric& metric, const StatsdRules& rules) {
  StatsdMeaning meaning;
  std::vector<Label> labels = labels_of(metric);
  meaning.series = series_of(metric.name, labels);
  labels.push_back({kNameTag, metric.name});
  if (rules.one_version) meaning.side = Side::Canary;
  for (Side side : kSides) {
    if (!meaning.side && rules.when[index(side)].match(labels)) meaning.side = side;
  }
  for (const Label& label : labels) {
    if (!rules.instance_tag.empty() && label.name == rules.instance_tag)
      meaning.instance = label.value;
  }
  read_requests(metric, labels, rules.series, meaning);
  read_values(metric, labels, rules.series, meaning);
  return meaning;
}

}  // namespace davy::source
