#include "lab/probe.h"

#include <algorithm>
#include <stdexcept>

#include "base/run_in_helper.h"
#include "base/text.h"
#include "base/units.h"
#include "net/means.h"

namespace davy::lab {
namespace {

template <typename T>
T value_of(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().what);
  return *result;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::string_view line : text::split(text, '\n')) lines.emplace_back(line);
  return lines;
}

Options::Value typed(OptionType type, const std::string& text) {
  switch (type) {
    case OptionType::Duration: return value_of(units::parse_duration(text));
    case OptionType::Bytes: return value_of(units::parse_bytes(text));
    case OptionType::Amount: return value_of(units::parse_amount(text));
    case OptionType::Ratio: return value_of(units::parse_ratio(text));
    case OptionType::Number: return value_of(units::parse_number(text));
    case OptionType::Flag: return text == "true";
    case OptionType::TextList: return lines_of(text);
    default: return text;
  }
}

}  // namespace

Options options_for(const std::vector<OptionSpec>& specs, const Settings& settings) {
  Options options;
  for (const OptionSpec& spec : specs) {
    auto given = std::find_if(settings.begin(), settings.end(),
                              [&](const auto& setting) { return setting.first == spec.name; });
    if (given != settings.end()) {
      options.set(std::string(spec.name), typed(spec.type, given->second));
    } else if (!spec.fallback.empty()) {
      options.set(std::string(spec.name), typed(spec.type, std::string(spec.fallback)));
    } else if (spec.required) {
      throw std::runtime_error("missing setting " + std::string(spec.name));
    }
  }
  for (const auto& [name, _] : settings) {
    bool known = std::any_of(specs.begin(), specs.end(),
                             [&, n = name](const auto& s) { return s.name == n; });
    if (!known) throw std::runtime_error("unknown setting " + name);
  }
  return options;
}

const ProbeKind& kind(std::string_view name) {
  for (const ProbeKind* candidate : probe_kinds()) {
    if (candidate->name == name) return *candidate;
  }
  throw std::runtime_error("no probe kind " + std::string(name));
}

ProbeRunner::ProbeRunner(const std::string& kind_name, const Settings& settings)
    : net_(std::make_unique<net::Means>()),
      kind_(kind(kind_name)),
      options_(options_for(kind_.options, settings)) {
  Result<std::unique_ptr<Probe>> made = kind_.make(options_);
  if (!made) throw std::runtime_error(made.error().what);
  probe_ = std::move(*made);
}

ProbeRunner::~ProbeRunner() = default;

Outcome ProbeRunner::run(std::chrono::milliseconds timeout) {
  ProbeContext ctx{{Deadline::in(timeout), *net_}, "test"};
  Outcome seen = kind_.runner == ProbeKind::Runner::Helper
                     ? run_in_helper(net_->helpers, kind_, options_, ctx)
                     : probe_->run(ctx);
  bool is_listed =
      seen.reason.empty() || seen.reason == "helper_died" ||  // which any kind in a helper may say
      std::any_of(kind_.reasons.begin(), kind_.reasons.end(),
                  [&](const ProbeKind::Reason& reason) { return reason.word == seen.reason; });
  if (!is_listed)
    throw std::runtime_error(std::string(kind_.name) + " does not list the reason " + show(seen));
  return seen;
}

Outcome run_probe(const std::string& kind_name, const Settings& settings,
                  std::chrono::milliseconds timeout) {
  return ProbeRunner(kind_name, settings).run(timeout);
}

std::string refusal(const std::string& kind_name, const Settings& settings) {
  const ProbeKind& its_kind = kind(kind_name);
  Result<std::unique_ptr<Probe>> made = its_kind.make(options_for(its_kind.options, settings));
  return made ? "" : made.error().what;
}

std::string show(const Outcome& outcome) {
  std::string out(word(outcome.kind));
  if (outcome.hard) out += " hard";
  if (!outcome.reason.empty()) out += " " + outcome.reason;
  if (!outcome.message.empty()) out += ": " + outcome.message;
  return out;
}

}  // namespace davy::lab
