// davy check: runs one check once, and shows it phase by phase.
//
// The check is one of a config's, or made up on the command line. It runs where the agent would run
// it (a thread, or a helper process when it may hang), with the same deadline. Exit codes: 0 pass
// or warn, 1 fail, 2 usage, 3 could not ask; with --nagios those of a Nagios plugin.

#include <fmt/format.h>
#include <unistd.h>
#include <cstdio>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "app/cli/commands.h"
#include "app/cli/nagios.h"
#include "base/run_in_helper.h"
#include "base/text.h"
#include "base/units.h"
#include "config/config.h"
#include "net/means.h"

namespace davy::app {
namespace {

using json = nlohmann::ordered_json;

/// YAML for `davy check --kind redis url=redis://...`: the config's reader says what is wrong.
std::string made_up_config(const CheckOptions& options) {
  json settings = json::object();
  for (const std::string& word : options.settings) {
    std::size_t equals = word.find('=');
    std::string key = word.substr(0, equals);
    std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
    if (!settings.contains(key)) {
      settings[key] = value;
    } else {  // said again: a list
      if (!settings[key].is_array()) settings[key] = json::array({settings[key]});
      settings[key].push_back(value);
    }
  }
  json check{{"name", options.kind}, {options.kind, settings}};
  json root{{"service", "command-line"}, {"checks", json::array({check})}};
  return root.dump(-1, ' ', false, json::error_handler_t::replace);
}

/// The check to run, or why there is none: printed.
std::optional<config::Check> find_check(const CheckOptions& options) {
  config::Kinds kinds{probe_kinds(), source_kinds()};
  bool is_made_up = !options.kind.empty();
  config::Loaded loaded = is_made_up
                              ? config::load_text(made_up_config(options), "command line", kinds)
                              : config::load_file(options.config_file, kinds);
  if (!loaded.config) {
    for (config::Problem problem : loaded.problems) {
      if (is_made_up) problem.line = 0;
      fmt::print(stderr, "{}\n", problem.text());
    }
    return std::nullopt;
  }
  std::vector<std::string> names;
  for (const config::Check& check : loaded.config->checks) {
    if (is_made_up || check.name == options.name) return check;
    names.push_back(check.name);
  }
  std::string near = text::nearest(options.name, names);
  fmt::print(stderr, "{}: there is no check {}{} (known: {})\n", options.config_file,
             text::quoted(options.name), near.empty() ? "" : ", did you mean " + near + "?",
             text::join(names, ", "));
  return std::nullopt;
}

struct Ran {
  Outcome outcome;
  Duration took{0};
  bool is_still_out = false;  // the probe has not come back: the process must not wait for it
};

/// Runs it as the scheduler would: at the deadline there is an answer, whatever the probe does.
Ran run(const config::Check& check, Duration timeout, net::Means& net, Trace& trace) {
  Time began = machine_clock().now();
  Deadline deadline = Deadline::in(timeout);
  auto answered = std::make_shared<std::promise<Outcome>>();
  std::future<Outcome> answer = answered->get_future();
  std::thread([answered, check, deadline, &net, &trace] {
    ProbeContext ctx{{deadline, net, &trace}, check.name};
    if (check.kind->runner == ProbeKind::Runner::Helper) {
      answered->set_value(run_in_helper(net.helpers, *check.kind, check.options, ctx));
      return;
    }
    Result<std::unique_ptr<Probe>> probe = check.kind->make(check.options);
    answered->set_value(probe ? (*probe)->run(ctx)
                              : Outcome::unable("settings", probe.error().what));
  }).detach();
  constexpr Duration kGrace = std::chrono::milliseconds(200);  // for a probe's own words
  Ran ran;
  ran.is_still_out = answer.wait_for(timeout + kGrace) != std::future_status::ready;
  ran.outcome = ran.is_still_out
                    ? Outcome::failed("timeout", fmt::format("no answer within {}, and it has "
                                                             "not come back",
                                                             units::show(timeout)))
                    : answer.get();
  ran.took = machine_clock().now() - began;
  return ran;
}

const ProbeKind::Reason* meaning_of(const config::Check& check, std::string_view reason) {
  for (const ProbeKind::Reason& known : check.kind->reasons) {
    if (known.word == reason) return &known;
  }
  return nullptr;
}

void print_for_people(const config::Check& check, const Ran& ran, const Trace& trace,
                      Duration timeout) {
  const Outcome& seen = ran.outcome;
  fmt::print("{} ({}), {} to answer{}\n", check.name, check.kind->name, units::show(timeout),
             check.kind->runner == ProbeKind::Runner::Helper ? ", in a helper process" : "");
  for (const Trace::Phase& phase : trace.phases()) {
    fmt::print("  {:<12} {:>9}  {}\n", phase.name, units::show_latency(seconds(phase.took)),
               phase.note);
  }
  fmt::print("  {:<12} {:>9}\n", "all", units::show_latency(seconds(ran.took)));
  if (!seen.unit.empty())
    fmt::print("  measured     {:>9}\n", units::show_measured(seen.value, seen.unit));
  for (const Measurement& m : seen.also)
    fmt::print("  measured     {:>9}  {}\n", units::show_measured(m.value, m.unit), m.name);
  fmt::print("{}{}{}\n", word(seen.kind), seen.hard ? ", hard" : "",
             seen.reason.empty() ? "" : ": " + seen.reason);
  if (!seen.message.empty()) fmt::print("  {}\n", seen.message);
  if (const ProbeKind::Reason* known = meaning_of(check, seen.reason))
    fmt::print("  {}\n", known->meaning);
  if (seen.blocks_deploy) fmt::print("  no release may start while this lasts\n");
}

void print_json(const config::Check& check, const Ran& ran, const Trace& trace) {
  const Outcome& seen = ran.outcome;
  json phases = json::array();
  for (const Trace::Phase& phase : trace.phases())
    phases.push_back(
        {{"name", phase.name}, {"seconds", seconds(phase.took)}, {"note", phase.note}});
  json measured = json::array();
  if (!seen.unit.empty())
    measured.push_back({{"name", ""}, {"value", seen.value}, {"unit", seen.unit}});
  for (const Measurement& m : seen.also)
    measured.push_back({{"name", m.name}, {"value", m.value}, {"unit", m.unit}});
  json out{{"check", check.name},
           {"kind", check.kind->name},
           {"outcome", word(seen.kind)},
           {"hard", seen.hard},
           {"blocks_deploy", seen.blocks_deploy},
           {"reason", seen.reason},
           {"message", seen.message},
           {"seconds", seconds(ran.took)},
           {"measurements", measured},
           {"phases", phases}};
  fmt::print("{}\n", out.dump(2, ' ', false, json::error_handler_t::replace));
}

int exit_code_of(Outcome::Kind kind) {
  switch (kind) {
    case Outcome::Kind::Pass:
    case Outcome::Kind::Warn: return kExitPass;
    case Outcome::Kind::Fail: return kExitFail;
    case Outcome::Kind::Error: return kExitError;
  }
  return kExitError;
}

}  // namespace

int check(const CheckOptions& options) {
  if (options.kind.empty() == options.name.empty()) {
    fmt::print(stderr,
               "say which check: a name of the config's, or --kind and its settings (davy "
               "probes lists the kinds)\n");
    return kExitUsage;
  }
  if (options.kind.empty() && options.config_file.empty()) {
    fmt::print(stderr, "a name needs the config that it is in: --config FILE\n");
    return kExitUsage;
  }
  std::optional<config::Check> found = find_check(options);
  if (!found) return options.nagios ? 3 : kExitUsage;
  Duration timeout = options.timeout > Duration::zero() ? options.timeout : found->schedule.timeout;
  net::Means net;
  Trace trace;
  Ran ran = run(*found, timeout, net, trace);
  int code = exit_code_of(ran.outcome.kind);
  if (options.nagios) {
    fmt::print("{}\n", nagios_line(*found, ran.outcome));
    code = nagios_code(ran.outcome.kind);
  } else if (options.json) {
    print_json(*found, ran, trace);
  } else {
    print_for_people(*found, ran, trace, timeout);
  }
  std::fflush(stdout);
  if (ran.is_still_out) _exit(code);  // its thread, or the helper's death, may take for ever
  return code;
}

}  // namespace davy::app
