#include "app/cli/suggestion.h"

#include <fmt/format.h>
#include <algorithm>

#include "app/cli/rules_given.h"
#include "base/text.h"
#include "config/settings.h"
#include "net/http_client.h"

namespace davy::app {
namespace {

using source::Fit;

constexpr std::size_t kNameColumn = 27, kWordColumn = 8;
constexpr std::size_t kVersions = 8;  // that are named in a comment

/// A YAML scalar that means exactly this text, also to davy's ${...}.
std::string yaml_text(std::string_view text) {
  std::string out = "'";
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\'') out += '\'';
    if (text.substr(i).starts_with("${")) out += '$';
    out += text[i];
  }
  return out + "'";
}

/// A value within a matcher's double quotes.
std::string quoted_value(std::string_view value) {
  std::string out;
  for (char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return "\"" + out + "\"";
}

bool sounds_new(std::string_view value) {
  for (std::string_view word : {"canary", "v2", "green", "new", "next", "preview"}) {
    if (value.find(word) != std::string_view::npos) return true;
  }
  return false;
}

/// Two values of the label that tells versions apart: V1's and V2's.
std::pair<std::string, std::string> two_versions(
    const std::vector<std::pair<std::string, double>>& all) {
  std::size_t canary = all.size() > 1 ? 1 : 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (sounds_new(all[i].first)) canary = i;
  }
  std::size_t baseline = canary == 0 ? 1 : 0;
  // Where the label is there for canaries only, V1 has none.
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].first.empty() && i != canary) baseline = i;
  }
  return {baseline < all.size() ? all[baseline].first : "v1", all[canary].first};
}

std::string placeholder_for_canary(const std::string& url) {
  Result<net::Url> parsed = net::parse_url(url);
  std::string target = parsed ? parsed->target : "/metrics";
  return fmt::format("http://v2.example:{}{}", parsed ? parsed->port : 80, target);
}

/// Which of the target's series belong to which version.
std::string source_yaml(const Seen& seen, const Fit& best) {
  std::string out = "    source:\n      scrape:\n";
  const std::string& label = best.candidate.versions_by;
  std::vector<std::pair<std::string, double>> versions;
  if (!label.empty() && seen.canary.empty()) versions = source::versions_of(*best.view, label);
  if (versions.size() > 1) {
    std::vector<std::string> shown;
    for (const auto& [value, requests] : versions) {
      if (shown.size() == kVersions) break;
      shown.push_back(
          fmt::format("{} ({})", value.empty() ? "none" : value, text::grouped(requests)));
    }
    auto [v1, v2] = two_versions(versions);
    out += fmt::format("        targets: {}\n", yaml_text(seen.url));
    out +=
        fmt::format("        # CHANGE: which are whose? The label {}, with requests: {}{}\n", label,
                    text::join(shown, ", "), versions.size() > shown.size() ? ", ..." : "");
    out += fmt::format("        baseline_when: {}\n", yaml_text(label + "=" + quoted_value(v1)));
    out += fmt::format("        canary_when: {}\n", yaml_text(label + "=" + quoted_value(v2)));
  } else {
    out += fmt::format("        baseline: {}\n", yaml_text(seen.url));
    out += seen.canary.empty()
               ? fmt::format("        canary: {}  # CHANGE: where V2's metrics are\n",
                             yaml_text(placeholder_for_canary(seen.url)))
               : fmt::format("        canary: {}\n", yaml_text(seen.canary));
  }
  return out + "        every: 5s\n";
}

std::string list_yaml(const char* key, const std::vector<std::string>& list, const char* before) {
  if (list.empty()) return "";
  std::vector<std::string> quoted;
  for (const std::string& one : list) quoted.push_back(yaml_text(one));
  return fmt::format("{}{}: {}\n", before, key,
                     list.size() == 1 ? quoted.front() : "[" + text::join(quoted, ", ") + "]");
}

std::string series_yaml(const RequestSeries& series, const char* before) {
  std::string out = list_yaml("counter", series.counter, before) +
                    list_yaml("error_when", series.error_when, before) +
                    list_yaml("errors", series.errors, before) +
                    list_yaml("histogram", series.histogram, before);
  if (!series.histogram.empty()) {
    out +=
        fmt::format("{}unit: {}\n", before, series.latency_unit == 1 ? "seconds" : "milliseconds");
  }
  return out;
}

std::string requests_yaml(const Seen& seen, const Fit& best) {
  if (best.candidate.name != kGuessed) {
    return fmt::format("    requests:\n      preset: {}\n      # Which says:\n{}",
                       best.candidate.name, series_yaml(best.candidate.requests, "      #   "));
  }
  std::string out =
      "    # A GUESS, by names and labels, for no preset fits. Look at it before you trust it:\n";
  for (const std::string& reason : seen.guess->reasons)
    out += fmt::format("    #   {}\n", text::valid_utf8(reason));
  return out + "    requests:\n" + series_yaml(best.candidate.requests, "      ");
}

