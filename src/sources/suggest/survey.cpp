#include "sources/suggest/survey.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "stats/counter.h"

namespace davy::source {
namespace {

constexpr std::string_view kTypes[] = {"unknown", "counter", "gauge", "histogram", "summary"};

bool has_label(Labels labels, std::string_view name) {
  return std::any_of(labels.begin(), labels.end(),
                     [&](const Label& label) { return label.name == name; });
}

std::string_view without(std::string_view name, std::string_view suffix) {
  return name.ends_with(suffix) ? name.substr(0, name.size() - suffix.size()) : std::string_view();
}

}  // namespace

std::string_view word(Survey::Type type) {
  return kTypes[static_cast<int>(type)];
}

Result<Survey> Survey::of(std::string_view body, std::string_view content_type) {
  Survey survey;
  if (content_type.starts_with("application/vnd.google.protobuf")) {
    ProtobufPage page(survey);
    page.begin();
    page.feed(body);
    if (Result<Parsed> parsed = page.finish(); !parsed) return parsed.error();
    return survey;
  }
  bool is_openmetrics = content_type.starts_with("application/openmetrics-text");
  Result<Parsed> parsed = parse_exposition(
      body, survey, is_openmetrics ? TextFormat::OpenMetrics : TextFormat::Prometheus);
  if (!parsed) return parsed.error();
  return survey;
}

std::size_t Survey::series_named(std::string_view name) const {
  auto at = names_.find(name);
  return at == names_.end() ? 0 : at->second;
}

void Survey::see_type(std::string_view name, std::string_view type) {
  auto at = std::find(std::begin(kTypes), std::end(kTypes), type);
  if (at == std::end(kTypes) || types_.size() >= kFamilies) return;
  types_.insert_or_assign(std::string(name), static_cast<Type>(at - std::begin(kTypes)));
}

/// Which family a sample belongs to, and as what: by the declared types, else by its own name.
Survey::Meaning Survey::meaning(std::string_view name, Labels labels) const {
  constexpr std::pair<std::string_view, Part> kParts[] = {
      {"_bucket", Part::Bucket}, {"_count", Part::Count}, {"_sum", Part::Sum}};
  if (auto type = types_.find(name); type != types_.end()) {
    return {std::string(name), type->second, Part::Value};
  }
  for (auto [suffix, part] : kParts) {
    std::string_view base = without(name, suffix);
    auto type = types_.find(base);
    bool is_declared = !base.empty() && type != types_.end() &&
                       (type->second == Type::Histogram || type->second == Type::Summary);
    if (is_declared) return {std::string(base), type->second, part};
    bool is_bucket = part == Part::Bucket && !base.empty() && has_label(labels, "le");
    bool is_beside = part != Part::Bucket && families_.contains(base) &&
                     families_.find(base)->second.type == Type::Histogram;
    if (is_bucket || is_beside) return {std::string(base), Type::Histogram, part};
  }
  // OpenMetrics declares a counter without its _total, and has a time beside each.
  std::string_view base = without(name, "_created");
  if (!base.empty() && (types_.contains(base) || types_.contains(std::string(base) + "_total")))
    return {std::string(base), Type::Unknown, Part::Created};
  base = without(name, "_total");
  bool is_counter = !base.empty() || !without(name, "_count").empty();
  auto declared = types_.find(base);
  if (!base.empty() && declared != types_.end())
    return {std::string(name), declared->second, Part::Value};
  return {std::string(name), is_counter ? Type::Counter : Type::Unknown, Part::Value};
}

std::uint32_t Survey::intern(std::string_view name, Labels labels) {
  ++series_;
  counted_ = nullptr;
  Meaning is = meaning(name, labels);
  if (families_.size() >= kFamilies && !families_.contains(is.family)) return kUnwanted;
  ++names_[std::string(name)];
  if (is.part == Part::Sum || is.part == Part::Created) return kUnwanted;
  Family& family = families_[is.family];
  family.type = is.type;
  bool is_one_of_many =
      (is.type == Type::Histogram || is.type == Type::Summary) && is.part != Part::Count;
  if (!is_one_of_many) ++family.series;
  for (const Label& label : labels) {
    if (label.name == "le" && is.type == Type::Histogram) {
      double bound = 0;
      std::from_chars(label.value.data(), label.value.data() + label.value.size(), bound);
      if (bound > 0 && std::isfinite(bound) && family.bounds.size() < kBounds)
        family.bounds.insert(bound);
    } else if (label.name != "quantile" || is.type != Type::Summary) {
      std::set<std::string>& values = family.labels[std::string(label.name)];
      if (values.size() < kValues) values.emplace(label.value);
    }
  }
  if (is_one_of_many) return kUnwanted;
  counted_ = &family;
  return 0;
}

/// Comes right after its intern: nothing is expected of a page that is read once.
void Survey::see(std::uint32_t /*series*/, double value) {
  if (counted_ != nullptr && stats::is_count(value)) counted_->total += value;
}

void Survey::see_native(std::string_view name, Labels /*labels*/,
                        const stats::NativeHistogram& /*histogram*/) {
  auto family = families_.find(name);
  if (family != families_.end()) family->second.is_native = true;
}

}  // namespace davy::source
