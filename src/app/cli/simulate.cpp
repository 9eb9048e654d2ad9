// davy simulate: judges made-up canaries, and says how often it was wrong and how late it was
// right.
//
// The proof that users can run: their traffic, their margins, their noise; no network, no clock.

#include <fmt/format.h>
#include <unistd.h>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "app/cli/commands.h"
#include "base/text.h"
#include "base/units.h"
#include "config/config.h"
#include "simulate/report.h"
#include "simulate/tables.h"

namespace davy::app {
namespace {

using json = nlohmann::ordered_json;

constexpr int kUsualPods = 20;

// Reading the options. Each error says what would be right.

Result<double> share_in(const char* option, const std::string& text, bool open) {
  Result<double> share = units::parse_ratio(text);
  if (!share || *share > 1 || (open && (*share <= 0 || *share >= 1))) {
    return Error{fmt::format("{}: {} is not a share {} (try 5% or 0.05)", option,
                             text::quoted(text), open ? "between 0 and 100%" : "up to 100%")};
  }
  return *share;
}

/// "x2" as 2.
Result<double> factor_in(const char* option, const std::string& text) {
  Result<double> factor =
      text.starts_with("x") ? units::parse_number(text.substr(1)) : Error{"no factor"};
  if (!factor || *factor < 0) {
    return Error{fmt::format("{}: {} is not a factor (try x2)", option, text::quoted(text))};
  }
  return *factor;
}

/// "x2", "+1pp", "x1.2+0.01pp".
Result<simulate::Change> change_in(const std::string& text) {
  Error wrong{fmt::format("--effect: {} is no effect (try x2, +1pp, x1.2+0.01pp, or x1 for none)",
                          text::quoted(text))};
  simulate::Change change;
  if (text.empty()) return wrong;
  for (std::string_view part : text::split(text, '+')) {
    if (part.empty()) {  // before the first sign
      if (text.front() != '+') return wrong;
    } else if (part.ends_with("pp")) {
      Result<double> points = units::parse_number(part.substr(0, part.size() - 2));
      if (!points || *points < 0) return wrong;
      change.added += *points / 100;
    } else {
      Result<double> ratio = factor_in("--effect", std::string(part));
      if (!ratio) return wrong;
      change.ratio = *ratio;
    }
  }
  return change;
}

template <typename T>
Result<T> choice(const char* option, const std::string& word,
                 const std::vector<std::pair<std::string, T>>& choices) {
  std::vector<std::string> words;
  for (const auto& [name, value] : choices) {
    if (name == word) return value;
    words.push_back(name);
  }
  return Error{fmt::format("{}: there is no {} (try {})", option, text::quoted(word),
                           text::join(words, ", "))};
}

Result<simulate::Disturbance> disturbance_in(const std::string& word) {
  std::vector<std::pair<std::string, simulate::Disturbance>> choices;
  for (const simulate::NamedDisturbance& d : simulate::disturbances())
    choices.emplace_back(d.name, d.disturbance);
  return choice("--disturbance", word, choices);
}

Result<Done> read_latency(const SimulateOptions& o, simulate::Scenario& s) {
  Result<double> slower = factor_in("--slower", o.slower);
  if (!slower) return slower.error();
  Result<simulate::Buckets> buckets =
      choice<simulate::Buckets>("--buckets", o.buckets,
                                {{"sketch", simulate::Buckets::Sketch},
                                 {"native", simulate::Buckets::Native},
                                 {"prometheus", simulate::Buckets::Prometheus}});
  if (!buckets) return buckets.error();
  if (o.latency.empty()) {
    if (*slower != 1) return Error{"--slower needs V1's median latency (try --latency 50ms)"};
    return Done{};
  }
  Result<Duration> median = units::parse_duration(o.latency);
  if (!median) return median.error().prefix("--latency: ");
  if (*median <= Duration::zero() || *slower <= 0)
    return Error{"--latency and --slower must be above 0 (try --latency 50ms --slower x1.3)"};
  s.latency =
      simulate::LatencyShape{.median = seconds(*median), .slower = *slower, .buckets = *buckets};
  return Done{};
}

void split_pods(int pods, simulate::Scenario& s) {
  double canary = std::clamp(std::round(pods * s.canary_share), 1.0, std::max(1.0, pods - 1.0));
  s.canary_pods = static_cast<std::size_t>(canary);
  s.baseline_pods = static_cast<std::size_t>(pods) - s.canary_pods;
}

Result<simulate::Scenario> scenario_of(const SimulateOptions& o) {
  simulate::Scenario s;
  if (!(o.requests_per_second > 0 && o.requests_per_second <= 1e7))
    return Error{"--rps must be above 0 and at most 10000000 (try 100)"};
  if (o.pods == 0 || o.pods == 1 || o.pods < -1 || o.pods > 1000)
    return Error{"--pods: both versions together have 2 to 1000 instances (try 20)"};
  s.requests_per_second = o.requests_per_second;
  Result<double> share = share_in("--share", o.share, true);
  if (!share) return share.error();
  s.canary_share = *share;
  Result<double> base = share_in("--base", o.base, false);
  if (!base) return base.error();
  s.base_error_rate = *base;
  Result<simulate::Change> change = change_in(o.effect);
  if (!change) return change.error();
  s.change = *change;
  if (s.change.of(*base) > 0.95) {
    return Error{
        fmt::format("--effect: V2 would fail {} of its requests; at most 95% are simulated",
                    units::show_percent(s.change.of(*base)))};
  }
  Result<simulate::Disturbance> disturbance = disturbance_in(o.disturbance);
  if (!disturbance) return disturbance.error();
  s.disturbance = *disturbance;
  bool disturbed = s.disturbance != simulate::Disturbance::None;
  int pods = o.pods < 0 && disturbed ? kUsualPods : o.pods;
  if (pods > 0) split_pods(pods, s);
  s.onset = seconds(o.onset);
  s.horizon = seconds(o.horizon);
  if (s.horizon < s.interval || s.horizon > 86400)
    return Error{"--horizon must be between 5s and 1d (try 1h)"};
  if (s.onset >= s.horizon) {
    return Error{fmt::format("--onset: {} is not before the end of the canary (--horizon {})",
                             units::show(o.onset), units::show(o.horizon))};
  }
  Result<Done> latency = read_latency(o, s);
  if (!latency) return latency.error();
  if (simulate::is_of_latency(s.disturbance) && !s.latency) {
    return Error{
        fmt::format("--disturbance {} needs latencies (try --latency 50ms)", o.disturbance)};
  }
  return s;
}

/// Prints what is wrong with the file and returns none.
std::optional<config::Policy> policy_of(const SimulateOptions& o) {
  config::Policy policy;
  if (!o.policy_file.empty()) {
    config::LoadedPolicy loaded = config::load_policy_file(o.policy_file);
    for (const config::Problem& problem : loaded.problems)
      fmt::print(stderr, "{}\n", problem.text());
    if (!loaded.policy) return std::nullopt;
    policy = *loaded.policy;
  }
  return policy;
}

Result<Done> apply_mode(const std::string& mode, config::Policy& policy) {
  enum class Mode { Robust, Noisy, Iid };
  Result<Mode> chosen = choice<Mode>(
      "--mode", mode, {{"robust", Mode::Robust}, {"noisy", Mode::Noisy}, {"iid", Mode::Iid}});
  if (!chosen) return chosen.error();
  if (*chosen == Mode::Noisy) policy.robustness.sigma = 0.3;
  policy.robustness.on = *chosen != Mode::Iid;
  return Done{};
}

// Telling.

std::string percent(double share) {
  return share == 0 ? "0%" : units::show_percent(share);
}

std::string span(double seconds) {
  return units::show(std::chrono::seconds(std::llround(seconds)));
}

/// The one line on stderr that rewrites itself.
class Progress {
 public:
  explicit Progress(bool wanted) : on_(wanted && isatty(STDERR_FILENO) == 1) {}
  ~Progress() {
    if (on_) fmt::print(stderr, "\r\033[K");
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void tell(const std::string& line) const {
    if (on_) fmt::print(stderr, "\r\033[K{}", line);
  }

 private:
  const bool on_;
};

/// A width of 1, 2 or 5 times a power of ten, so that at most 12 bars reach `longest`.
double bar_seconds(double longest) {
  for (double ten = 5;; ten *= 10) {
    for (double width : {ten, 2 * ten, 4 * ten, 6 * ten})
      if (longest / width <= 12) return width;
  }
}

void print_bars(const simulate::Delays& delays, int runs) {
  if (delays.found().empty()) return;
  double width = bar_seconds(delays.found().back());
  std::vector<int> bars;
  for (double d : delays.found()) {
    std::size_t place = static_cast<std::size_t>(std::max(0.0, std::ceil(d / width) - 1));
    if (place >= bars.size()) bars.resize(place + 1);
    ++bars[place];
  }
  int never = static_cast<int>(std::lround(delays.missed() * runs));
  int most = std::max(never, *std::max_element(bars.begin(), bars.end()));
  auto bar = [&](const std::string& label, int count) {
    int length = count == 0 ? 0 : std::max(1, 50 * count / most);
    fmt::print("  {:>15}  {:<50} {}\n", label, std::string(static_cast<std::size_t>(length), '#'),
               count);
  };
  fmt::print("\nFrom the onset to the rollback:\n");
  for (std::size_t i = 0; i < bars.size(); ++i) {
    double from = static_cast<double>(i) * width;
    bar(fmt::format("{:.0f} - {:.0f} s", from, from + width), bars[i]);
  }
  if (never > 0) bar("never", never);
}

std::string meaning(const simulate::Report& r, const simulate::Experiment& x) {
  double hundred = 100;
  if (r.tolerable) {
    std::string so =
        fmt::format("of 1,000 such canaries about {:.0f} would be rolled back for nothing",
                    1000 * r.false_rollbacks);
    if (r.false_rollbacks == 0) so = "a canary like this is practically never rolled back";
    return fmt::format("In words: V2 is tolerable here, and {}; {:.0f} of 100 pass within {}.", so,
                       hundred * r.passed, span(x.scenario.horizon));
  }
  if (std::optional<double> half = r.fail.quantile(0.5)) {
    return fmt::format(
        "In words: of 100 such canaries {:.0f} are rolled back, half of all within {} of the "
        "onset; "
        "by then V2 has served {} requests since.",
        hundred * r.failed, span(*half),
        text::grouped(*half * x.scenario.requests_per_second * x.scenario.canary_share));
  }
  bool impossible = r.fail_limit && *r.fail_limit > x.scenario.horizon - x.scenario.onset;
  return fmt::format(
      "In words: this is too small to be found in {} at this traffic: {:.0f} of 100 are rolled "
      "back. "
      "More traffic, a larger share or more time helps{}.",
      span(x.scenario.horizon), hundred * r.failed,
      impossible ? "; another method cannot, see the line above" : "");
}

void print_report(const SimulateOptions& o, const simulate::Experiment& x,
                  const simulate::Report& r) {
  const simulate::Scenario& s = x.scenario;
  const config::ErrorRatePolicy& margins = x.policy.error_rate;
  double p1 = s.base_error_rate;
  fmt::print("{} canaries of {} (seed {}, mode {}, disturbance {})\n", text::grouped(r.runs),
             span(s.horizon), x.seed, o.mode, o.disturbance);
  fmt::print("  V1 fails {} of {:g} requests/s, V2 {} of {:g}{}.\n", percent(p1),
             s.requests_per_second * (1 - s.canary_share), percent(s.change.of(p1)),
             s.requests_per_second * s.canary_share,
             s.onset > 0 ? fmt::format(", from {} on", span(s.onset)) : "");
  if (s.latency && s.latency->slower != 1)
    fmt::print("  V2 takes {:g} times as long.\n", s.latency->slower);
  fmt::print("  Rolled back is what proves worse than {}, passed what proves better than {}.\n\n",
             percent(margins.fail.ratio * p1 + margins.fail.absolute),
             percent(margins.pass.ratio * p1 + margins.pass.absolute));

  auto row = [](const char* what, double share, const std::string& rest) {
    fmt::print("  {:<19} {:>7}   {}\n", what, percent(share), rest);
  };
  auto when = [](const simulate::Delays& d, const char* since) {
    std::optional<double> half = d.quantile(0.5), most = d.quantile(0.9);
    if (!half) return std::string();
    return fmt::format("half within {}{} {}", span(*half),
                       most ? ", 90% within " + span(*most) : std::string(), since);
  };
  row("rolled back", r.failed, when(r.fail, "of the onset"));
  row("  for nothing", r.false_rollbacks,
      fmt::format("promised: at most {}", percent(x.policy.false_rollback)));
  row("errors worse at all", r.warned, when(r.warn, "of the onset"));
  row("held (marginal)", r.marginal, "");
  row("passed", r.passed, when(r.pass, "of the start"));
  if (s.onset > 0) row("  before the onset", r.passed_before, "rightly: V2 was equal then");
  if (r.intolerable)
    row("  wrongly", r.false_passes,
        fmt::format("promised: at most {}", percent(x.policy.false_promote)));

  if (!r.tolerable) print_bars(r.fail, r.runs);
  fmt::print("\n");
  if (r.fail_limit) {
    fmt::print("No test that errs as rarely needs less than {} on average",
               span(std::ceil(*r.fail_limit)));
    std::optional<double> half = r.fail.quantile(0.5);
    if (half) fmt::print("; davy's median is {:.1f} times that", *half / *r.fail_limit);
    fmt::print(".\n");
  }
  fmt::print("{}\n", meaning(r, x));
}

json delays_json(const simulate::Delays& d, std::optional<double> limit) {
  auto number = [](std::optional<double> x) { return x ? json(*x) : json(nullptr); };
  return {{"median", number(d.quantile(0.5))},
          {"p90", number(d.quantile(0.9))},
          {"missed", d.missed()},
          {"limit", number(limit)}};
}

void print_json(const SimulateOptions& o, const simulate::Experiment& x,
                const simulate::Report& r) {
  const simulate::Scenario& s = x.scenario;
  json j{{"runs", r.runs},
         {"seed", x.seed},
         {"mode", o.mode},
         {"disturbance", o.disturbance},
         {"requests_per_second", s.requests_per_second},
         {"share", s.canary_share},
         {"baseline_error_rate", s.base_error_rate},
         {"canary_error_rate", s.change.of(s.base_error_rate)},
         {"onset", s.onset},
         {"horizon", s.horizon},
         {"tolerable", r.tolerable},
         {"intolerable", r.intolerable},
         {"rolled_back", r.failed},
         {"false_rollbacks", r.false_rollbacks},
         {"found_worse", r.warned},
         {"marginal", r.marginal},
         {"passed", r.passed},
         {"passed_before_onset", r.passed_before},
         {"false_passes", r.false_passes},
         {"rollback_delay", delays_json(r.fail, r.fail_limit)},
         {"found_worse_delay", delays_json(r.warn, r.warn_limit)},
         {"pass_time", delays_json(r.pass, std::nullopt)}};
  fmt::print("{}\n", j.dump(2));
}

/// The clock here is for people: what the tables say does not depend on it.
void print_tables(const SimulateOptions& o) {
  auto began = std::chrono::steady_clock::now();
  std::string markdown;
  {
    Progress progress(true);
    markdown = simulate::tables({.runs = o.runs, .seed = o.seed},
                                [&](const std::string& where) { progress.tell(where); });
  }
  std::chrono::duration<double> taken = std::chrono::steady_clock::now() - began;
  fmt::print("Printed by `davy simulate --table --runs {} --seed {}` of davy {} in {:.0f} s.\n\n{}",
             o.runs, o.seed, DAVY_VERSION, taken.count(), markdown);
}

int usage(const Error& error) {
  fmt::print(stderr, "{}\n", error.what);
  return kExitUsage;
}

}  // namespace

int simulate(const SimulateOptions& o) {
  if (o.runs < 1 || o.runs > 1'000'000)
    return usage({"--runs must be between 1 and 1000000 (try 1000)", ""});
  if (o.table) {
    print_tables(o);
    return kExitPass;
  }
  Result<simulate::Scenario> scenario = scenario_of(o);
  if (!scenario) return usage(scenario.error());
  std::optional<config::Policy> policy = policy_of(o);
  if (!policy) return kExitUsage;
  Result<Done> mode = apply_mode(o.mode, *policy);
  if (!mode) return usage(mode.error());

  simulate::Experiment x{.scenario = *scenario,
                         .policy = simulate::fitted(*policy, *scenario),
                         .question = {.warn = true},
                         .runs = o.runs,
                         .seed = o.seed};
  std::vector<simulate::Trial> trials;
  {
    Progress progress(!o.json);
    trials = simulate::simulate(x, [&](int done) {
      if (done % 20 == 0) progress.tell(fmt::format("{} of {} canaries", done, o.runs));
    });
  }
  simulate::Report r = simulate::report(x, trials);
  if (o.json) {
    print_json(o, x, r);
  } else {
    print_report(o, x, r);
  }
  return kExitPass;
}

}  // namespace davy::app