std::string yaml_of(const Seen& seen, const Fit& best) {
  std::string out =
      "# Proposed by `davy config suggest`; `davy config check FILE` says what it all "
      "comes to.\n";
  out += fmt::format("service: {}\n\ndeployments:\n  - name: {}\n", seen.name, seen.name);
  out += "    revision: \"${GIT_SHA:-}\"  # what is being rolled out: a new one begins a new run\n";
  out += source_yaml(seen, best) + requests_yaml(seen, best);
  out += "    # What is tolerated, and the stages of the rollout, have defaults: docs/config.md\n";
  return out;
}

std::string_view word_of(const Fit& fit, bool is_best) {
  if (is_best) return "chosen";
  switch (fit.grade) {
    case Fit::Grade::Nothing:
    case Fit::Grade::Blind: return "no";
    case Fit::Grade::NoLatency: return "partly";
    case Fit::Grade::Full: return "fits";
  }
  return "";
}

const Fit* same_of(const std::vector<Fit>& fits, const std::string& name) {
  for (const Fit& fit : fits) {
    if (fit.candidate.name == name) return &fit;
  }
  return nullptr;
}

bool is_usable(const Fit& fit) {
  return fit.grade >= Fit::Grade::NoLatency;
}

/// What to know about the one that was chosen.
std::vector<std::string> remarks_on(const Seen& seen, const Fit& best) {
  std::vector<std::string> remarks;
  if (best.candidate.name == kGuessed) {
    remarks.emplace_back("no preset fits, so this is a guess by names and labels: look at it");
  }
  if (best.candidate.resort == source::Candidate::Resort::Last) remarks.emplace_back(kOnlyScrapes);
  if (best.grade == Fit::Grade::NoLatency)
    remarks.emplace_back("latency will not be judged until there is a histogram");
  if (best.view->pages() > 1 && best.view->grown(source::Side::Canary).requests == 0)
    remarks.emplace_back("nothing moved while davy looked: send some requests to be sure");
  if (seen.canary.empty() && best.candidate.versions_by.empty()) {
    remarks.emplace_back("where V2's metrics are is not known: --canary URL");
  } else if (!seen.canary.empty()) {
    const Fit* of_canary = same_of(seen.of_canary, best.candidate.name);
    if (of_canary == nullptr || !is_usable(*of_canary)) {
      remarks.push_back(fmt::format(
          "V2 shows no such series yet ({}); applications make them at their first request",
          of_canary == nullptr || of_canary->notes.empty() ? "nothing fits"
                                                           : of_canary->notes.front()));
    }
  }
  return remarks;
}

std::string row(const Fit& fit, bool is_best, const Seen& seen, const Look& look) {
  std::vector<std::string> notes = fit.notes;
  if (is_usable(fit) && !fit.candidate.versions_by.empty())
    notes.push_back(fmt::format("one target with both versions, by {}", fit.candidate.versions_by));
  if (fit.candidate.resort == source::Candidate::Resort::Last && is_usable(fit))
    notes.emplace_back("only its own scrapes");
  const Fit* of_canary = same_of(seen.of_canary, fit.candidate.name);
  if (of_canary != nullptr && is_usable(fit) && !of_canary->notes.empty())
    notes.push_back("V2: " + of_canary->notes.front());
  std::string name = fit.candidate.name == kGuessed ? "(a guess)" : fit.candidate.name;
  return wrapped(
      fmt::format("  {:<{}}{:<{}}", name, kNameColumn, word_of(fit, is_best), kWordColumn),
      text::join(notes, "; "), std::max<std::size_t>(look.columns, 80));
}

}  // namespace

Suggestion suggest(const Seen& seen, const Look& look) {
  Suggestion out;
  bool is_found = !seen.fits.empty() && is_usable(seen.fits.front());
  for (const Fit& fit : seen.fits)
    out.table += row(fit, is_found && &fit == &seen.fits.front(), seen, look);
  if (!is_found) return out;
  out.yaml = yaml_of(seen, seen.fits.front());
  out.remarks = remarks_on(seen, seen.fits.front());
  return out;
}

std::string name_by_url(const std::string& url) {
  constexpr const char* kAny = "shop";
  Result<net::Url> parsed = net::parse_url(url);
  if (!parsed) return kAny;
  std::string name = parsed->host.substr(0, parsed->host.find('.'));
  bool is_address = parsed->host.find_first_not_of("0123456789.:abcdefABCDEF") == std::string::npos;
  bool is_usable = !name.empty() && name != "localhost" && !is_address && !config::wrong_name(name);
  return is_usable ? name : kAny;
}

}  // namespace davy::app
