// The `metrics:` part of a policy: what is judged beyond requests, errors and latency.

#include <fmt/format.h>
#include <algorithm>

#include "base/text.h"
#include "config/margin.h"
#include "config/sections.h"

namespace davy::config {
namespace {

class OwnMetricReader {
 public:
  OwnMetricReader(const Node& node, const std::string& where, Problems& problems)
      : settings_(node, where, problems) {}

  ValuePolicy read() {
    read_value_series(settings_, metric_.series);
    read_margins();
    read_standing(settings_, metric_.standing);
    settings_.finish();
    return std::move(metric_);
  }

 private:
  /// The key says which way is bad: max_increase or max_decrease.
  void read_margins() {
    std::optional<Margin> increase;
    std::optional<Margin> decrease;
    std::optional<Margin> warn_increase;
    std::optional<Margin> warn_decrease;
    read_margin(settings_, "max_increase", parse_value_margin, increase);
    read_margin(settings_, "max_decrease", parse_value_margin, decrease);
    read_margin(settings_, "warn_increase", parse_value_margin, warn_increase);
    read_margin(settings_, "warn_decrease", parse_value_margin, warn_decrease);
    if ((increase || warn_increase) && (decrease || warn_decrease)) {
      settings_.problem("max_decrease",
                        "stands beside an increase (one way is bad; name the metric twice if both "
                        "are)");
      return;
    }
    if (!increase && !decrease) {
      bool is_there =
          settings_.find("max_increase") != nullptr || settings_.find("max_decrease") != nullptr;
      if (!is_there)
        settings_.problem("max_increase", "is missing, or max_decrease (20% is usual)");
      return;
    }
    if (increase) {
      metric_.bad = ValuePolicy::Bad::Up;
      metric_.fail = *increase;
      metric_.warn = warn_increase;
    } else {
      metric_.bad = ValuePolicy::Bad::Down;
      metric_.fail = turned_round(*decrease, "max_decrease");
      if (warn_decrease) metric_.warn = turned_round(*warn_decrease, "warn_decrease");
    }
    bool looser = metric_.warn && (metric_.warn->ratio > metric_.fail.ratio ||
                                   metric_.warn->absolute > metric_.fail.absolute);
    if (looser)
      settings_.problem(increase ? "warn_increase" : "warn_decrease",
                        "tolerates more than the limit that rolls back (at most as much)");
  }

  /// "V2 at least 80 % of V1" is "V1 at most 125 % of V2".
  Margin turned_round(const Margin& decrease, std::string_view key) {
    double part = decrease.ratio - 1;
    if (part >= 1) {
      settings_.problem(key, "tolerates everything (less than 100%)");
      return decrease;
    }
    return {1 / (1 - part), decrease.absolute};
  }

  Settings settings_;
  ValuePolicy metric_;
};

}  // namespace

void read_value_series(Settings& settings, ValueSeries& out) {
  std::optional<std::string> name =
      settings.text_of(settings.require("name", "a word of your own, such as memory"));
  if (name) {
    if (auto wrong = wrong_name(*name)) settings.problem("name", *wrong);
    out.name = std::move(*name);
  }
  const Node* gauge = settings.find("gauge");
  const Node* rate = settings.find("rate");
  if ((gauge == nullptr) == (rate == nullptr)) {
    settings.problem(gauge == nullptr ? "gauge" : "rate",
                     "name either a gauge or the counter of a rate "
                     "(gauge: process_resident_memory_bytes)");
    return;
  }
  out.kind = gauge != nullptr ? ValueSeries::Kind::Gauge : ValueSeries::Kind::Rate;
  if (auto text = settings.text_of(gauge != nullptr ? gauge : rate)) out.series = std::move(*text);
  settings.read("per", out.per, {"instance", "request"});
  if (gauge != nullptr && out.per == ValueSeries::Per::Request)
    settings.problem("per", "a gauge is not counted per request (name a counter under rate)");
}

std::vector<ValueSeries> read_published_metrics(const Node& list, const std::string& where,
                                                Problems& problems) {
  std::vector<ValueSeries> metrics;
  for (const Node& item : list.items) {
    std::string inside = fmt::format("{} number {}", where, metrics.size() + 1);
    Settings settings(item, inside, problems);
    ValueSeries series;
    read_value_series(settings, series);
    settings.finish();
    bool is_twice = std::any_of(metrics.begin(), metrics.end(), [&](const ValueSeries& other) {
      return !series.name.empty() && other.name == series.name;
    });
    if (is_twice)
      problems.add(item.line, fmt::format("{}: the name {} is taken", inside, series.name));
    metrics.push_back(std::move(series));
  }
  return metrics;
}

std::vector<ValuePolicy> read_own_metrics(const Node& list, const std::string& where,
                                          Problems& problems) {
  std::vector<ValuePolicy> metrics;
  for (const Node& item : list.items) {
    std::string inside = fmt::format("{} number {}", where, metrics.size() + 1);
    metrics.push_back(OwnMetricReader(item, inside, problems).read());
    const std::string& name = metrics.back().series.name;
    bool is_twice =
        !name.empty() && std::any_of(metrics.begin(), metrics.end() - 1,
                                     [&](const ValuePolicy& m) { return m.series.name == name; });
    if (is_twice) problems.add(item.line, fmt::format("{}: the name {} is taken", inside, name));
  }
  return metrics;
}

}  // namespace davy::config
