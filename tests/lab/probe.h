// Runs probes as the agent would: settings written as in the config, one deadline, its means.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "davy/probe.h"

namespace davy::lab {

/// The items of a list are lines.
using Settings = std::vector<std::pair<std::string, std::string>>;

/// The settings with the kind's fallbacks, typed. Throws when one is unknown, missing or wrong.
Options options_for(const std::vector<OptionSpec>& specs, const Settings& settings);

/// The kind of this name. Throws when there is none.
const ProbeKind& kind(std::string_view name);

/// A probe of this kind, kept between its runs; in a helper process when the kind runs in one.
class ProbeRunner {
 public:
  /// Throws when the kind refuses the settings.
  ProbeRunner(const std::string& kind_name, const Settings& settings);
  ~ProbeRunner();
  /// Throws when the reason is none that the kind lists.
  Outcome run(std::chrono::milliseconds timeout = std::chrono::seconds(10));

 private:
  std::unique_ptr<net::Means> net_;
  const ProbeKind& kind_;
  const Options options_;
  std::unique_ptr<Probe> probe_;
};

/// One run of a new probe.
Outcome run_probe(const std::string& kind_name, const Settings& settings,
                  std::chrono::milliseconds timeout = std::chrono::seconds(10));

/// Why the kind refuses the settings, "" when it does not.
std::string refusal(const std::string& kind_name, const Settings& settings);

/// "fail hard auth: message", for checks that show what was seen.
std::string show(const Outcome& outcome);

}  // namespace davy::lab
