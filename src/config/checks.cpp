// The `checks:` section.

#include <fmt/format.h>
#include <algorithm>

#include "base/text.h"
#include "base/units.h"
#include "config/address.h"
#include "config/kind_options.h"
#include "config/sections.h"

namespace davy::config {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A probe that asks this very machine, though its kind could ask any: the app in the same pod.
bool asks_loopback(const Check& check) {
  if (check.kind->name != "http" && check.kind->name != "tcp") return false;
  if (check.options.has("url")) return is_loopback(host_of_url(check.options.text("url")));
  if (!check.options.has("address")) return false;
  Result<Address> address = parse_address(check.options.text("address"));
  return address && is_loopback(address->host);
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
    settings_.read("scope", check_.scope, {"local", "shared"});
    read_schedule();
    read_probe();
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
    settings_.read_ratio("jitter", schedule.jitter);
    if (schedule.jitter >= 1) {
      settings_.problem("jitter", "must be less than 100% of the period (10% is usual)");
    }
    settings_.read("failure_threshold", schedule.failure_threshold, 1);
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
    if (check_.scope == Scope::Shared) {
      settings_.problem("scope",
                        fmt::format("something shared must not decide liveness: {})", kWhy));
    } else if (check_.kind->reach == ProbeKind::Reach::Remote && !asks_loopback(check_)) {
      settings_.problem("roles",
                        fmt::format("{} asks another machine and must not decide liveness: {}, or "
                                    "probe the app itself with http or tcp on 127.0.0.1)",
                                    check_.kind->name, kWhy));
    }
  }

  Settings settings_;
  const Kinds& kinds_;
  Check check_;
  bool is_complete_ = false;  // the probe's options are all there
};

}  // namespace

bool Check::has(Role role) const {
  return std::find(roles.begin(), roles.end(), role) != roles.end();
}

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
  return checks;
}

}  // namespace davy::config
