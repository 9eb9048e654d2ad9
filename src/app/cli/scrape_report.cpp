#include "app/cli/scrape_report.h"

#include <fmt/format.h>
#include <algorithm>

#include "base/text.h"
#include "base/units.h"
#include "sources/suggest/guess.h"
#include "sources/tally.h"

namespace davy::app {
namespace {

using source::TargetView;

constexpr double kQuantiles[] = {0.5, 0.95, 0.99};
constexpr double kWide = 2.6;  // from one bound to the next; Prometheus' usual ones are 2 to 2.5
constexpr std::string_view kBucket = "_bucket";

std::string counted_series(std::size_t n) {
  return text::counted(static_cast<double>(n), "series", "series");
}

ScrapeReport::Counts counts_of(const source::Tally& tally) {
  ScrapeReport::Counts counts{tally.requests, tally.errors, {}};
  std::optional<Histogram> histogram = source::at_common_bounds(tally.latency);
  if (!histogram) return counts;
  ScrapeReport::Latency latency{std::move(*histogram), {}};
  for (double q : kQuantiles)
    latency.quantiles.push_back({q, source::enclose(latency.histogram, q)});
  counts.latency = std::move(latency);
  return counts;
}

/// The deployment's own metrics as this target shows them.
std::vector<std::pair<std::string, std::string>> values_of(const TargetView& view,
                                                           source::Side side) {
  std::vector<std::pair<std::string, std::string>> shown;
  const std::vector<source::Reading::Shown>& values = view.reading().values[source::index(side)];
  const std::vector<source::Tally::Sum>& grown = view.grown(side).values;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const source::Rules::Value& rule = view.rules().values[i];
    std::string text = fmt::format("not there ({})", rule.series.name);
    if (values[i].is_there && !rule.is_counter) text = fmt::format("{:.6g}", values[i].gauge);
    if (values[i].is_there && rule.is_counter) {
      text = i < grown.size() && view.span() > 0
                 ? fmt::format("{:.4g}/s", grown[i].of / view.span())
                 : "a counter, there";
    }
    shown.emplace_back(rule.name, text);
  }
  return shown;
}

/// Series of a wanted name that nothing was made of, because of its matchers.
void tell_unmatched(const TargetView& view, const source::Survey& survey, ScrapeReport& report) {
  auto tell = [&](const std::string& name, std::size_t there, std::size_t used) {
    if (there > used) {
      report.ignored.push_back(fmt::format("{} of {} {} not match what the rules say of labels",
                                           counted_series(there - used), name,
                                           there - used == 1 ? "does" : "do"));
    }
  };
  bool has_shares = view.shares().size() > 1;
  for (const auto* selectors : {&view.rules().counter, &view.rules().errors}) {
    for (const source::Selector& selector : *selectors) {
      auto used = report.used.find(selector.name);
      bool is_picky = has_shares || !selector.matchers.label_names().empty();
      if (!is_picky) continue;
      std::size_t n = 0;
      for (const source::Reading::Counter& counter : view.reading().counters)
        n += source::name_of(counter.series) == selector.name;
      if (used != report.used.end() || n == 0)
        tell(selector.name, survey.series_named(selector.name), n);
    }
  }
  for (const source::Selector& selector : view.rules().histogram) {
    std::string base = selector.name.substr(0, selector.name.size() - kBucket.size());
    auto family = survey.families().find(base);
    auto used = report.used.find(base);
    bool is_picky = has_shares || !selector.matchers.label_names().empty();
    if (!is_picky || family == survey.families().end()) continue;
    tell(base, family->second.series, used == report.used.end() ? 0 : used->second.histograms);
  }
}

void tell_others(const source::Survey& survey, ScrapeReport& report) {
  std::size_t families = 0;
  for (const auto& [name, family] : survey.families()) families += !report.used.contains(name);
  if (families == 0) return;
  report.ignored.push_back(
      fmt::format("{} that no rule names",
                  text::counted(static_cast<double>(families), "other family", "other families")));
}

/// What stands in the way of judging, and what to do about it.
void advise(const TargetView& view, const source::Survey& survey, ScrapeReport& report) {
  std::vector<std::string> missing;
  for (const ScrapeReport::Version& version : report.versions) {
    std::string of = version.name.empty() ? "" : version.name + ": ";
    if (!version.has_requests) {
      std::vector<std::string> likely = source::likely_counters(survey, 4);
      report.next.push_back(
          fmt::format("{}no series counts requests, unless none came yet{}", of,
                      likely.empty() ? ""
                                     : fmt::format(". These could: {} (--counter, --error-when)",
                                                   text::join(likely, ", "))));
    } else if (!version.shows_errors) {
      std::set<std::string> labels;
      for (const auto& [name, used] : report.used) {
        if (used.requests == 0) continue;
        for (const auto& [label, values] : used.labels) labels.insert(label);
      }
      report.next.push_back(fmt::format(
          "{}no error would show: the counter has no label {}. It has {} (--error-when, or "
          "--errors for a counter of its own)",
          of, text::join(view.rules().error_labels, " or "),
          labels.empty() ? "none at all" : text::join({labels.begin(), labels.end()}, ", ")));
    }
  }
  if (!report.next.empty()) return;
  const ScrapeReport::Version& first = report.versions.front();
  bool is_quiet =
      view.pages() > 1 && std::all_of(report.versions.begin(), report.versions.end(),
                                      [](const auto& v) { return v.grown.requests == 0; });
  if (is_quiet) {
    report.next.emplace_back(
        "no request came meanwhile: send some, or watch longer (--every 10s, --rounds 10)");
  }
  if (view.rules().histogram.empty()) {
    report.next.emplace_back(
        "latency is not judged: the rules name no histogram (--histogram, if it has one)");
  } else if (!first.whole.latency) {
    report.next.emplace_back("latency is not judged: no histogram of that name can be used");
  }
  for (const auto& [name, used] : report.used) {
    auto family = survey.families().find(name);
    if (used.histograms == 0 || family == survey.families().end()) continue;
    std::vector<double> bounds(family->second.bounds.begin(), family->second.bounds.end());
    for (double& bound : bounds) bound *= view.rules().latency_unit;
    if (std::string doubt = source::doubt_about_bounds(bounds); !doubt.empty())
      report.next.push_back(fmt::format("{}: {} (--unit)", name, doubt));
  }
}

/// Slower within a bucket looks the same.
void advise_on_buckets(ScrapeReport& report) {
  const ScrapeReport::Version& first = report.versions.front();
  const std::optional<ScrapeReport::Latency>& latency =
      first.grown.latency && first.grown.requests > 0 ? first.grown.latency : first.whole.latency;
  if (!latency) return;
  const ScrapeReport::Latency::Quantile* last = nullptr;
  for (const auto& quantile : latency->quantiles) {
    if (quantile.enclosed) last = &quantile;
  }
  if (last == nullptr) return;
  const source::Enclosed& in = *last->enclosed;
  if (!in.at_most) {
    report.next.push_back(fmt::format(
        "p{:g} lies above the last bound, {}: how much slower it gets beyond that does not show",
        last->q * 100, units::show_latency(in.above)));
  } else if (in.above > 0 && *in.at_most / in.above > kWide) {
    report.next.push_back(fmt::format(
        "p{:g} lies in a wide bucket, {} to {}: what is slower within it looks the same; finer "
        "buckets there, or native histograms, would show it",
        last->q * 100, units::show_latency(in.above), units::show_latency(*in.at_most)));
  }
}

}  // namespace

