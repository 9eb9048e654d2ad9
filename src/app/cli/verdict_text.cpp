#include "app/cli/verdict_text.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "base/text.h"
#include "base/units.h"
#include "canary/phrases.h"

namespace davy::app {
namespace {

using nlohmann::json;

constexpr std::size_t kNarrowest = 60, kWidest = 110;
constexpr std::size_t kLabel = 30;       // columns before a bar
constexpr std::size_t kBarWords = 21;    // and after it
constexpr double kAxisEnd = 4;           // the ratio's axis goes from 2^-4 to 2^4
constexpr double kWorthSaying = 1.5;     // discounts below this are not told
constexpr double kMostOdds = 13.815510;  // log of a million

// What may be missing, or null.
std::optional<double> number(const json& in, const char* key) {
  auto at = in.find(key);
  return at != in.end() && at->is_number() ? std::optional(at->get<double>()) : std::nullopt;
}
std::string words(const json& in, const char* key) {
  auto at = in.find(key);
  return at != in.end() && at->is_string() ? at->get<std::string>() : "";
}
bool is_set(const json& in, const char* key) {
  auto at = in.find(key);
  return at != in.end() && at->is_boolean() && at->get<bool>();
}
const json& part(const json& in, const char* key) {
  static const json kNone = json::object();
  auto at = in.find(key);
  return at != in.end() && at->is_object() ? *at : kNone;
}
std::vector<std::string> list(const json& in, const char* key) {
  std::vector<std::string> all;
  auto at = in.find(key);
  if (at == in.end() || !at->is_array()) return all;
  for (const json& one : *at) {
    if (one.is_string()) all.push_back(one);
  }
  return all;
}

/// "12:1", "1:8", ">1,000,000:1"
std::string odds(double log_e) {
  double size = std::abs(log_e);
  std::string n = size > kMostOdds         ? ">1,000,000"
                  : size >= std::log(9.95) ? text::grouped(std::exp(size))
                                           : fmt::format("{:.2g}", std::exp(size));
  return log_e >= 0 ? n + ":1" : "1:" + n;
}

/// "1.24", "153 M"
std::string quantity(double x) {
  constexpr std::pair<double, const char*> kSteps[] = {{1e9, " G"}, {1e6, " M"}, {1e3, " k"}};
  for (auto [step, letter] : kSteps) {
    if (std::abs(x) >= step) return fmt::format("{:.3g}{}", x / step, letter);
  }
  return fmt::format("{:.3g}", x);
}

class Drawing {
 public:
  explicit Drawing(const Look& look)
      : columns_(std::clamp(look.columns, kNarrowest, kWidest)), colour_(look.colour) {}

  std::string draw(const json& v) {
    head(v);
    for (const json& m : v.at("metrics")) metric(m, words(v, "decided_by"));
    together(v);
    share(part(v, "traffic_share"));
    paragraphs("Notices", list(v, "notices"));
    paragraphs("Hints", list(v, "hints"));
    return std::move(out_);
  }

 private:
  static constexpr const char* kRed = "31";
  static constexpr const char* kGreen = "32";
  static constexpr const char* kYellow = "33";
  static constexpr const char* kBlue = "34";
  static constexpr const char* kBold = "1";
  static constexpr const char* kDim = "2";

  std::string paint(const char* code, const std::string& text) const {
    return colour_ && !text.empty() ? fmt::format("\033[{}m{}\033[0m", code, text) : text;
  }

  static const char* colour_of(const std::string& verdict) {
    if (verdict == "pass") return kGreen;
    if (verdict == "fail" || verdict == "error") return kRed;
    return verdict == "marginal" ? kYellow : kBlue;
  }

  void line(const std::string& text) { out_ += text + "\n"; }

  /// Broken at spaces; every line after the first is indented as far as the first one's words.
  void wrap(const std::string& label, const std::string& words, const char* colour = nullptr) {
    if (words.empty()) return;
    std::string line;
    std::size_t room = columns_ - label.size();
    std::string before = label;
    auto flush = [&] {
      out_ += before + (colour ? paint(colour, line) : line) + "\n";
      before.assign(label.size(), ' ');
      line.clear();
    };
    for (std::string_view word : text::split(words, ' ')) {
      if (!line.empty() && line.size() + 1 + word.size() > room) flush();
      line += (line.empty() ? "" : " ") + std::string(word);
    }
    flush();
  }

