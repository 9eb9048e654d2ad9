// How a scrape report looks: for people, and as JSON.

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "app/cli/scrape_report.h"
#include "base/text.h"
#include "base/units.h"

namespace davy::app {
namespace {

using json = nlohmann::ordered_json;

constexpr std::size_t kNarrowest = 60, kWidest = 120;
constexpr std::size_t kBars = 16;   // rows of the picture at most
constexpr std::size_t kValues = 5;  // of a label that are named
constexpr std::size_t kLabels = 8;  // of a series

double sum(const std::vector<double>& counts) {
  return std::accumulate(counts.begin(), counts.end(), 0.0);
}

std::string per_second(double n, double span) {
  double rate = n / span;
  return rate >= 100 ? text::grouped(rate) + "/s" : fmt::format("{:.3g}/s", rate);
}

std::string show(double span) {
  return units::show(std::chrono::duration_cast<Duration>(std::chrono::duration<double>(span)));
}

/// Neighbouring bounds must not look the same: three digits, also of microseconds.
std::string show_bound(double s) {
  if (s < 1e-3) return fmt::format("{:.3g} us", s * 1e6);
  return s < 1000 ? units::show_latency(s) : text::grouped(s) + " s";
}

/// "between 50 ms and 100 ms"
std::string in_words(const source::Enclosed& in) {
  if (!in.at_most) return "above " + show_bound(in.above);
  if (in.above == 0) return "at most " + show_bound(*in.at_most);
  return fmt::format("between {} and {}", show_bound(in.above), show_bound(*in.at_most));
}

/// Neighbouring buckets together: rows from `from` to `to` with their counts, none but inner ones
/// empty, kBars at most.
struct Row {
  double from = 0;
  std::optional<double> to;
  double count = 0;
};
std::vector<Row> rows_of(const Histogram& histogram) {
  std::vector<Row> rows;
  auto is_there = [](double n) { return n > 0; };
  auto begin = std::find_if(histogram.counts.begin(), histogram.counts.end(), is_there);
  if (begin == histogram.counts.end()) return rows;
  auto end = std::find_if(histogram.counts.rbegin(), histogram.counts.rend(), is_there).base();
  auto first = static_cast<std::size_t>(begin - histogram.counts.begin());
  auto last = static_cast<std::size_t>(end - histogram.counts.begin());
  std::size_t together = (last - first + kBars - 1) / kBars;
  for (std::size_t i = first; i < last; i += together) {
    std::size_t stop = std::min(i + together, last);
    Row row{.from = i == 0 ? 0 : histogram.bounds[i - 1], .to = {}, .count = 0};
    if (stop <= histogram.bounds.size()) row.to = histogram.bounds[stop - 1];
    for (std::size_t j = i; j < stop; ++j) row.count += histogram.counts[j];
    rows.push_back(row);
  }
  return rows;
}

class Drawing {
 public:
  Drawing(const ScrapeReport& report, const Look& look)
      : report_(report), look_(look), columns_(std::clamp(look.columns, kNarrowest, kWidest)) {}

  std::string draw() {
    line(bold(report_.url));
    rounds();
    rules();
    for (const ScrapeReport::Version& version : report_.versions) traffic(version);
    used();
    paragraphs("Left out", report_.ignored);
    paragraphs("Next", report_.next);
    return std::move(out_);
  }

 private:
  std::string paint(const char* code, const std::string& text) const {
    return look_.colour ? fmt::format("\033[{}m{}\033[0m", code, text) : text;
  }
  std::string bold(const std::string& text) const { return paint("1", text); }
  void line(const std::string& text) { out_ += text + "\n"; }
  void wrap(const std::string& label, const std::string& words) {
    out_ += wrapped(label, words, columns_);
  }

  /// The first two differ, the others are much alike.
  void rounds() {
    constexpr std::size_t kShown = 3;
    std::size_t alike = 0;
    std::size_t last = report_.rounds.size() - 1;
    for (std::size_t i = 0; i <= last; ++i) {
      bool is_shown = i < kShown - 1 || i == last || !report_.rounds[i].trouble.empty();
      if (is_shown && alike > 0) {
        line(fmt::format("  ...     {} more like these",
                         text::counted(static_cast<double>(alike), "page", "pages")));
        alike = 0;
      }
      if (is_shown)
        round(i);
      else
        ++alike;
    }
  }

