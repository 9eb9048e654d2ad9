#include "sources/suggest/guess.h"

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <cmath>
#include <tuple>

#include "base/text.h"

namespace davy::source {
namespace {

using Family = Survey::Family;

/// Words between underscores, dots and colons.
std::vector<std::string_view> words_of(std::string_view name) {
  std::vector<std::string_view> words;
  while (!name.empty()) {
    std::size_t end = std::min(name.find_first_of("_.:"), name.size());
    if (end > 0) words.push_back(name.substr(0, end));
    name.remove_prefix(std::min(end + 1, name.size()));
  }
  return words;
}

template <std::size_t N>
std::string_view first_of(std::string_view name, const std::array<std::string_view, N>& words) {
  for (std::string_view word : words_of(name)) {
    if (std::find(words.begin(), words.end(), word) != words.end()) return word;
  }
  return "";
}

constexpr std::array<std::string_view, 20> kRequestWords{
    "requests", "request", "responses", "response", "req",  "reqs",    "rq",
    "rpc",      "rpcs",    "calls",     "handled",  "hits", "queries", "handling",
    "served",   "jobs",    "orders",    "messages", "http", "grpc"};
constexpr std::array<std::string_view, 5> kOutgoing{"client", "outbound", "upstream", "outgoing",
                                                    "egress"};
// Counted, but no requests.
constexpr std::array<std::string_view, 12> kOtherWords{"bytes", "size",     "seconds", "retries",
                                                       "tls",   "retry",    "cache",   "gc",
                                                       "cpu",   "promhttp", "scrape",  "disk"};
constexpr std::array<std::string_view, 9> kLatencyWords{
    "duration", "latency", "seconds", "time", "milliseconds", "ms", "elapsed", "took", "handling"};
constexpr std::array<std::string_view, 7> kNoLatencyWords{"bytes", "size",  "gc", "queue",
                                                          "wait",  "count", "lag"};
constexpr std::array<std::string_view, 6> kErrorWords{"errors", "error",      "failures",
                                                      "failed", "exceptions", "failure"};
constexpr std::array<std::string_view, 14> kBadWords{
    "error", "errors",  "failure", "failed",    "fail",    "server_error", "SERVER_ERROR",
    "ERROR", "FAILURE", "FAILED",  "exception", "timeout", "5xx",          "internal"};
constexpr std::array<std::string_view, 6> kGoodWords{"success", "ok",        "SUCCESS",
                                                     "OK",      "succeeded", "good"};
constexpr std::string_view kServersFault =
    "Unknown|DeadlineExceeded|Unimplemented|Internal|Unavailable|DataLoss";

bool is_status(std::string_view value) {  // "200", "2xx", "2XX"
  return value.size() == 3 && value[0] >= '1' && value[0] <= '5' &&
         ((value[1] >= '0' && value[1] <= '9') || value[1] == 'x' || value[1] == 'X');
}

template <typename Is>
bool any(const std::set<std::string>& values, Is is) {
  return std::any_of(values.begin(), values.end(), is);
}
template <std::size_t N>
bool holds(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// The matcher by which a label's values tell errors, or "". Better is earlier in the order of the
/// returned rank.
struct ErrorLabel {
  int rank = 9;
  std::string matcher;
  std::string why;
};

ErrorLabel error_label(const std::string& label, const std::set<std::string>& values) {
  if (any(values, is_status) && std::all_of(values.begin(), values.end(), [](const std::string& v) {
        return v.empty() || is_status(v) || v.size() > 3;
      })) {
    bool is_large = any(values, [](const std::string& v) { return v.size() == 3 && v[1] == 'X'; });
    return {0, fmt::format("{}=~\"5{}\"", label, is_large ? "XX" : ".."),
            fmt::format("its label {} has status codes", label)};
  }
  bool is_class = label.find("class") != std::string::npos &&
                  std::all_of(values.begin(), values.end(), [](const std::string& v) {
                    return v.size() == 1 && v[0] >= '1' && v[0] <= '5';
                  });
  if (is_class)
    return {0, label + "=\"5\"", fmt::format("its label {} has classes of status codes", label)};
  if (label.find("code") != std::string::npos &&
      any(values, [](const std::string& v) { return v == "OK" || v == "Internal"; })) {
    return {1, fmt::format("{}=~\"{}\"", label, kServersFault),
            fmt::format("its label {} has gRPC's codes", label)};
  }
  bool is_two_way = values.size() <= 2 &&
                    any(values, [](const std::string& v) { return v == "true" || v == "false"; });
  if (is_two_way && (label == "success" || label == "ok"))
    return {2, label + "=\"false\"", fmt::format("its label {} is true or false", label)};
  if (is_two_way && (label == "error" || label == "failed"))
    return {2, label + "=\"true\"", fmt::format("its label {} is true or false", label)};
  std::string bad;
  bool has_good = false;
  for (const std::string& value : values) {
    if (holds(kBadWords, value)) bad += (bad.empty() ? "" : "|") + value;
    has_good |= holds(kGoodWords, value);
  }
  if (!bad.empty()) {
    return {3, fmt::format("{}=~\"{}\"", label, bad),
            fmt::format("its label {} has {}", label, bad)};
  }
  if (has_good && values.size() == 1) {
    return {4, fmt::format("{}!=\"{}\"", label, *values.begin()),
            fmt::format("its label {} has nothing but {} now", label, *values.begin())};
  }
  return {};
}

ErrorLabel best_error_label(const Family& family) {
  ErrorLabel best;
  for (const auto& [label, values] : family.labels) {
    ErrorLabel found = error_label(label, values);
    if (found.rank < best.rank) best = std::move(found);
  }
  return best;
}

std::size_t common_words(std::string_view a, std::string_view b) {
  std::vector<std::string_view> of_a = words_of(a);
  std::vector<std::string_view> of_b = words_of(b);
  std::size_t n = 0;
  while (n < of_a.size() && n < of_b.size() && of_a[n] == of_b[n]) ++n;
  return n;
}

/// What `name` has beyond its first `common` words says no more than "errors": shop_errors_total
/// beside shop_requests_total, but not shop_timex_error_total, which are those of something else.
bool says_only_errors(std::string_view name, std::size_t common) {
  std::vector<std::string_view> words = words_of(name);
  return std::all_of(words.begin() + static_cast<std::ptrdiff_t>(common), words.end(),
                     [](std::string_view word) {
                       return holds(kErrorWords, word) || holds(kRequestWords, word) ||
                              word == "server" || word == "total" || word == "count";
                     });
}

/// A counter of errors of its own that belongs to `counter`: http_requests_failed_total.
const std::pair<const std::string, Family>* errors_beside(const Survey& survey,
                                                          std::string_view counter) {
  const std::pair<const std::string, Family>* best = nullptr;
  std::size_t most = 0;
  for (const auto& named : survey.families()) {
    bool is_counter = named.second.type == Survey::Type::Counter && named.first != counter;
    if (!is_counter || first_of(named.first, kErrorWords).empty()) continue;
    std::size_t common = common_words(named.first, counter);
    if (common <= most || !says_only_errors(named.first, common)) continue;
    most = common;
    best = &named;
  }
  return best;
}

/// How much a family looks like a counter of requests; 0 = not at all.
int likeness(const std::string& name, const Family& family) {
  bool is_counter = family.type == Survey::Type::Counter;
  bool has_count = family.type == Survey::Type::Histogram || family.type == Survey::Type::Summary;
  if (!is_counter && !has_count) return 0;
  std::string_view word = first_of(name, kRequestWords);
  if (word.empty()) return 0;
  bool is_time = !first_of(name, kLatencyWords).empty();
  bool is_other =
      is_counter
          ? !first_of(name, kOtherWords).empty()
          : !first_of(name, std::array<std::string_view, 4>{"bytes", "size", "promhttp", "gc"})
                    .empty() ||
                !is_time;
  if (is_other || !first_of(name, kErrorWords).empty()) return 0;
  int points = 10;
  if (word.starts_with("req") || word.starts_with("response") || word == "rq") points += 4;
  if (is_counter) points += 3;
  if (name.find("http") != std::string::npos || name.find("server") != std::string::npos)
    points += 2;
  if (!first_of(name, kOutgoing).empty()) points -= 9;
  if (family.total > 0) points += 1;
  return points;
}

struct Candidate {
  int points = 0;
  std::string name;  // of the family
  const Family* family = nullptr;
};

/// Those that look like requests, likely first.
std::vector<Candidate> candidates(const Survey& survey) {
  std::vector<Candidate> all;
  for (const auto& [name, family] : survey.families()) {
    int points = likeness(name, family);
    if (points > 0) all.push_back({points, name, &family});
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Candidate& a, const Candidate& b) { return a.points > b.points; });
  return all;
}

std::string series_of(const Candidate& candidate) {
  bool is_counter = candidate.family->type == Survey::Type::Counter;
  return candidate.name + (is_counter ? "" : "_count");
}

/// By the name, else by what makes sense of the bounds.
double unit_of(std::string_view name, const Family& family, std::string& why) {
  for (std::string_view word : words_of(name)) {
    if (word == "milliseconds" || word == "ms" || word == "millis" || word == "msec") {
      why = "milliseconds by its name";
      return 1e-3;
    }
    if (word == "seconds" || word == "sec") {
      why = "seconds by its name";
      return 1;
    }
  }
  bool is_large = !family.bounds.empty() && *family.bounds.rbegin() >= 500;
  why = is_large ? "milliseconds by its largest bound" : "seconds, as most are";
  return is_large ? 1e-3 : 1;
}

void guess_latency(const Survey& survey, const Candidate& counter, Guess& out) {
  auto rank_of = [&](const std::string& name, const Family& family) {
    bool is_same = name == counter.name;
    double ratio = counter.family->total > 0 ? family.total / counter.family->total : 1;
    bool is_as_many = ratio > 0.5 && ratio < 2;
    bool is_outgoing = !first_of(name, kOutgoing).empty();
    return std::tuple(is_same, !is_outgoing, is_as_many, common_words(name, counter.name),
                      !first_of(name, kRequestWords).empty());
  };
  const std::pair<const std::string, Family>* best = nullptr;
  for (const auto& named : survey.families()) {
    bool is_latency = named.second.type == Survey::Type::Histogram &&
                      !first_of(named.first, kLatencyWords).empty() &&
                      first_of(named.first, kNoLatencyWords).empty();
    if (!is_latency) continue;
    bool is_related = common_words(named.first, counter.name) > 0 ||
                      !first_of(named.first, kRequestWords).empty();
    if (!is_related) continue;
    if (best == nullptr || rank_of(best->first, best->second) < rank_of(named.first, named.second))
      best = &named;
  }
  if (best == nullptr) {
    out.reasons.emplace_back("no histogram looks like their latency");
    return;
  }
  std::string why;
  out.requests.latency_unit = unit_of(best->first, best->second, why);
  out.requests.histogram = {best->first};
  out.reasons.push_back(fmt::format("{}: a histogram, in {}", best->first, why));
}

bool guess_errors_by_label(const Candidate& counter, Guess& out) {
  ErrorLabel label = best_error_label(*counter.family);
  if (label.matcher.empty()) return false;
  out.requests.error_when = {label.matcher};
  out.reasons.push_back(label.why);
  return true;
}

bool guess_errors_beside(const Survey& survey, const Candidate& counter, Guess& out) {
  const auto* errors = errors_beside(survey, counter.name);
  if (errors == nullptr) return false;
  out.requests.errors = {errors->first};
  out.reasons.push_back(fmt::format("{}: a counter of errors beside it", errors->first));
  return true;
}

}  // namespace

std::optional<Guess> guess(const Survey& survey) {
  std::vector<Candidate> counters = candidates(survey);
  for (bool is_by_label : {true, false}) {
    for (const Candidate& counter : counters) {
      Guess out;
      out.requests.counter = {series_of(counter)};
      out.reasons.push_back(
          fmt::format("{}: {} with the word {}", series_of(counter),
                      counter.family->type == Survey::Type::Counter
                          ? "a counter"
                          : fmt::format("what a {} counts,", word(counter.family->type)),
                      first_of(counter.name, kRequestWords)));
      bool has_errors = is_by_label ? guess_errors_by_label(counter, out)
                                    : guess_errors_beside(survey, counter, out);
      if (!has_errors) continue;
      guess_latency(survey, counter, out);
      return out;
    }
  }
  return std::nullopt;
}

std::vector<std::string> likely_counters(const Survey& survey, std::size_t most) {
  std::vector<std::string> names;
  for (const Candidate& candidate : candidates(survey)) {
    if (names.size() == most) break;
    names.push_back(series_of(candidate));
  }
  return names;
}

std::string doubt_about_bounds(const std::vector<double>& seconds) {
  constexpr double kLongest = 2 * 3600;
  constexpr double kShortest = 0.05;
  if (seconds.empty()) return "";
  if (seconds.back() > kLongest) {
    return fmt::format("its bounds go up to {} s: are they milliseconds?",
                       text::grouped(seconds.back()));
  }
  if (seconds.back() < kShortest) {
    return fmt::format("its bounds end at {:.3g} ms: are they seconds?", seconds.back() * 1e3);
  }
  return "";
}

}  // namespace davy::source