  void head(const json& v) {
    std::string verdict = words(v, "verdict");
    std::string name = words(v, "deployment");
    std::string revision = words(v, "revision");
    std::string stage = words(v, "stage");
    std::string first = name.empty() ? "" : name + (revision.empty() ? "" : " " + revision) + ": ";
    std::string after;
    if (!stage.empty()) after += ", in stage " + stage;
    if (number(v, "t").value_or(0) > 0) {
      auto seconds = std::chrono::duration<double>(*number(v, "t"));
      after += ", after " + units::show(std::chrono::duration_cast<Duration>(seconds));
    }
    line(paint(kBold, first) + paint(colour_of(verdict), verdict) + after);
    double score = number(v, "score").value_or(50);
    std::size_t cells = std::min<std::size_t>(50, columns_ - 30);
    auto full = static_cast<std::size_t>(std::clamp(
        std::lround(score / 100 * static_cast<double>(cells)), 0L, static_cast<long>(cells)));
    line(fmt::format("score [{}{}] {:.0f} of 100",
                     paint(colour_of(verdict), std::string(full, '#')),
                     std::string(cells - full, '.'), score));
    wrap("", words(v, "reason"));
    wrap("Next: ", words(v, "next"));
    wrap("At worst: ", words(v, "excluded"));
    const json& requests = part(v, "requests");
    if (number(requests, "canary")) {
      line(fmt::format("Requests: V1 {}, V2 {}",
                       text::grouped(number(requests, "baseline").value_or(0)),
                       text::grouped(*number(requests, "canary"))));
    }
  }

  void metric(const json& m, const std::string& decided_by) {
    std::string verdict = words(m, "verdict");
    std::vector<std::string> marks;
    if (!decided_by.empty() && words(m, "name") == decided_by)
      marks.emplace_back("decided by this");
    if (is_set(m, "proven_alone")) marks.emplace_back("proven on its own");
    line("");
    line(paint(kBold, words(m, "title")) + ": " + paint(colour_of(verdict), verdict) +
         (marks.empty() ? "" : "  << " + text::join(marks, ", ")));
    wrap("  ", standing(m));
    if (auto values = m.find("values"); values != m.end()) {
      compare_values(*values);
    } else {
      compare_rates(m);
    }
    const json& tests = part(m, "evidence");
    if (!says_anything(tests)) {
      wrap("  Left out: ", words(m, "note").empty() ? "nothing seen yet" : words(m, "note"));
      return;
    }
    bool has_pass = is_set(m, "gates") || number(part(tests, "pass"), "log_e").value_or(0) != 0;
    evidence("fail: worse than tolerated", part(tests, "fail"), kRed);
    evidence("hold: too bad to promote", part(tests, "hold"), kYellow);
    if (!m.contains("objective")) evidence("warn: worse at all", part(tests, "warn"), kYellow);
    if (has_pass) evidence("pass: not intolerably worse", part(tests, "pass"), kGreen);
    remarks(m);
  }

  static bool says_anything(const json& tests) {
    constexpr double kRounding = 1e-9;  // stakes that add up to 1
    return std::any_of(tests.begin(), tests.end(), [](const json& e) {
      return e.is_object() && std::abs(number(e, "log_e").value_or(0)) > kRounding;
    });
  }

  static std::string standing(const json& m) {
    std::string effect = words(m, "effect");
    std::string said = is_set(m, "muted")     ? "Muted: counts for nothing now"
                       : effect == "rollback" ? "A proven fault rolls back"
                       : effect == "hold"     ? "A proven fault holds the promotion"
                       : effect == "notice"   ? "Only trusted to advise: a proven fault is a notice"
                                              : "In the shadow: looked at, counts for nothing";
    double weight = number(m, "weight").value_or(0);
    if (weight > 0) said += fmt::format(", with {:.0f}% of that evidence's weight", weight * 100);
    return said +
           (is_set(m, "gates") ? "; a pass waits for it." : "; a pass does not wait for it.");
  }