  void round(std::size_t i) {
    const ScrapeReport::Round& round = report_.rounds[i];
    std::string label = fmt::format("  page {}  ", i + 1);
    if (!round.trouble.empty()) {
      wrap(label, round.trouble);
      return;
    }
    std::string packed =
        round.packed
            ? fmt::format(" ({} packed)", units::show_bytes(static_cast<double>(*round.packed)))
        : round.is_packed ? " (packed)"
                          : "";
    std::string what =
        fmt::format("{} of {}{} in {}", units::show_bytes(static_cast<double>(round.bytes)),
                    round.format, packed, units::show(round.asked));
    if (round.read) {
      what += fmt::format(
          ", {}, {} wanted, read in {}",
          text::counted(static_cast<double>(round.read->samples), "sample", "samples"),
          text::grouped(static_cast<double>(round.read->wanted)), units::show(round.read->took));
      if (i > 0 && round.lines > 0 && round.format != "protobuf") {
        what += fmt::format(
            ", {:.0f}% of lines as before",
            100.0 * static_cast<double>(round.read->predicted) / static_cast<double>(round.lines));
      }
    }
    wrap(label, what);
  }

  void rules() {
    if (report_.rules.empty()) return;
    line("");
    line(bold("Rules"));
    wrap("  ", report_.rules);
    for (const std::string& reason : report_.reasons) wrap("  - ", reason);
    const RequestSeries& r = report_.requests;
    auto part = [&](const char* name, const std::vector<std::string>& list) {
      if (!list.empty()) wrap(fmt::format("  {:<11} ", name), joined_by_or(list));
    };
    part("counter", r.counter);
    part("error_when", r.error_when);
    part("errors", r.errors);
    part("histogram", r.histogram);
    if (!r.histogram.empty())
      line(fmt::format("  {:<11} {}", "unit", r.latency_unit == 1 ? "seconds" : "milliseconds"));
  }

  void traffic(const ScrapeReport::Version& version) {
    if (!version.has_requests) return;
    bool has_grown = report_.span > 0 && version.grown.requests > 0;
    const ScrapeReport::Counts& counts = has_grown ? version.grown : version.whole;
    line("");
    std::string title = version.name.empty() ? "Traffic" : "Traffic of " + version.name;
    line(bold(title) + (has_grown          ? ", in " + show(report_.span)
                        : report_.span > 0 ? ", since it started: no request came meanwhile"
                                           : ", since it started"));
    if (report_.restarts > 0)
      line("  its counters began anew meanwhile: a restart, or another process");
    std::string requests = text::grouped(counts.requests);
    std::string errors = text::grouped(counts.errors);
    std::size_t width = std::max(requests.size(), errors.size());
    auto row = [&](const char* name, double n, const std::string& shown, const std::string& more) {
      std::string rate =
          has_grown ? fmt::format("  {:>9}", per_second(n, report_.span)) : std::string();
      line(fmt::format("  {:<9} {:>{}}{}{}", name, shown, width, rate, more));
    };
    row("requests", counts.requests, requests, "");
    std::string share =
        counts.requests > 0 ? "  " + units::show_percent(counts.errors / counts.requests) : "";
    row("errors", counts.errors, errors, version.shows_errors ? share : "  none would show");
    for (const auto& [name, value] : version.values) line(fmt::format("  {:<9} {}", name, value));
    if (counts.latency) latency(*counts.latency);
  }

  void latency(const ScrapeReport::Latency& latency) {
    double all = sum(latency.histogram.counts);
    if (all == 0) return;
    line(fmt::format("  latency of {}", text::grouped(all)));
    for (const auto& [q, enclosed] : latency.quantiles) {
      std::string said =
          enclosed ? in_words(*enclosed)
                   : fmt::format("needs {} requests", text::grouped(std::ceil(1 / (1 - q) - 1e-9)));
      line(fmt::format("    p{:<4g} {}", q * 100, said));
    }
    bars(latency.histogram);
  }

  void bars(const Histogram& histogram) {
    std::vector<Row> rows = rows_of(histogram);
    double most = 0;
    for (const Row& row : rows) most = std::max(most, row.count);
    constexpr std::size_t kLabel = 24;
    std::size_t room = columns_ - kLabel - 14;
    for (const Row& row : rows) {
      std::string range = row.to
                              ? fmt::format("{} - {}", row.from == 0 ? "0" : show_bound(row.from),
                                            show_bound(*row.to))
                              : show_bound(row.from) + " - ";
      std::string count = text::grouped(row.count);
      if (!look_.is_terminal) {
        line(fmt::format("    {:>{}}  {:>10}", range, kLabel - 4, count));
        continue;
      }
      // Something is never drawn as nothing.
      auto cells =
          static_cast<std::size_t>(std::ceil(row.count / most * static_cast<double>(room) - 1e-9));
      line(fmt::format("    {:>{}}  {} {}", range, kLabel - 4, paint("34", std::string(cells, '#')),
                       count));
    }
  }

