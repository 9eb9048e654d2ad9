#include "sources/suggest/fit.h"

#include <fmt/format.h>
#include <algorithm>
#include <map>
#include <numeric>

#include "base/text.h"
#include "sources/suggest/guess.h"

namespace davy::source {
namespace {

Side side_of(const TargetView& view) {
  return view.shares().front().side;
}

std::string names_of(const std::vector<Selector>& selectors, std::string_view without = "") {
  std::vector<std::string> names;
  for (const Selector& selector : selectors)
    names.push_back(selector.name.substr(0, selector.name.size() - without.size()));
  return text::join(names, " or ");
}

/// Why no series counts requests: none of that name, or none that its matchers let through.
std::string why_no_requests(const TargetView& view, const Survey& survey) {
  std::size_t series = 0;
  for (const Selector& selector : view.rules().counter)
    series += survey.series_named(selector.name);
  std::string names = names_of(view.rules().counter);
  return series == 0
             ? names + " is not there"
             : fmt::format("{} of {}, but none that matches",
                           text::counted(static_cast<double>(series), "series", "series"), names);
}

/// What is wrong with the latencies, or "".
std::string why_no_latency(const TargetView& view, const Survey& survey) {
  if (view.reading().histograms.empty()) {
    for (const Selector& selector : view.rules().histogram) {
      std::string base = selector.name.substr(0, selector.name.size() - 7);  // _bucket
      auto family = survey.families().find(base);
      if (family != survey.families().end() && family->second.type == Survey::Type::Summary)
        return base + " is a summary, whose quantiles cannot be added up";
    }
    return "no histogram " + names_of(view.rules().histogram, "_bucket");
  }
  for (const auto& [name, used] : view.used()) {
    auto family = survey.families().find(name);
    if (used.histograms == 0 || family == survey.families().end()) continue;
    std::vector<double> bounds(family->second.bounds.begin(), family->second.bounds.end());
    for (double& bound : bounds) bound *= view.rules().latency_unit;
    if (std::string doubt = doubt_about_bounds(bounds); !doubt.empty()) return name + ": " + doubt;
  }
  return "";
}

double timed(const Tally& tally) {
  double n = 0;
  for (const auto& [bounds, counts] : tally.latency)
    n += std::accumulate(counts.begin(), counts.end(), 0.0);
  return n;
}

}  // namespace

Fitting::Fitting(std::vector<Candidate> candidates, bool wants_versions, std::size_t max_series)
    : wants_versions_(wants_versions), max_series_(max_series) {
  // Native histograms come in protobuf only, and the first page is to show them.
  static const Rules kAny = *Rules::compile({.counter = {}, .histogram = {"any"}});
  accept_ = PageReader(kAny, {}, 1).accept();
  for (Candidate& candidate : candidates) tried_.push_back({.candidate = std::move(candidate)});
}

void Fitting::add(Candidate candidate, const Page& page, const Survey& survey) {
  tried_.push_back({.candidate = std::move(candidate)});
  (void)see(tried_.back(), page, survey);
}

Result<Done> Fitting::see(const Page& page, const Survey& survey) {
  std::string wrong;
  bool is_seen = false;
  bool wants_protobuf = false;
  for (Tried& tried : tried_) {
    Result<Done> seen = see(tried, page, survey);
    is_seen |= static_cast<bool>(seen);
    if (!seen && wrong.empty()) wrong = seen.error().what;
    if (tried.view == nullptr) continue;
    bool is_protobuf = tried.view->accept().starts_with("application/vnd.google.protobuf");
    if (is_protobuf || !wants_protobuf) accept_ = tried.view->accept();
    wants_protobuf |= is_protobuf;
  }
  // One that would match too much says nothing about the page.
  if (is_seen) return Done{};
  return Error{wrong.empty() ? "there are no rules to read it by" : wrong};
}

Result<Done> Fitting::see(Tried& tried, const Page& page, const Survey& survey) {
  if (tried.view == nullptr) {
    Result<Rules> rules = Rules::compile(tried.candidate.requests);
    if (!rules) {
      tried.fit = {.candidate = tried.candidate, .notes = {rules.error().what}};
      return rules.error();
    }
    tried.view = std::make_unique<TargetView>(std::move(*rules),
                                              std::vector<Share>{{Side::Canary, {}}}, max_series_);
  }
  Result<Done> seen = tried.view->see(page);
  if (!seen && tried.view->pages() > 0) return seen;  // what was learnt of earlier pages stays
  tried.fit =
      seen ? judge(tried, survey) : Fit{.candidate = tried.candidate, .notes = {seen.error().what}};
  tried.rank = rank_of(tried.fit, survey);
  if (tried.fit.grade == Fit::Grade::Nothing) {
    tried.view.reset();
    tried.fit.view = nullptr;
  }
  return seen;
}

Fit Fitting::judge(const Tried& tried, const Survey& survey) const {
  Fit fit{.candidate = tried.candidate, .view = tried.view.get()};
  const TargetView& view = *tried.view;
  const Reading::Seen& seen = view.reading().seen[index(side_of(view))];
  if (!seen.requests) {
    fit.notes.push_back(why_no_requests(view, survey));
    return fit;
  }
  if (!seen.errors) {
    fit.grade = Fit::Grade::Blind;
    fit.notes.push_back(fmt::format("{} without a label {}: no error would show",
                                    names_of(view.rules().counter),
                                    text::join(view.rules().error_labels, " or ")));
    return fit;
  }
  bool knows_latency = !view.rules().histogram.empty();
  std::string no_latency = knows_latency ? why_no_latency(view, survey) : "";
  fit.grade = no_latency.empty() ? Fit::Grade::Full : Fit::Grade::NoLatency;
  fit.notes.push_back(!knows_latency       ? "requests and errors; it knows no latency"
                      : no_latency.empty() ? "requests, errors and latency"
                                           : "requests and errors; " + no_latency);
  const Tally& grown = view.grown(side_of(view));
  if (view.pages() > 1) {
    fit.notes.push_back(grown.requests > 0 ? text::counted(grown.requests, "request", "requests") +
                                                 " came meanwhile"
                                           : "no request came meanwhile");
  }
  Tally whole = view.whole(side_of(view));
  double share = whole.requests > 0 ? timed(whole) / whole.requests : 1;
  if (knows_latency && no_latency.empty() && (share < 0.5 || share > 2)) {
    fit.notes.push_back(
        fmt::format("its histograms hold {:.2g} times as many as its counters", share));
  }
  return fit;
}

int Fitting::rank_of(const Fit& fit, const Survey& survey) const {
  using enum Fit::Grade;
  if (fit.grade == Nothing) return 0;
  if (fit.grade == Blind) return 1;
  const Candidate& candidate = fit.candidate;
  bool has_sign =
      std::any_of(candidate.signs.begin(), candidate.signs.end(), [&](const std::string& sign) {
        return survey.families().contains(sign) || survey.series_named(sign) > 0;
      });
  int versions = 1;
  if (!candidate.versions_by.empty()) {
    bool tells = versions_of(*fit.view, candidate.versions_by).size() > 1;
    versions = wants_versions_ && tells ? 2 : 0;
  }
  int signs = candidate.signs.empty() ? 1 : has_sign ? 2 : 0;
  bool has_latency = fit.grade == Full && !candidate.requests.histogram.empty();
  bool moves = fit.view->grown(side_of(*fit.view)).requests > 0;
  int rank = 2 - static_cast<int>(candidate.resort);  // the most important first
  rank = rank * 3 + versions;
  rank = rank * 3 + signs;
  rank = rank * 3 + (has_latency ? 2 : fit.grade == Full ? 1 : 0);
  rank = rank * 2 + (moves ? 1 : 0);
  return 2 + rank;
}

std::vector<Fit> Fitting::ranked() const {
  std::vector<const Tried*> order;
  for (const Tried& tried : tried_) order.push_back(&tried);
  std::stable_sort(order.begin(), order.end(),
                   [](const Tried* a, const Tried* b) { return a->rank > b->rank; });
  std::vector<Fit> fits;
  for (const Tried* tried : order) fits.push_back(tried->fit);
  return fits;
}

std::vector<std::pair<std::string, double>> versions_of(const TargetView& view,
                                                        std::string_view label) {
  std::map<std::string, double> requests;
  for (const Reading::Counter& counter : view.reading().counters) {
    if (!counter.is_request) continue;
    for (auto [name, value] : labels_of(counter.series)) {
      if (name == label) requests[std::string(value)] += counter.value;
    }
  }
  std::vector<std::pair<std::string, double>> all(requests.begin(), requests.end());
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  return all;
}

}  // namespace davy::source