  void compare_rates(const json& m) {
    auto side = [&](const char* name, const json& v) {
      double n = number(v, "requests").value_or(0);
      if (n <= 0) return;
      std::optional<double> slow = number(v, "slower_than_seconds");
      line(fmt::format("  {}  {:>7}   {} of {}{}", name,
                       units::show_percent(number(v, "rate").value_or(0)),
                       text::grouped(number(v, "events").value_or(0)), text::grouped(n),
                       slow ? " took longer than " + units::show_latency(*slow) : ""));
    };
    const json& v1 = part(m, "baseline");
    const json& v2 = part(m, "canary");
    side("V1", v1);
    side("V2", v2);
    if (auto objective = number(m, "objective"))
      line("  allowed " + units::show_percent(*objective));
    const json& interval = part(m, "ratio_95");
    double p1 = number(v1, "rate").value_or(0);
    double p2 = number(v2, "rate").value_or(0);
    double ratio = p1 > 0 ? p2 / p1 : 0;
    double low = number(interval, "low").value_or(0);
    double high = number(interval, "high").value_or(std::numeric_limits<double>::infinity());
    bool is_open = low <= 0 && std::isinf(high);
    if (!interval.empty() && !is_open) draw_ratio(low, high, ratio);
  }

  /// "1/16x ... 1x ... 16x", and under it [====o===] with V2's rate over V1's as the o
  /// (0 = unknown).
  void draw_ratio(double low, double high, double ratio) {
    constexpr std::pair<double, const char*> kTicks[] = {
        {-4, "1/16x"}, {-2, "1/4x"}, {0, "1x"}, {2, "4x"}, {4, "16x"}};
    std::string label = "  V2 to V1, 95%  ";
    std::size_t cells = columns_ - label.size() - 16;
    cells -= 1 - cells % 2;  // a middle
    auto column = [&](double log2) {
      double place = (std::clamp(log2, -kAxisEnd, kAxisEnd) + kAxisEnd) / (2 * kAxisEnd);
      return static_cast<std::size_t>(std::lround(place * static_cast<double>(cells - 1)));
    };
    std::string ticks(cells + 8, ' ');
    std::string axis(cells, '-');
    for (auto [at, name] : kTicks) {
      std::string tick = name;
      std::size_t from = column(at);
      from = from < tick.size() / 2 ? 0 : from - tick.size() / 2;
      ticks.replace(from, tick.size(), tick);
      axis[column(at)] = at == 0 ? '|' : '+';
    }
    std::size_t from = low > 0 ? column(std::log2(low)) : 0;
    std::size_t to = std::isinf(high) ? cells - 1 : column(std::log2(high));
    for (std::size_t i = from; i <= to; ++i) axis[i] = i == column(0) ? '|' : '=';
    bool is_beyond_low = low <= 0 || std::log2(low) < -kAxisEnd;
    bool is_beyond_high = std::isinf(high) || std::log2(high) > kAxisEnd;
    axis[from] = is_beyond_low ? '<' : '[';
    axis[to] = is_beyond_high ? '>' : ']';
    if (ratio > 0) axis[column(std::log2(ratio))] = 'o';
    ticks.erase(ticks.find_last_not_of(' ') + 1);
    line(std::string(label.size(), ' ') + paint(kDim, ticks));
    line(label + axis + "  " + canary::say_interval({low, high}));
  }

  void compare_values(const json& v) {
    line(fmt::format("  V1  {}", quantity(number(v, "baseline").value_or(0))));
    line(fmt::format("  V2  {}   on average, in {:.0f} paired intervals",
                     quantity(number(v, "canary").value_or(0)),
                     number(v, "intervals").value_or(0)));
    const json& range = part(v, "difference_95");
    std::optional<double> low = number(range, "low");
    std::optional<double> high = number(range, "high");
    if (low && high) {
      line(fmt::format("  V2 - V1, 95%  {} to {}", quantity(*low), quantity(*high)));
    }
  }

