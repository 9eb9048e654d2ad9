#include "sources/rules.h"

#include <fmt/format.h>
#include <utility>

namespace davy::source {
namespace {

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

}  // namespace davy::source
