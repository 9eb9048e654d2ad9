// The `checks:` section.

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "base/text.h"
#include "base/units.h"
#include "config/address.h"
#include "config/kind_options.h"
#include "config/sections.h"

namespace davy::config {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// The host in a libpq connection string, "" = a socket of this machine.
std::string host_of_dsn(std::string_view dsn) {
  if (dsn.find("://") != std::string_view::npos) return host_of_url(dsn);
  for (std::string_view word : text::split(dsn, ' ')) {
    for (std::string_view key : {"host=", "hostaddr="}) {
      if (word.starts_with(key)) return std::string(word.substr(key.size()));
    }
  }
  return "";
}

bool is_here(std::string_view host) {
  return host.empty() || host.front() == '/' || is_loopback(host);
}

/// A probe that asks this very machine, though its kind could ask any.
bool asks_this_machine(const Check& check) {
  const Options& options = check.options;
  auto has_text = [&](const char* name) {
    return std::any_of(check.kind->options.begin(), check.kind->options.end(), [&](auto& spec) {
      return spec.name == name && spec.type != OptionType::TextList && options.has(name);
    });
  };
  if (has_text("url")) return is_here(host_of_url(options.text("url")));
  if (has_text("dsn")) return is_here(host_of_dsn(options.text("dsn")));
  if (!has_text("address")) return false;
  Result<Address> address = parse_address(options.text("address"));
  return address && is_loopback(address->host);
}

/// Is it the app in the same pod that is asked, and not a dependency that happens to be near?
bool may_be_the_app(const Check& check) {
  constexpr std::string_view kOfApps[] = {"http", "tcp", "grpc"};
  bool speaks_as_apps_do =
      std::find(std::begin(kOfApps), std::end(kOfApps), check.kind->name) != std::end(kOfApps);
  return speaks_as_apps_do && asks_this_machine(check);
}

class CheckReader {
 public:
  CheckReader(const Node& node, std::size_t number, const Kinds& kinds, Problems& problems)
      : settings_(node, label(node, number), problems), kinds_(kinds) {
    check_.line = node.line;
  }

  Check read() {
    read_name();
    read_roles();
    settings_.read("severity", check_.severity, {"critical", "degrading", "info"});
    settings_.read("depends_on", check_.depends_on);
    read_schedule();
    read_levels();
    has_scope_ = settings_.find("scope") != nullptr;
    settings_.read("scope", check_.scope, {"local", "shared"});
    read_probe();
    // What lies elsewhere is shared with our peers, unless the owner knows better.
    if (!has_scope_ && is_complete_ && check_.kind->reach == ProbeKind::Reach::Remote)
      check_.scope = asks_this_machine(check_) ? Scope::Local : Scope::Shared;
    if (check_.has(Role::Liveness)) refuse_remote_liveness();
    return std::move(check_);
  }

 private:
  static std::string label(const Node& node, std::size_t number) {
    const Node* name = node.find("name");
    bool is_named = name != nullptr && !name->text.empty() && !wrong_name(name->text);
    return is_named ? "check " + name->text : fmt::format("check number {}", number);
  }

  void read_name() {
    const Node* node = settings_.require("name", "a word of your own, such as db");
    std::optional<std::string> name = settings_.text_of(node);
    if (!name) return;
    if (auto wrong = wrong_name(*name)) settings_.problem("name", *wrong);
    check_.name = std::move(*name);
  }

  void read_roles() {
    const Node* node = settings_.find("roles");
    if (node == nullptr) {
      check_.roles = {Role::Readiness};
      return;
    }
    std::span<const Node> words(node, 1);
    if (node->kind == Node::Kind::List) words = node->items;
    if (words.empty())
      settings_.problem("roles", "is an empty list (leave it out for [readiness])");
    for (const Node& item : words) {
      auto role = settings_.choice(&item, {"startup", "liveness", "readiness", "deploy"});
      if (!role) continue;
      if (check_.has(static_cast<Role>(*role))) {
        settings_.problem("roles", fmt::format("names {} twice (once is enough)", item.text));
      } else {
        check_.roles.push_back(static_cast<Role>(*role));
      }
    }
  }