bool ScrapeReport::is_good() const {
  return !versions.empty() && std::all_of(versions.begin(), versions.end(), [](const Version& v) {
    return v.has_requests && v.shows_errors;
  });
}

std::string joined_by_or(const std::vector<std::string>& parts) {
  return text::join(parts, "  or  ");
}

ScrapeReport report_of(const TargetView& view, const RequestSeries& requests,
                       const source::Survey& survey) {
  ScrapeReport report;
  report.requests = requests;
  report.span = view.span();
  report.restarts = view.restarts();
  report.used = view.used();
  for (const auto& [name, family] : survey.families()) {
    auto used = report.used.find(name);
    bool is_native = family.is_native && used != report.used.end() && used->second.histograms > 0;
    if (is_native) report.natives.insert(name);
  }
  for (const source::Share& share : view.shares()) {
    const source::Reading::Seen& seen = view.reading().seen[source::index(share.side)];
    bool is_one = view.shares().size() == 1;
    report.versions.push_back({.name = is_one                                 ? ""
                                       : share.side == source::Side::Baseline ? "V1"
                                                                              : "V2",
                               .has_requests = seen.requests,
                               .shows_errors = seen.errors,
                               .grown = counts_of(view.grown(share.side)),
                               .whole = counts_of(view.whole(share.side)),
                               .values = values_of(view, share.side)});
  }
  report.ignored = view.remarks();
  tell_unmatched(view, survey, report);
  tell_others(survey, report);
  advise(view, survey, report);
  if (report.is_good()) advise_on_buckets(report);
  return report;
}

ScrapeReport report_of_nothing(const source::Survey& survey) {
  ScrapeReport report;
  report.ignored.push_back(fmt::format(
      "{} with {}: none looks like a count of requests whose errors would show",
      text::counted(static_cast<double>(survey.families().size()), "family", "families"),
      counted_series(survey.series())));
  std::vector<std::string> likely = source::likely_counters(survey, 4);
  report.next.push_back(
      likely.empty()
          ? "is this the right target? Else have the application count its requests, by status "
            "code (every framework has a library for that)"
          : fmt::format("these could count requests, but nothing tells errors: {} (--counter, and "
                        "--error-when or --errors)",
                        text::join(likely, ", ")));
  return report;
}

}  // namespace davy::app
