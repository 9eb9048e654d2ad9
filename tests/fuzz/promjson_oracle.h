// What a Prometheus' answer holds by nlohmann's reading, to hold davy's own against.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sources/prometheus/json.h"

namespace davy::fuzz {

using source::Label;
using source::PromHistogram;
using source::PromSample;
using source::PromSeries;

/// Doubles by their bits, so that NaN is NaN and -0 is not 0.
inline std::uint64_t bits(double d) {
  return std::isnan(d) ? 1 : std::bit_cast<std::uint64_t>(d);
}

/// What an answer holds, in a form that can be compared.
struct Kept final : source::PromSink {
  struct Series {
    std::map<std::string, std::string> labels;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> samples;
    std::vector<std::vector<std::uint64_t>> histograms;
    friend bool operator==(const Series&, const Series&) = default;
  };
  std::vector<Series> all;
  int begun = 0;

  void begin() override {
    all.clear();
    ++begun;
  }
  void take(const PromSeries& series) override {
    Series& kept = all.emplace_back();
    for (const Label& label : series.labels) kept.labels.emplace(label.name, label.value);
    for (const PromSample& sample : series.samples)
      kept.samples.emplace_back(bits(sample.t), bits(sample.value));
    for (const PromHistogram& h : series.histograms) {
      std::vector<std::uint64_t>& flat = kept.histograms.emplace_back();
      flat = {bits(h.t), bits(h.count), bits(h.sum)};
      for (const PromHistogram::Bucket& b : h.buckets) {
        for (double number : {static_cast<double>(b.rule), b.lower, b.upper, b.count})
          flat.push_back(bits(number));
      }
    }
  }
};

inline std::uint64_t bits_of_text(const std::string& text) {
  return bits(std::strtod(text.c_str(), nullptr));
}

/// The same, by nlohmann's reading; nothing when it is no JSON.
inline std::optional<Kept> by_nlohmann(const std::string& body) {
  using nlohmann::json;
  json root = json::parse(body, nullptr, false);
  if (root.is_discarded()) return std::nullopt;
  Kept kept;
  if (!root.contains("data") || !root["data"].is_object()) return kept;
  const json& result = root["data"].value("result", json());
  if (!result.is_array() || result.empty() || !result[0].is_object()) return kept;
  for (const json& series : result) {
    Kept::Series& one = kept.all.emplace_back();
    for (const auto& [name, value] : series["metric"].items())
      one.labels.emplace(name, value.get<std::string>());
    auto sample = [&](const json& s) {
      one.samples.emplace_back(bits(s[0].get<double>()), bits_of_text(s[1].get<std::string>()));
    };
    auto histogram = [&](const json& s) {
      std::vector<std::uint64_t>& flat = one.histograms.emplace_back();
      flat = {bits(s[0].get<double>()), bits_of_text(s[1]["count"].get<std::string>()),
              bits_of_text(s[1].value("sum", "0"))};
      for (const json& b : s[1].value("buckets", json::array())) {
        flat.push_back(bits(b[0].get<double>()));
        for (std::size_t i = 1; i < 4; ++i) flat.push_back(bits_of_text(b[i].get<std::string>()));
      }
    };
    if (series.contains("value")) sample(series["value"]);
    if (series.contains("values"))
      std::for_each(series["values"].begin(), series["values"].end(), sample);
    if (series.contains("histogram")) histogram(series["histogram"]);
    if (series.contains("histograms"))
      std::for_each(series["histograms"].begin(), series["histograms"].end(), histogram);
  }
  return kept;
}

}  // namespace davy::fuzz