  void read_schedule() {
    Schedule& schedule = check_.schedule;
    settings_.read("initial_delay", schedule.initial_delay);
    settings_.read("period", schedule.period);
    if (schedule.period < milliseconds(100)) {
      settings_.problem("period", fmt::format("{} is too often (100ms at least; 10s is usual)",
                                              units::show(schedule.period)));
    }
    schedule.timeout = std::min<Duration>(schedule.timeout, schedule.period);
    settings_.read("timeout", schedule.timeout);
    if (schedule.timeout <= Duration::zero()) {
      settings_.problem("timeout", "0 leaves no time to answer (2s is usual)");
    } else if (schedule.timeout > schedule.period) {
      settings_.problem("timeout",
                        fmt::format("{} is longer than the period of {} (at most as long: "
                                    "a check never runs twice at once)",
                                    units::show(schedule.timeout), units::show(schedule.period)));
    }
    read_other_periods();
    settings_.read_ratio("jitter", schedule.jitter);
    if (schedule.jitter > 1)
      settings_.problem("jitter", "must be at most 100%, of min(period, 5s)");
    settings_.read("failure_threshold", schedule.failure_threshold, 1);
    settings_.read("min_failing_for", schedule.min_failing_for);
    settings_.read("hard_fail_on", schedule.hard_fail_on);
    settings_.read("on_error", schedule.when_unable, {"hold", "fail"});
    bool restarts = check_.has(Role::Liveness) || check_.has(Role::Startup);
    if (restarts) schedule.success_threshold = 1;
    settings_.read("success_threshold", schedule.success_threshold, 1);
    if (restarts && schedule.success_threshold > 1) {
      settings_.problem("success_threshold",
                        "must be 1 for a check with the role liveness or startup "
                        "(what was restarted starts anew)");
    }
    read_staleness();
  }

  void read_other_periods() {
    Schedule& schedule = check_.schedule;
    schedule.period_fast = std::min<Duration>(schedule.period_fast, schedule.period);
    schedule.period_down = std::min<Duration>(schedule.period_down, schedule.period);
    settings_.read("period_fast", schedule.period_fast);
    settings_.read("period_down", schedule.period_down);
    for (auto [key, period] : {std::pair{"period_fast", schedule.period_fast},
                               std::pair{"period_down", schedule.period_down}}) {
      if (settings_.find(key) != nullptr && period < milliseconds(100)) {
        settings_.problem(key,
                          fmt::format("{} is too often (100ms at least)", units::show(period)));
      }
    }
    if (schedule.period_fast > schedule.period) {
      settings_.problem("period_fast", fmt::format("{} is slower than the period of {} (it is for "
                                                   "when a check is about to change)",
                                                   units::show(schedule.period_fast),
                                                   units::show(schedule.period)));
    }
  }

  void read_level(std::string_view key, std::optional<double>& level) {
    std::optional<std::string> text = settings_.text_of(settings_.find(key));
    if (!text) return;
    Result<double> parsed = units::parse_measured(*text);
    if (parsed) {
      level = *parsed;
    } else {
      settings_.problem(key, parsed.error().what);
    }
  }

  void read_levels() {
    Levels& levels = check_.schedule.levels;
    read_level("warn_above", levels.warn_above);
    read_level("fail_above", levels.fail_above);
    read_level("warn_below", levels.warn_below);
    read_level("fail_below", levels.fail_below);
    settings_.read_ratio("clear_margin", check_.schedule.clear_margin);
    double margin = check_.schedule.clear_margin;
    if (levels.warn_above && levels.fail_above && *levels.warn_above >= *levels.fail_above)
      settings_.problem("warn_above", "is not below fail_above, so it never warns");
    if (levels.warn_below && levels.fail_below && *levels.warn_below <= *levels.fail_below)
      settings_.problem("warn_below", "is not above fail_below, so it never warns");
    if (!levels.fail_above || !levels.fail_below) return;
    double least = *levels.fail_below + margin * std::abs(*levels.fail_below);
    double most = *levels.fail_above - margin * std::abs(*levels.fail_above);
    if (least >= most) {
      settings_.problem("fail_above",
                        fmt::format("a failure could never clear: with a clear_margin of {} the "
                                    "value would have to be above {:g} and below {:g} (move the "
                                    "levels apart, or make the margin smaller)",
                                    units::show_ratio(margin), least, most));
    }
  }

  void read_staleness() {
    Schedule& schedule = check_.schedule;
    Duration least = schedule.period + schedule.timeout;
    schedule.stale_after = std::max<Duration>(3 * schedule.period + schedule.timeout, seconds(15));
    settings_.read("stale_after", schedule.stale_after);
    if (schedule.stale_after <= least) {
      settings_.problem(
          "stale_after",
          fmt::format("{} calls a check stale that is merely waiting for its next run "
                      "(more than period + timeout = {})",
                      units::show(schedule.stale_after), units::show(least)));
    }
    settings_.read("on_stale", schedule.when_stale, {"fail", "warn", "hold"});
  }

  const ProbeKind* kind_named(std::string_view name) const {
    for (const ProbeKind* kind : kinds_.probes) {
      if (kind->name == name) return kind;
    }
    return nullptr;
  }