  void used() {
    if (report_.used.empty()) return;
    line("");
    line(bold("Used"));
    for (const auto& [name, used] : report_.used) {
      std::vector<std::string> parts;
      auto add = [&](std::size_t n, const char* one, const char* many) {
        if (n > 0) parts.push_back(text::counted(static_cast<double>(n), one, many));
      };
      add(used.requests, "series of requests", "series of requests");
      add(used.errors, "series of errors", "series of errors");
      add(used.histograms, "histogram", "histograms");
      add(used.values, "series of own metrics", "series of own metrics");
      std::string what = text::join(parts, ", ");
      if (report_.natives.contains(name)) {
        what += ", native";
      } else if (!used.bounds.empty()) {
        what += fmt::format(" with {} bounds, {} to {}", used.bounds.size(),
                            show_bound(used.bounds.front()), show_bound(used.bounds.back()));
      }
      wrap("  ", fmt::format("{}: {}{}", name, what, labels_of(used.labels)));
    }
  }

  static std::string labels_of(const std::map<std::string, std::set<std::string>>& labels) {
    std::vector<std::string> parts;
    for (const auto& [label, values] : labels) {
      if (label == "le") continue;
      if (parts.size() == kLabels) {
        parts.push_back(fmt::format("and {} more labels", labels.size() - kLabels));
        break;
      }
      std::vector<std::string> shown;
      for (const std::string& value : values) shown.push_back(text::quoted(value, 40));
      parts.push_back(values.size() <= kValues
                          ? fmt::format("{} {}", label, text::join(shown, " "))
                          : fmt::format("{} ({} values)", label, values.size()));
    }
    return parts.empty() ? "" : "; by " + text::join(parts, ", ");
  }

  void paragraphs(const std::string& title, const std::vector<std::string>& all) {
    if (all.empty()) return;
    line("");
    line(bold(title));
    for (const std::string& one : all) wrap("  - ", one);
  }

  const ScrapeReport& report_;
  const Look& look_;
  const std::size_t columns_;
  std::string out_;
};

json json_of(const ScrapeReport::Counts& counts) {
  json out{{"requests", counts.requests}, {"errors", counts.errors}, {"latency", nullptr}};
  if (!counts.latency) return out;
  json quantiles = json::array();
  for (const auto& [q, enclosed] : counts.latency->quantiles) {
    json at_most = enclosed && enclosed->at_most ? json(*enclosed->at_most) : json(nullptr);
    quantiles.push_back({{"quantile", q},
                         {"above", enclosed ? json(enclosed->above) : json(nullptr)},
                         {"at_most", at_most}});
  }
  out["latency"] = {{"le", counts.latency->histogram.bounds},
                    {"counts", counts.latency->histogram.counts},
                    {"quantiles", quantiles}};
  return out;
}

json json_of(const ScrapeReport::Round& round) {
  if (!round.trouble.empty()) return {{"trouble", round.trouble}};
  json out{{"format", round.format},
           {"bytes", round.bytes},
           {"packed", round.is_packed},
           {"packed_bytes", round.packed ? json(*round.packed) : json(nullptr)},
           {"lines", round.lines},
           {"asked_seconds", seconds(round.asked)}};
  if (round.read) {
    out["samples"] = round.read->samples;
    out["wanted"] = round.read->wanted;
    out["predicted_lines"] = round.read->predicted;
    out["read_seconds"] = seconds(round.read->took);
  }
  return out;
}

}  // namespace

std::string scrape_text(const ScrapeReport& report, const Look& look) {
  return Drawing(report, look).draw();
}

std::string scrape_json(const ScrapeReport& report) {
  const RequestSeries& r = report.requests;
  json rounds = json::array();
  for (const ScrapeReport::Round& round : report.rounds) rounds.push_back(json_of(round));
  json versions = json::array();
  for (const ScrapeReport::Version& version : report.versions) {
    json values = json::object();
    for (const auto& [name, value] : version.values) values[name] = value;
    versions.push_back({{"name", version.name},
                        {"has_requests", version.has_requests},
                        {"shows_errors", version.shows_errors},
                        {"grown", json_of(version.grown)},
                        {"since_start", json_of(version.whole)},
                        {"values", values}});
  }
  json used = json::object();
  for (const auto& [name, one] : report.used) {
    json labels = json::object();
    for (const auto& [label, values] : one.labels) labels[label] = values;
    used[name] = {{"requests", one.requests},
                  {"errors", one.errors},
                  {"histograms", one.histograms},
                  {"own_metrics", one.values},
                  {"labels", labels}};
  }
  json out{{"ok", report.is_good()},
           {"url", report.url},
           {"pages", rounds},
           {"rules",
            {{"from", report.rules},
             {"reasons", report.reasons},
             {"counter", r.counter},
             {"error_when", r.error_when},
             {"errors", r.errors},
             {"histogram", r.histogram},
             {"unit", r.latency_unit == 1 ? "seconds" : "milliseconds"}}},
           {"span_seconds", report.span},
           {"restarts", report.restarts},
           {"versions", versions},
           {"used", used},
           {"left_out", report.ignored},
           {"next", report.next}};
  return out.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace davy::app