  /// A bar of '#' grows to the right towards its limit; one of '-' to the left, when what was seen
  /// speaks against what the test would prove.
  void evidence(const std::string& label, const json& e, const char* colour) {
    std::optional<double> limit = number(e, "limit");
    std::optional<double> log_e = number(e, "log_e");
    if (!limit || !log_e || *limit <= 0) return;
    std::size_t room = columns_ - kLabel - kBarWords - 4;
    std::size_t against = room / 4;
    std::size_t cells = std::min<std::size_t>(40, room - against);
    auto count = [&](double share, std::size_t most) {
      double n = std::round(std::max(0.0, share) * static_cast<double>(cells));
      return static_cast<std::size_t>(std::min(n, static_cast<double>(most)));
    };
    // Only what has reached its limit fills its bar.
    bool reached = *log_e >= *limit;
    std::size_t full = reached ? cells : std::min(count(*log_e / *limit, cells), cells - 1);
    std::size_t back = count(-*log_e / *limit, against);
    bool is_cut = -*log_e / *limit * static_cast<double>(cells) > static_cast<double>(against);
    std::string left = std::string(against - back, ' ') + std::string(back, '-');
    if (is_cut) left.front() = '<';
    std::string said =
        reached ? odds(*log_e) + ", proven" : fmt::format("{} of {}", odds(*log_e), odds(*limit));
    line(fmt::format("  {:<{}}{}|{}{}| {}", label, kLabel - 2, left,
                     paint(colour, std::string(full, '#')), std::string(cells - full, '.'), said));
  }

  void remarks(const json& m) {
    double over = number(m, "overdispersion").value_or(1);
    double discount = number(m, "discount").value_or(1);
    double noise = number(m, "noise").value_or(0);
    if (over >= kWorthSaying && m.contains("values")) {
      wrap("  ", fmt::format("Neighbouring values are alike: they say {:.1f} times less than "
                             "independent ones.",
                             over));
    } else if (over >= kWorthSaying) {
      wrap("  ", fmt::format("Events come in clumps: they vary {:.1f} times more than chance would "
                             "have it.",
                             over));
    }
    if (discount >= kWorthSaying && discount > over * 1.05) {
      wrap("  ", fmt::format("The last block's evidence counted for 1/{:.3g} (clumps, a burst, or "
                             "more traffic than a minute can be trusted with).",
                             discount));
    }
    if (noise > 0) {
      wrap("  ", fmt::format("Two equal versions differed by {:.0f}% from minute to minute (A/A "
                             "period).",
                             noise * 100));
    }
    wrap("  Left out: ", words(m, "note"));
  }

  void together(const json& v) {
    const json& rollback = part(v, "rollback");
    if (!number(rollback, "log_e")) return;
    line("");
    line(paint(kBold, "All metrics together") + ", by their weights");
    evidence("fail: roll back", rollback, kRed);
    evidence("hold: do not promote", part(v, "hold"), kYellow);
    wrap("  ",
         "A bar shows the odds that the data give, on their way to the limit at its right "
         "end (log scale); left of its middle they speak against it.",
         kDim);
  }

  void share(const json& s) {
    if (!number(s, "configured")) return;
    line("");
    line(paint(kBold, "traffic share") +
         fmt::format(": V2 gets {}, configured are {}",
                     units::show_percent(number(s, "observed").value_or(0)),
                     units::show_percent(*number(s, "configured"))));
    evidence("hold: the wrong share", part(s, "evidence"), kYellow);
  }

  void paragraphs(const std::string& title, const std::vector<std::string>& all) {
    if (all.empty()) return;
    line("");
    line(paint(kBold, title));
    for (const std::string& one : all) wrap("  - ", one);
  }

  std::size_t columns_;
  bool colour_;
  std::string out_;
};

}  // namespace

Result<std::string> verdict_text(const std::string& verdict_json, const Look& look) {
  try {
    json v = json::parse(verdict_json);
    const json& metrics = v.at("metrics");
    bool good =
        v.at("verdict").is_string() && metrics.is_array() &&
        std::all_of(metrics.begin(), metrics.end(), [](const json& m) { return m.is_object(); });
    if (!good) return Error{"this is no verdict"};
    return Drawing(look).draw(v);
  } catch (const json::exception& e) {
    return Error{fmt::format("this is no verdict ({})", e.what())};
  }
}

}  // namespace davy::app