  /// What is left of the mapping is the kind: `postgres: {...}`.
  void read_probe() {
    std::vector<std::string> kinds;
    for (const ProbeKind* kind : kinds_.probes) kinds.emplace_back(kind->name);
    for (const std::string& kind : kinds) settings_.know(kind);

    const Node* chosen = nullptr;
    bool is_misspelt = false;
    for (const Node& item : settings_.node().items) {
      if (kind_named(item.key) == nullptr) continue;
      if (chosen == nullptr) {
        chosen = &item;
      } else {
        settings_.problem_at(item, fmt::format("is a second probe beside {} (one check, one probe: "
                                               "make it a check of its own)",
                                               chosen->key));
      }
    }
    for (const Node* unknown : settings_.rest()) {
      if (unknown->kind != Node::Kind::Map) continue;
      is_misspelt = true;
      settings_.know(unknown->key);
      std::string near = text::nearest(unknown->key, kinds);
      settings_.problem_at(*unknown, fmt::format("is not a kind of probe ({}known: {})",
                                                 near.empty() ? "" : "did you mean " + near + "? ",
                                                 text::join(kinds, ", ")));
    }
    settings_.finish();
    if (chosen != nullptr) {
      make_probe(*chosen);
    } else if (!is_misspelt && settings_.node().kind == Node::Kind::Map) {
      settings_.problem_at(
          settings_.node(),
          fmt::format("does not say what to probe (add one of {})", text::join(kinds, ", ")));
    }
  }

  void make_probe(const Node& node) {
    check_.kind = kind_named(node.key);
    check_.settings = node.key + ": " + fingerprint(node);
    Node map = node;
    if (map.kind == Node::Kind::Null) map.kind = Node::Kind::Map;  // `disk:` without any option
    Settings settings(map, settings_.inside(node.key), settings_.problems());
    std::optional<Options> options = read_options(settings, check_.kind->options);
    if (!options) return;
    is_complete_ = true;
    check_.options = std::move(*options);
    if (auto probe = check_.kind->make(check_.options); !probe) blame(settings, probe.error());
  }

  void refuse_remote_liveness() {
    if (!is_complete_) return;
    constexpr std::string_view kWhy =
        "when it is down every instance is restarted, which heals nothing (use the role readiness";
    if (has_scope_ && check_.scope == Scope::Shared) {
      settings_.problem("scope",
                        fmt::format("something shared must not decide liveness: {})", kWhy));
    } else if (check_.kind->reach == ProbeKind::Reach::Remote && !may_be_the_app(check_)) {
      settings_.problem("roles",
                        fmt::format("{} asks another machine and must not decide liveness: {}, or "
                                    "probe the app itself with http, grpc or tcp on 127.0.0.1)",
                                    check_.kind->name, kWhy));
    }
  }

  Settings settings_;
  const Kinds& kinds_;
  Check check_;
  bool has_scope_ = false;
  bool is_complete_ = false;  // the probe's options are all there
};

}  // namespace

Duration Schedule::worst_detection() const {
  // Until the first run after the death, and then one try after the other; a try that is not
  // answered takes all of the timeout, and the next one follows it at once.
  Duration between = std::max(period_fast, timeout);
  Duration by_count = period + (failure_threshold - 1) * between + timeout;
  if (min_failing_for == Duration::zero()) return by_count;
  return std::max(by_count, period + timeout + min_failing_for + between);
}

Duration Schedule::worst_recovery() const {
  return std::max(period_down, timeout) + (success_threshold - 1) * std::max(period_fast, timeout) +
         timeout;
}

bool Check::has(Role role) const {
  return std::find(roles.begin(), roles.end(), role) != roles.end();
}

namespace {

/// Whether `check` waits for itself, through others or directly.
bool is_circular(const Check& check, const std::vector<Check>& all) {
  std::vector<std::string> reached = check.depends_on;
  for (std::size_t i = 0; i < reached.size(); ++i) {
    if (reached[i] == check.name) return true;
    for (const Check& other : all) {
      if (other.name != reached[i]) continue;
      for (const std::string& next : other.depends_on) {
        if (std::find(reached.begin(), reached.end(), next) == reached.end())
          reached.push_back(next);
      }
    }
  }
  return false;
}

void refuse_unknown_dependencies(const std::vector<Check>& checks, Problems& problems) {
  std::vector<std::string> names;
  for (const Check& check : checks) names.push_back(check.name);
  for (const Check& check : checks) {
    for (const std::string& name : check.depends_on) {
      if (std::find(names.begin(), names.end(), name) != names.end()) continue;
      problems.add(check.line, fmt::format("check {}: depends_on: there is no check {} (known: {})",
                                           check.name, name, text::join(names, ", ")));
    }
    if (is_circular(check, checks)) {
      problems.add(check.line,
                   fmt::format("check {}: depends_on: waits for itself in the end (break the ring)",
                               check.name));
    }
  }
}

}  // namespace

std::vector<Check> read_checks(const Node& list, const Kinds& kinds, Problems& problems) {
  std::vector<Check> checks;
  for (const Node& item : list.items) {
    checks.push_back(CheckReader(item, checks.size() + 1, kinds, problems).read());
    const Check& last = checks.back();
    auto first = std::find_if(checks.begin(), checks.end(),
                              [&](const Check& c) { return c.name == last.name; });
    if (first != checks.end() - 1 && !last.name.empty()) {
      problems.add(last.line,
                   fmt::format("check {}: the name is taken by the check in line {} (names "
                               "must differ)",
                               last.name, first->line));
    }
  }
  refuse_unknown_dependencies(checks, problems);
  return checks;
}

}  // namespace davy::config
